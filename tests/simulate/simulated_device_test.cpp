#include "dynofa/runtime/coordination_rule.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/simulate/simulated_device.hpp"

#include <doctest/doctest.h>

#include "runtime/families.hpp"
#include <vector>

namespace dynofa_test::simulate_shared_device {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

simulated_device pair() {
  simulated_device d;
  d.contention = 0.5;
  d.duration_ms = 10000;
  for (int m = 0; m < 2; ++m) {
    device_member who;
    who.levels = paper_six;
    who.period_ms = 100;
    who.from_ms = 2000 * m;
    who.targets = {{0, {.latency_ms = 80}}};
    d.members.push_back(who);
  }
  return d;
}

/// Always the same levels; notes who came and went.
struct fixed_levels {
  std::vector<std::size_t> levels;
  std::vector<int> here;
  void arrive(std::size_t m) { ++here[m]; }
  void leave(std::size_t m) { here[m] -= 10; }
  std::size_t decide(std::size_t m, const target&) const { return levels[m]; }
  void observe(std::size_t, std::size_t, double) {}
  reason why(std::size_t) const { return reason::hold; }
};

} // namespace

TEST_CASE("latencies settle where the formula says, and replayed images agree with it") {
  simulated_device d = pair();
  d.noise = 0;
  const auto alone = d.settled_ms({5, 5}, 1000);
  CHECK(alone[0] == doctest::Approx(61.73));
  CHECK(alone[1] == 0);
  const auto both = d.settled_ms({5, 2}, 5000);
  CHECK(both[0] == doctest::Approx(61.73 * (1 + 0.5 * both[1] / 100)));
  CHECK(both[1] == doctest::Approx(49.44 * (1 + 0.5 * both[0] / 100)));
  fixed_levels control{{5, 2}, {0, 0}};
  std::size_t images = 0;
  replay(d, control, [&](const shared_image& i) {
    if (i.from_ms > 4000) CHECK(i.latency_ms == doctest::Approx(both[i.member]).epsilon(1e-4));
    CHECK(i.limit_ms == 80);
    ++images;
  });
  CHECK(images == 100 + 80);
  CHECK(control.here == std::vector<int>{1, 1});
}

TEST_CASE("an overloaded device: loads are shares of time, images wait for the one before") {
  simulated_device d = pair();
  for (auto& m : d.members) m.period_ms = 20, m.from_ms = 0;
  d.noise = 0;
  CHECK(d.settled_ms({5, 5}, 0)[0] == doctest::Approx(61.73 * 1.5));
  double end = 0;
  replay(d, fixed_levels{{5, 5}, {0, 0}}, [&](const shared_image& i) {
    if (i.member != 0) return;
    CHECK(i.from_ms >= end);
    end = i.from_ms + i.latency_ms;
  });
}

TEST_CASE("members leave, targets and slow-downs change when they should") {
  simulated_device d = pair();
  d.members[1].until_ms = 6000;
  d.members[0].targets.push_back({5000, {.latency_ms = 60}});
  d.slow_downs = {{0, 1}, {8000, 2}};
  d.noise = 0;
  fixed_levels control{{0, 0}, {0, 0}};
  replay(d, control, [&](const shared_image& i) {
    if (i.member == 1) CHECK(i.from_ms < 6000);
    if (i.member == 0) CHECK(i.limit_ms == (i.from_ms < 5000 ? 80 : 60));
    if (i.from_ms > 6100 && i.from_ms < 8000) CHECK(i.latency_ms == doctest::Approx(41.16));
    if (i.from_ms >= 8000) CHECK(i.latency_ms == doctest::Approx(82.32));
  });
  CHECK(control.here == std::vector<int>{1, -9});
}

TEST_CASE("the oracle finds the best tuple") {
  simulated_device d = pair();
  const shared_choice best = shared_oracle(d, 5000);
  REQUIRE(best.feasible);
  for (std::size_t a = 0; a < 6; ++a)
    for (std::size_t b = 0; b < 6; ++b) {
      const auto ms = d.settled_ms({a, b}, 5000);
      if (ms[0] <= 80 && ms[1] <= 80) CHECK(paper_six[a].top1 + paper_six[b].top1 <= best.top1_sum);
    }
  CHECK(shared_oracle(d, 1000).levels[0] == 5); // alone
  d.members[1].targets = {{0, {.latency_ms = 30}}};
  CHECK(!shared_oracle(d, 5000).feasible);
  d.members[1].targets = {{0, {.latency_ms = 80}}};
  d.members[1].weight = 100;
  CHECK(shared_oracle(d, 5000).levels[1] >= shared_oracle(d, 5000).levels[0]);
  d.members.resize(8, d.members[0]);
  CHECK_THROWS_AS(shared_oracle(d, 5000), error);
}

TEST_CASE("the same seed gives the same story, another one another, policies and coordinations run on it") {
  const simulated_device a = generate_shared_device(3, paper_six), b = generate_shared_device(3, paper_six);
  CHECK(a.slow_downs.size() == b.slow_downs.size());
  CHECK(a.members[1].from_ms == b.members[1].from_ms);
  CHECK(generate_shared_device(4, paper_six).members[1].from_ms != a.members[1].from_ms);
  std::vector<double> first, second;
  replay(a, uncoordinated<forecast>(a), [&](const shared_image& i) { first.push_back(i.latency_ms); });
  replay(b, uncoordinated<forecast>(b), [&](const shared_image& i) { second.push_back(i.latency_ms); });
  CHECK(first == second);
  CHECK(first.size() > 1000);
}

} // namespace dynofa_test::simulate_shared_device
