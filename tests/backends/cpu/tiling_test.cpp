#include "dynofa/backend/cpu/lookahead.hpp"
#include "dynofa/backend/cpu/tiling.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::backends_cpu_tiling {

using namespace dynofa;
using namespace dynofa::backend::cpu_detail;

TEST_CASE("what a block keeps fits half of L2, or is one band of one row") {
  for (std::size_t l2 : {64u << 10, 256u << 10, 512u << 10, 1u << 20, 4u << 20})
    for (int kernel : {3, 5, 7})
      for (int stride : {1, 2})
        for (int size : {1, 2, 7, 14, 27, 56, 112})
          for (int mid : {24, 72, 408, 1152}) {
            const block b{.kind = block_kind::inverted_residual,
                          .kernel = std::uint8_t(kernel),
                          .stride = std::uint8_t(stride),
                          .in_size = size,
                          .out_size = (size - 1) / stride + 1,
                          .in_channels = 24,
                          .mid_channels = mid,
                          .out_channels = 32};
            const tiling t = tiling::of(b, {32 * 1024, l2});
            CHECK(t.band_rows >= 1);
            CHECK(t.band_rows <= b.out_size);
            CHECK(t.ring_rows <= size);
            if (t.banded) {
              const bool fits = (t.ring_floats + t.band_floats) * sizeof(float) <= l2 / 2;
              CHECK((fits || t.band_rows == 1));
              CHECK(t.ring_rows >= std::min(size, (t.band_rows - 1) * stride + kernel)); // all rows of a band at once
            } else {
              CHECK(t.ring_floats * sizeof(float) <= l2 / 2);
              CHECK(t.ring_rows == size);
            }
          }
}

TEST_CASE("cores that share an image share rows of smaller maps than one core bands") {
  const auto banded = [](int size, bool shared) {
    const block b{.kind = block_kind::inverted_residual,
                  .kernel = 5,
                  .stride = 1,
                  .in_size = size,
                  .out_size = size,
                  .in_channels = 32,
                  .mid_channels = 192,
                  .out_channels = 32};
    return tiling::of(b, {.l1 = 48 << 10, .l2 = 1 << 20, .shared_image = shared}).banded;
  };
  CHECK_FALSE(banded(28, true));
  CHECK_FALSE(banded(44, false));
  CHECK(banded(44, true));
  CHECK(banded(56, false));
}

TEST_CASE("chunks of panels: threes and an even rest, never a lonely one") {
  for (int panels = 2; panels < 80; ++panels) {
    int done = 0;
    for (int left = panels; left > 0; left -= next_chunk(left)) {
      CHECK(next_chunk(left) >= 2);
      done += next_chunk(left);
    }
    CHECK(done == panels);
  }
  CHECK(next_chunk(1) == 1);
}

TEST_CASE("a lookahead hands out its regions in order, slice by slice") {
  std::byte memory[1000];
  lookahead l;
  l.add(memory, 100);
  l.add(memory + 200, 64, 300, 2);
  l.add(memory, 0);
  CHECK(l.slices(64) == 4);
  auto offset = [&](const void* p) { return static_cast<const std::byte*>(p) - memory; };
  CHECK(offset(l.next(64)) == 0);
  CHECK(offset(l.next(64)) == 64);
  CHECK(offset(l.next(64)) == 200);
  CHECK(offset(l.next(64)) == 500);
  CHECK(l.next(64) == nullptr);
  CHECK(l.slices(64) == 0);
}

} // namespace dynofa_test::backends_cpu_tiling
