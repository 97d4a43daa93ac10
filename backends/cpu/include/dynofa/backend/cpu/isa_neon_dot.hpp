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
using neon::made_signed;
using neon::max;
using neon::min;
using neon::register_offset;
using neon::store;
using neon::store_pixels;
using neon::store_quad;
using neon::store_tile;
using neon::store_tile_plus;
using neon::summed_quads;
using neon::tile_vectors;
using neon::vec;
using neon::vectors_per_block;
using neon::zero;

// g++ 12 is told the form and the order: see neon's accumulate.
inline __attribute__((always_inline)) void dot_quads(ints& sum, ints s, ints w) {
#if defined(__clang__)
  sum = (ints)vdotq_s32((int32x4_t)sum, (int8x16_t)s, (int8x16_t)w);
#else
  asm volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(s), "w"(w));
#endif
}
inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
  dot_quads(sum, (ints)made_signed((uint8x16_t)u), w);
}
/// sum += in each lane the four products of w and of lane J of s.
template <int J>
DYNOFA_CPU_FN void dot_lane(ints& sum, int8x16_t w, int8x16_t s) {
#if defined(__clang__)
  sum = (ints)vdotq_laneq_s32((int32x4_t)sum, w, s, J);
#else
  asm volatile("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(w), "w"(s), "i"(J));
#endif
}

/// Four channels of P pixels, lane J of each, times V registers of weights.
template <int J, int P, int V>
DYNOFA_CPU_FN void multiply_four(ints (&acc)[P][V], const int8x16_t (&pixels)[P], const std::int8_t* weights,
                                 std::size_t panel) {
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    const int8x16_t w = vld1q_s8(weights + static_cast<std::size_t>(v / vectors_per_block) * panel +
                                 v % vectors_per_block * lanes * 4 + J * 4 * lane_block);
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) dot_lane<J>(acc[p][v], w, pixels[p]);
  }
}

/// As that of bytes.inl: SDOT takes the four channels of a step from a lane, so a pixel's sixteen are loaded, and made
/// signed, once. A whole block asks nothing in between: with a dot product in two of three issue slots there is room
/// for loads and little else.
template <int P, int V>
DYNOFA_CPU_FN void multiply_block(ints (&acc)[P][V], const std::uint8_t* in, const std::int8_t* weights,
                                  std::size_t panel, int steps, const std::int8_t* ahead) {
  __builtin_prefetch(ahead, 0, 2); // where the stream goes on: its next lines follow by themselves
  int8x16_t pixels[P];
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) pixels[p] =
      vreinterpretq_s8_u8(made_signed(vld1q_u8(in + p * lane_block)));
  if (steps == 4) {
    multiply_four<0>(acc, pixels, weights, panel);
    multiply_four<1>(acc, pixels, weights, panel);
    multiply_four<2>(acc, pixels, weights, panel);
    multiply_four<3>(acc, pixels, weights, panel);
    return;
  }
  multiply_four<0>(acc, pixels, weights, panel);
  if (steps > 1) multiply_four<1>(acc, pixels, weights, panel);
  if (steps > 2) multiply_four<2>(acc, pixels, weights, panel);
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
