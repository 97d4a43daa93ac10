#include "dynofa/runtime/monitor.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace dynofa_test::runtime_monitor {

using namespace dynofa::runtime;

TEST_CASE("the window slides, the totals stay") {
  latency_monitor m(2, {.window = 3});
  CHECK(m.mean_ms() == 0);
  CHECK(m.percentile_ms(0.5) == 0);
  for (double ms : {10.0, 20.0, 30.0, 40.0}) m.record(0, ms);
  CHECK(m.size() == 3);
  CHECK(m.mean_ms() == doctest::Approx(30));
  CHECK(m.percentile_ms(0.5) == 30);
  CHECK(m.percentile_ms(1) == 40);
  CHECK(m.percentile_ms(0.01) == 20);
  CHECK(m.totals(0).images == 4);
  CHECK(m.totals(0).mean_ms() == doctest::Approx(25));
  CHECK(m.totals(0).min_ms == 10);
  CHECK(m.size(1) == 0);
}

TEST_CASE("a level's first image is cold, a far one an outlier, and both count") {
  latency_monitor m(2);
  CHECK(m.record(1, 90).cold);
  for (int i = 0; i < 9; ++i) CHECK_FALSE(m.record(1, 50).cold);
  const auto far = m.record(1, 100);
  CHECK(far.outlier);
  CHECK(m.totals(1).max_ms == 100);
  CHECK(m.totals(1).outliers == 1);
  CHECK(m.mean_ms(1) == doctest::Approx(55)); // 9 · 50 and 100: nothing dropped
  CHECK(m.record(0, 100).cold);
  int marked = 0; // an overload that lasts becomes the ordinary thing
  for (int i = 0; i < 30; ++i) marked += m.record(1, 100).outlier;
  CHECK(marked < 10);
  CHECK(marked > 0);
}

TEST_CASE("broken times are shown, bad options refused") {
  latency_monitor m(1);
  CHECK(m.record(0, std::numeric_limits<double>::quiet_NaN()).outlier);
  CHECK(m.record(7, -1).level == 0);
  CHECK(m.mean_ms() == 0);
  CHECK_THROWS_AS(latency_monitor(0), dynofa::error);
  CHECK_THROWS_AS(latency_monitor(1, {.window = 0}), dynofa::error);
  CHECK_THROWS_AS(latency_monitor(1, {.outlier_factor = 1}), dynofa::error);
  CHECK_THROWS_AS(m.totals(1), std::out_of_range);
}

} // namespace dynofa_test::runtime_monitor
