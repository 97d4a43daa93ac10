#include "dynofa/core/random.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/simulate/simulator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <locale>
#include <string>

namespace dynofa_test::simulate_recorded_noise {

// `forecast` on what a real machine does (tests/golden/traces/README.md), and on traces that are put together from
// blocks of it.

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

const std::vector<level_figures> levels = {{0.301284, 50.22}, {0.311673, 50.6}, {0.402036, 52.98}, {0.43873, 53.4},
                                           {0.501495, 53.72}, {0.533631, 55.8}, {0.558198, 56.06}, {0.985814, 57.36},
                                           {1.1812, 57.98},   {1.38297, 58.68}, {1.55505, 59.12},  {1.87535, 59.32},
                                           {2.60378, 59.52}};

trace recorded(const std::string& name, double limit_ms) {
  trace t{name, levels, std::vector<double>(levels.size(), 1), {}, {{0, {.latency_ms = limit_ms}}}};
  std::ifstream file(DYNOFA_SOURCE_DIR "/tests/golden/traces/" + name);
  file.imbue(std::locale::classic());
  for (double ms = 0; file >> ms;) t.factor.push_back(ms / levels.back().latency_ms);
  return t;
}

/// As many images, in blocks of 400 from anywhere in `t`: long enough that what lasts for some images stays together.
trace shuffled(const trace& t, std::uint64_t seed) {
  constexpr std::size_t block = 400;
  random_stream random(seed, "blocks of " + t.name);
  trace other = t;
  for (std::size_t i = 0; i < t.images(); i += block) {
    const auto from = static_cast<std::ptrdiff_t>(random.below(static_cast<std::uint32_t>(t.images() - block)));
    const std::size_t images = std::min(block, t.images() - i);
    std::copy_n(t.factor.begin() + from, images, other.factor.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return other;
}

} // namespace

TEST_CASE("forecast is calm while nothing of ours happens on a shared machine") {
  const trace alone = recorded("alone.txt", 3.724474);
  REQUIRE(alone.images() == 3000);
  replay_figures all;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const replay_figures f = replay(seed == 0 ? alone : shuffled(alone, seed), forecast(levels));
    CHECK(f.switches_per_1000() <= 3);
    CHECK(f.late_share() <= 0.01);
    CHECK(f.longest_late <= 2);
    all += f;
  }
  CHECK(all.switches_per_1000() <= 1.5); // 7 before `step_evidence`
}

TEST_CASE("forecast answers co-runners as before, and gives less accuracy away") {
  const trace beside = recorded("beside.txt", 3.645293);
  REQUIRE(beside.images() == 1909);
  const replay_figures f = replay(beside, forecast(levels));
  CHECK(f.late <= 30);           // what it was before `step_evidence` …
  CHECK(f.mean_top1() >= 59.08); // … likewise
  CHECK(f.longest_late <= 2);
}

} // namespace dynofa_test::simulate_recorded_noise
