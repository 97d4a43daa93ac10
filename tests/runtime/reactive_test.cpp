#include "dynofa/runtime/reactive.hpp"

#include <doctest/doctest.h>

#include "families.hpp"
#include <limits>

namespace dynofa_test::runtime_reactive {

using namespace dynofa::runtime;

namespace {
/// Runs `images` images that take `slow_down` times the table's latency.
std::size_t run(reactive& p, const target& t, double slow_down, int images) {
  for (int i = 0; i < images; ++i) {
    const std::size_t level = p.decide(t);
    p.observe(level, paper_six[level].latency_ms * slow_down);
  }
  return p.decide(t);
}
} // namespace

TEST_CASE("Figure 7: level 4 to level 2, one per ten images") {
  reactive p(paper_six, {}, 3); // the paper counts from 1
  const target t{.latency_ms = 55};
  CHECK(run(p, t, 1, 30) == 3);
  CHECK(run(p, t, 1.2, 3) == 3); // 54.1 ms on average …
  CHECK(run(p, t, 1.2, 1) == 2); // … 55.2 ms
  CHECK(run(p, t, 1.2, 9) == 2); // a switch empties the window
  CHECK(run(p, t, 1.2, 1) == 1);
  CHECK(run(p, t, 1.2, 100) == 1); // 54.5 ms
}

TEST_CASE("a raise that fails is not tried again soon") {
  reactive p(paper_six, {.raise_below = 0.99});
  const target t{.latency_ms = 60};
  run(p, t, 1.2, 100);
  int switches = 0;
  for (std::size_t i = 0, before = p.decide(t); i < 190; ++i) {
    switches += run(p, t, 1.2, 1) != before;
    before = p.decide(t);
  }
  CHECK(switches <= 2);
}

TEST_CASE("the reference demo never sees an overload") {
  const target t{.latency_ms = 60};
  reactive demo(paper_six, reactive_options::reference_demo(), 4), ours(paper_six, {}, 4);
  CHECK(run(demo, t, 2, 500) == 4); // 113 ms each, filtered
  CHECK(run(ours, t, 2, 500) == 0);
  reactive up(paper_six, reactive_options::reference_demo(), 1);
  CHECK(run(up, {.latency_ms = 60}, 0.5, 500) == 1); // climbs for accuracy only …
  CHECK(run(up, {.latency_ms = 60, .min_top1 = 77}, 0.5, 500) == 3);
}

TEST_CASE("images of an earlier level and broken times are not counted") {
  reactive p(paper_six, {}, 3);
  const target t{.latency_ms = 60};
  p.decide(t);
  for (int i = 0; i < 50; ++i) {
    p.observe(5, 500);
    p.observe(3, -1);
    p.observe(3, std::numeric_limits<double>::quiet_NaN());
  }
  CHECK(p.decide(t) == 3);
  CHECK_THROWS_AS(reactive(paper_six, {.window = 0}), dynofa::error);
  CHECK_THROWS_AS(reactive(paper_six, {.raise_below = 1}), dynofa::error);
}

} // namespace dynofa_test::runtime_reactive
