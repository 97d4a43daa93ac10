#include "dynofa/core/random.hpp"
#include "dynofa/latency/samples.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::latency_samples {

using namespace dynofa;

TEST_CASE("few samples promise nothing") {
  CHECK(find_median({}).half_width() == std::numeric_limits<double>::infinity());
  CHECK(find_median({1, 1, 1, 1, 1}).half_width() == std::numeric_limits<double>::infinity());
  CHECK(find_median({1, 1, 1, 1, 1, 1}).half_width() == 0);
}

TEST_CASE("the interval of a median holds the true one in at least 95 of 100 cases") {
  random_stream random(11);
  for (const std::size_t n : {6u, 20u, 101u}) {
    int held = 0;
    for (int trial = 0; trial < 1000; ++trial) {
      samples s;
      for (std::size_t i = 0; i < n; ++i) { // uniform on 0 … 1, and every tenth a thousand times as long
        const double x = random.uniform();
        s.push_back(static_cast<std::int64_t>(1e6 * x * (random.chance(0.1) && x > 0.5 ? 1000 : 1)));
      }
      const auto m = find_median(s);
      held += m.low <= 0.5e6 && 0.5e6 <= m.high;
    }
    CHECK(held >= 940);
  }
}

} // namespace dynofa_test::latency_samples
