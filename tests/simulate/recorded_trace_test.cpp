// ctest: long
#include "dynofa/backend/cpu.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/reactive.hpp"
#include "dynofa/runtime/run_log_io.hpp"
#include "dynofa/runtime/slack.hpp"
#include "dynofa/simulate/simulator.hpp"
#include "dynofa/simulate/trace_io.hpp"

#include <doctest/doctest.h>

#include "../examples/support/co_runner.hpp"
#include "support/scratch_folder.hpp"
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace dynofa_test::simulate_recorded_trace {

// A trace of this machine, recorded while co-runners of several shares come and go on the same core, then replayed for
// every policy. With DYNOFA_TRACES=FOLDER the log stays there as recorded.jsonl, for `simulate --recorded`.

using namespace dynofa;
using namespace dynofa::runtime;

TEST_CASE("a trace recorded beside real co-runners replays for every policy") {
  support::pin_to(0);
  const support::co_runner others[] = {support::co_runner(0, 0.2), support::co_runner(0, 0.3),
                                       support::co_runner(0, 0.4)}; // before anything large
  family f = load_family(DYNOFA_SOURCE_DIR "/examples/assets/tinyimagenet.dynofa");
  const std::string device = remeasure_latencies(f, backend::cpu{}, 20);
  f.keep_front(device);
  dynamic_network net(backend::cpu{}, f);
  const auto levels = net.figures(device);

  const support::scratch_folder scratch;
  const char* const kept = std::getenv("DYNOFA_TRACES");
  const auto path = (kept ? std::filesystem::path(kept) : scratch.path()) / "recorded.jsonl";
  std::ofstream out(path);
  manager m(std::move(net), forecast(levels), {.latency_ms = 1.4 * levels.back().latency_ms},
            {.log_images = 500, .on_log_full = [&](run_log& log) { write_json_lines(out, log), log.clear(); }});
  std::vector<float> logits(m.network().classes());
  random_stream random(1, "recorded trace");
  constexpr std::size_t spells = 24;
  std::size_t images = 0;
  for (std::size_t spell = 0; spell < spells; ++spell) {
    for (const auto& other : others) random.chance(0.4) ? other.start() : other.stop();
    for (std::uint32_t left = 150 + random.below(300); left > 0; --left, ++images)
      m.run([](int, std::span<float>) {}, logits);
  }
  write_json_lines(out, m.log());
  out.close();

  const run_log log = read_run_log(path);
  CHECK(log.size() == images);
  CHECK_FALSE(replay_log(log, forecast(levels)));

  const trace t = read_trace(path, levels);
  REQUIRE(t.images() == images);
  const replay_figures oracle = replay_oracle(t);
  CHECK(oracle.late == oracle.unattainable);
  const auto judge = [&](auto policy) {
    const replay_figures figures = replay(t, policy);
    CHECK(figures.images == images);
    CHECK(figures.late >= oracle.late);
    CHECK(figures == replay(t, policy));
    std::cout << decltype(policy)::name << ": late " << 100 * figures.late_share() << " %, top-1 "
              << figures.mean_top1() << ", " << figures.switches << " switches\n";
  };
  std::cout << images << " images on " << device << '\n';
  judge(lookup(levels));
  judge(slack(levels));
  judge(reactive(levels));
  judge(forecast(levels));
  std::cout << "oracle: late " << 100 * oracle.late_share() << " %, top-1 " << oracle.mean_top1() << '\n';
}

} // namespace dynofa_test::simulate_recorded_trace
