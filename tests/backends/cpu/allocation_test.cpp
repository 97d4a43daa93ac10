// ctest: allocations
#include "dynofa/backend/cpu.hpp"
#include "dynofa/testing/conformance.hpp"

#include <doctest/doctest.h>

#include "support/allocations.hpp"
#include <memory>
#include <string>

namespace dynofa_test::backends_cpu_allocation {

#if SUPPORT_COUNTS_ALLOCATIONS
using support::allocations;

TEST_CASE("running an image allocates nothing") {
  using namespace dynofa;
  const long before_all = allocations.load();
  conformance::suite suite(std::make_shared<const supernet>(random_supernet(conformance::every_block(), 2)));
  suite.add(conformance::varied_arch(suite.net->space, 64, 1)); // two levels, one of them of two images
  suite.add(conformance::varied_arch(suite.net->space, 23, 2), 2);
  CHECK(allocations.load() > before_all); // the hooks count
  for (const char* weights : {"fp32", "fp16", "bf16"})
    for (int threads : {1, 2, 3}) {
      const auto report = conformance::judge(
          backend::cpu{.threads = threads, .weights = weights}, suite,
          {.block_tolerance = 1, .logits_tolerance = 1, .allocations = [] { return allocations.load(); }});
      for (const std::string& finding : report.findings) FAIL_CHECK(finding);
    }
}
#endif

} // namespace dynofa_test::backends_cpu_allocation
