// ctest: allocations
#include "dynofa/backend/cpu.hpp"

#include <doctest/doctest.h>

#include "backends/cpu/networks.hpp"
#include "support/allocations.hpp"

namespace dynofa_test::backends_cpu_allocation {

#if SUPPORT_COUNTS_ALLOCATIONS
using support::allocations;

TEST_CASE("running an image allocates nothing") {
  using namespace dynofa;
  using namespace cpu_tests;
  const long before_all = allocations.load();
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 2));
  CHECK(allocations.load() > before_all); // the hooks count
  const plan plans[] = {make_plan(d, arch_of(d, 96, 0), 1, true), make_plan(d, arch_of(d, 64, 1), 2)};
  for (const char* weights : {"fp32", "fp16", "bf16"})
    for (int threads : {1, 2, 3}) {
      const backend::cpu b{.threads = threads, .weights = weights};
      const auto packed = b.pack(net);
      auto space = b.make_workspace(plans);
      const backend::cpu::bound levels[] = {b.bind(packed, plans[0], norms_of(*net, plans[0])),
                                            b.bind(packed, plans[1], norms_of(*net, plans[1]))};
      const std::vector<float> image = normals(2 * 96 * 96 * 3, 1);
      std::vector<float> logits(20), block_out(2 * 96 * 96 * 24);
      const long before = allocations.load();
      for (int i = 0; i < 4; ++i) { // the very first run too, and every switch of level
        const plan& p = plans[i % 2];
        const auto batch = static_cast<std::size_t>(p.batch), r = static_cast<std::size_t>(p.arch.r);
        b.run(levels[i % 2], space, std::span(image).first(batch * r * r * 3), std::span(logits).first(batch * 10));
        b.run_block(levels[i % 2], space, 0, std::span(image).first(batch * r * r * 3),
                    std::span(block_out).first(batch * static_cast<std::size_t>(p.blocks[0].out_values())));
        (void)b.time_block(levels[i % 2], space, 3, 2);
      }
      CHECK(allocations.load() == before);
    }
}
#endif

} // namespace dynofa_test::backends_cpu_allocation
