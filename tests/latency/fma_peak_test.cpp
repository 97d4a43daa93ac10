#include "dynofa/latency/fma_peak.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::latency_fma_peak {

using namespace dynofa;

TEST_CASE("a core's peak is measured where it has fused multiply-add") {
  const double best = fma_peak_gflops(), bytes = byte_peak_gmacs();
  CHECK(bytes >= 0); // 0: not known how
  CHECK(bytes < 8000);
#if defined(__x86_64__) || defined(__aarch64__)
  if (best == 0) return; // a processor without fused multiply-add
  CHECK(best > 0);
  CHECK(best < 2000); // counted wrongly
#else
  CHECK(best == 0);
#endif
}

} // namespace dynofa_test::latency_fma_peak
