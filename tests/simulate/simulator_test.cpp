#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/reactive.hpp"
#include "dynofa/simulate/simulator.hpp"
#include "dynofa/simulate/trace_io.hpp"

#include <doctest/doctest.h>

#include "runtime/families.hpp"
#include <sstream>

namespace dynofa_test::simulate_simulator {

using namespace dynofa;
using namespace dynofa::runtime;

TEST_CASE("every kind is repeatable, sound, and within what the documentation says") {
  for (std::size_t k = 0; k < trace_kinds.size(); ++k) {
    const auto kind = static_cast<trace_kind>(k);
    const trace a = generate_trace(kind, 5, paper_six), b = generate_trace(kind, 5, paper_six);
    CHECK(a.factor == b.factor);
    CHECK(a.factor != generate_trace(kind, 6, paper_six).factor);
    CHECK(a.images() == 2000);
    CHECK(a.targets.front().from == 0);
    for (double f : a.factor) CHECK((f > 0.7 && f < 20));
    for (const auto& c : a.targets) validate(c.wanted);
  }
}

TEST_CASE("no policy is late less often than the oracle, nor better with as few late images") {
  for (std::size_t k = 0; k < trace_kinds.size(); ++k) {
    const trace t = generate_trace(static_cast<trace_kind>(k), 3, paper_six);
    const replay_figures oracle = replay_oracle(t), policy = replay(t, forecast(t.levels));
    CHECK(oracle.late == oracle.unattainable);
    CHECK(policy.unattainable == oracle.unattainable);
    CHECK(policy.late >= oracle.late);
    CHECK(policy == replay(t, forecast(t.levels)));
    const replay_figures fixed = best_static_level(t, policy.late);
    CHECK(fixed.switches == 0);
  }
}

TEST_CASE("counted by hand") {
  trace t;
  t.levels = {{10, 60}, {20, 70}};
  t.own = {1, 1};
  t.factor = {1, 1, 3, 1};
  t.targets = {{0, {.latency_ms = 25}}, {3, {.latency_ms = 15}}};
  const replay_figures top = replay_level(t, 1), low = replay_level(t, 0), best = replay_oracle(t);
  CHECK(top.late == 2);
  CHECK(low.late == 1);
  CHECK(best.late == 1);
  CHECK(best.unattainable == 1);
  CHECK(best.switches == 1);
  CHECK(best.mean_top1() == doctest::Approx(67.5));
  CHECK(best_static_level(t, 2).mean_top1() == 70);
  CHECK(best_static_level(t, 1).mean_top1() == 60);
}

TEST_CASE("a replay written as CSV is read back as a trace") {
  const trace t = generate_trace(trace_kind::targets, 2, paper_six, {.images = 300});
  std::stringstream file;
  write_replay_csv(file, t, reactive(t.levels));
  const trace back = read_trace(file.str(), "replay", paper_six);
  CHECK(back.images() == 300);
  CHECK(back.targets.size() == t.targets.size());

  const char* const lines =
      "{\"level\": 1, \"latency_ms\": 90.84, \"limit_ms\": 60}\n\n{\"level\": 0, \"latency_ms\": 41.16}\n";
  const trace json = read_trace(lines, "lines", paper_six);
  CHECK(json.factor[0] == doctest::Approx(2));
  CHECK(json.targets.size() == 2);
}

TEST_CASE("hostile traces are refused in one sentence") {
  for (const char* bad :
       {"", "level,latency_ms\n", "level,latency_ms\n0,abc\n", "level,latency_ms\n9,1\n", "level,latency_ms\n0.5,1\n",
        "level,latency_ms\n0,-1\n", "level,latency_ms\n0,nan\n", "level,latency_ms\n0\n", "latency_ms\n1\n", "{\n",
        "{\"level\": \"x\", \"latency_ms\": 1}\n", "{\"latency_ms\": 1}\n", "level,latency_ms,limit_ms\n0,1,0\n"})
    CHECK_THROWS_AS(read_trace(bad, "bad", paper_six), error);
  const std::string line = "level,latency_ms\n" + std::string(100000, '1');
  CHECK_THROWS_AS(read_trace(line, "long", paper_six), error);
}

} // namespace dynofa_test::simulate_simulator
