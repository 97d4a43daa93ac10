// ctest: allocations
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/cpu/thread_pool.hpp"
#include "dynofa/calibrate/calibrator.hpp"
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/testing/conformance.hpp"

#include <doctest/doctest.h>

#include "support/allocations.hpp"
#include "support/tiny_space.hpp"
#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <vector>

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
  conformance::suite in_bytes(suite.net);
  in_bytes.in_bytes = backend::cpu{}.byte_rule();
  in_bytes.add(conformance::varied_arch(suite.net->space, 64, 1));
  in_bytes.add(conformance::varied_arch(suite.net->space, 23, 2), 2);
  for (const std::string weights : {"fp32", "fp16", "bf16", "int8"})
    for (int threads : {1, 2, 3}) {
      const auto report = conformance::judge(
          backend::cpu{.threads = threads, .weights = weights}, weights == "int8" ? in_bytes : suite,
          {.block_tolerance = 1, .logits_tolerance = 1, .allocations = [] { return allocations.load(); }});
      for (const std::string& finding : report.findings) FAIL_CHECK(finding);
    }
}

namespace {

/// Runs `job` again and again, each time with one later allocation that finds no memory, until none is left; every time
/// it ends, well or with what says so.
template <class Job>
int with_every_allocation_refused(Job&& job) {
  for (int n = 1;; ++n) {
    support::refused_allocation = allocations + n;
    bool failed = false;
    try {
      job();
    } catch (const std::bad_alloc&) {
      failed = true;
    } catch (const dynofa::error&) {
      failed = true;
    }
    const bool done = allocations < support::refused_allocation;
    support::refused_allocation = 0;
    if (done) return failed ? -1 : n;
  }
}

} // namespace

TEST_CASE("no memory while threads start, or on one of them, is thrown at the caller") {
  using namespace dynofa;
  CHECK(with_every_allocation_refused([] { backend::cpu_detail::thread_pool pool{4}; }) > 4);
  CHECK(with_every_allocation_refused([] { parallel_for(100, 4, [](std::size_t) {}); }) > 4);
  std::atomic<int> kept{0};
  CHECK(with_every_allocation_refused([&] {
          parallel_for(8, 4, [&](std::size_t i) { kept += static_cast<int>(std::vector<int>(100 + i).size()); });
        }) > 12);
}

TEST_CASE("a batch of calibration counts whole or not at all") {
  using namespace dynofa;
  supernet_ptr net = support::odd_resnet();
  arch a = smallest(net->space);
  SUBCASE("whole tensors") {}
  SUBCASE("fused") {
    net = std::make_shared<const supernet>(random_supernet(conformance::every_block(), 2));
    a = conformance::varied_arch(net->space, 64, 2);
  }
  const backend::cpu b{.threads = 3};
  const auto packed = b.pack(net);
  const auto with_images = [&] {
    auto c = std::make_unique<calibrator<backend::cpu>>(b, net, packed, a, 3);
    for (std::size_t n = 0; n < 3; ++n) c->load(n, conformance::normals(image_values(a.r), n));
    return c;
  };
  const auto wanted = with_images();
  wanted->add(3);
  const auto tried = with_images();
  bool whole = false;
  CHECK(with_every_allocation_refused([&] {
          if (!whole) tried->add(3), whole = true;
        }) > 20);
  CHECK(tried->statistics() == wanted->statistics());
}
#endif

} // namespace dynofa_test::backends_cpu_allocation
