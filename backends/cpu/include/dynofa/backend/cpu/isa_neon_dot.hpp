#pragma once
#include "dynofa/backend/cpu/isa_neon.hpp"

// NEON with SDOT (ARMv8.2, `asimddp`): four products of signed bytes and their sum in each of four lanes.

#if defined(__aarch64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

namespace dynofa::backend::cpu_detail::neon_dot {

using neon::accumulate;
using neon::activate;
using neon::add;
using neon::adds_pairs;
using neon::broadcast;
using neon::byte_quads;
using neon::depthwise_quads;
using neon::factor;
using neon::fma;
using neon::input_offset;
using neon::ints;
using neon::lanes;
using neon::load;
using neon::load_signed;
using neon::load_unsigned;
using neon::max;
using neon::min;
using neon::register_offset;
using neon::store;
using neon::store_pixels;
using neon::store_quad;
using neon::store_tile;
using neon::store_tile_plus;
using neon::tile_vectors;
using neon::vec;
using neon::vectors_per_block;
using neon::zero;

inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
  sum = (ints)vdotq_s32((int32x4_t)sum, (int8x16_t)((uint8x16_t)u ^ vdupq_n_u8(128)), (int8x16_t)w);
}

/// As that of bytes.inl: SDOT takes the four channels of a step from a lane, so a pixel's sixteen are loaded, and made
/// signed, once.
template <int P, int V>
DYNOFA_CPU_FN void multiply_block(ints (&acc)[P][V], const std::uint8_t* in, const std::int8_t* weights,
                                  std::size_t panel, int steps, const std::int8_t* ahead) {
  __builtin_prefetch(ahead, 0, 2); // where the stream goes on: its next lines follow by themselves
  int8x16_t pixels[P];
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) pixels[p] =
      vreinterpretq_s8_u8(veorq_u8(vld1q_u8(in + p * lane_block), vdupq_n_u8(128)));
  DYNOFA_CPU_UNROLL for (int j = 0; j < 4; ++j) {
    if (j == steps) return;
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
      const int8x16_t w = vld1q_s8(weights + static_cast<std::size_t>(v / vectors_per_block) * panel +
                                   v % vectors_per_block * lanes * 4);
      DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) acc[p][v] =
          (ints)(j == 0   ? vdotq_laneq_s32((int32x4_t)acc[p][v], w, pixels[p], 0)
                 : j == 1 ? vdotq_laneq_s32((int32x4_t)acc[p][v], w, pixels[p], 1)
                 : j == 2 ? vdotq_laneq_s32((int32x4_t)acc[p][v], w, pixels[p], 2)
                          : vdotq_laneq_s32((int32x4_t)acc[p][v], w, pixels[p], 3));
    }
    weights += 4 * lane_block;
  }
}
#define DYNOFA_CPU_MULTIPLY_BLOCK
#include "dynofa/backend/cpu/bytes.inl"
#undef DYNOFA_CPU_MULTIPLY_BLOCK

} // namespace dynofa::backend::cpu_detail::neon_dot

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
