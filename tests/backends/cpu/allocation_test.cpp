#include "dynofa/backend/cpu.hpp"

#include <doctest/doctest.h>

#include "backends/cpu/networks.hpp"
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

// Every way to the heap is counted: the C functions are replaced where the C library lets us (glibc keeps the originals
// under
// __libc_ names), and with them operator new, which calls malloc. Sanitizers bring their own and are left alone.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DYNOFA_COUNTS 0
#endif
#endif
#ifndef DYNOFA_COUNTS
#define DYNOFA_COUNTS 1
#endif
#else
#define DYNOFA_COUNTS 0
#endif

namespace {
[[maybe_unused]] std::atomic<long> allocations{0}; // sanitizers bring their own malloc: nothing counts there
}

#if DYNOFA_COUNTS
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) { return ++allocations, __libc_malloc(n); }
void* calloc(std::size_t n, std::size_t m) { return ++allocations, __libc_calloc(n, m); }
void* realloc(void* p, std::size_t n) { return ++allocations, __libc_realloc(p, n); }
void* memalign(std::size_t a, std::size_t n) { return ++allocations, __libc_memalign(a, n); }
void* aligned_alloc(std::size_t a, std::size_t n) { return ++allocations, __libc_memalign(a, n); }
int posix_memalign(void** p, std::size_t a, std::size_t n) {
  return ++allocations, (*p = __libc_memalign(a, n)) ? 0 : ENOMEM;
}
}

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
