#include "dynofa/latency/fma_peak.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::latency_fma_peak {

using namespace dynofa;

TEST_CASE("a core's peak is that of a machine of our time, and wider vectors have no lower one") {
  const double best = fma_peak_gflops();
#if defined(__x86_64__) || defined(__aarch64__)
  if (best == 0) return; // a processor without fused multiply-add
  CHECK(best > 1);
  CHECK(best < 2000);
#if defined(__x86_64__)
  CHECK(fma_peak_gflops("avx2") < 1.5 * best);
#endif
#else
  CHECK(best == 0);
#endif
}

} // namespace dynofa_test::latency_fma_peak
