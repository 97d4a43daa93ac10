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
using neon::accumulate_lane;
using neon::activate;
using neon::add;
using neon::adds_pairs;
using neon::broadcast;
using neon::depthwise_quads;
using neon::factor;
using neon::fma;
using neon::input_offset;
using neon::ints;
using neon::lanes;
using neon::load;
using neon::load_pixel;
using neon::load_signed;
using neon::made_signed;
using neon::max;
using neon::min;
using neon::register_offset;
using neon::store;
using neon::store_pixel;
using neon::store_pixels;
using neon::store_quad;
using neon::store_tile;
using neon::store_tile_plus;
using neon::summed_quads;
using neon::tile_vectors;
using neon::vec;
using neon::vectors_per_block;
using neon::zero;

inline constexpr int byte_pixels = 6; // 6 × 4 sums

// g++ 12 is told the form and the order: see neon's accumulate. The intrinsics of clang 14 and 15 are there only in
// units that are compiled for them as a whole.
#if defined(__clang__) && (__clang_major__ > 15 || defined(__ARM_FEATURE_DOTPROD))
#define DYNOFA_CPU_DOT_INTRINSICS
#endif
inline __attribute__((always_inline)) void dot_stored(ints& sum, ints s, ints w) {
#if defined(DYNOFA_CPU_DOT_INTRINSICS)
  sum = (ints)vdotq_s32((int32x4_t)sum, (int8x16_t)s, (int8x16_t)w);
#else
  asm volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(s), "w"(w));
#endif
}
inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
  dot_stored(sum, (ints)made_signed((uint8x16_t)u), w);
}
/// sum += in each lane the four products of w and of lane J of s.
template <int J>
DYNOFA_CPU_FN void dot_lane(ints& sum, int8x16_t w, int8x16_t s) {
#if defined(DYNOFA_CPU_DOT_INTRINSICS)
  sum = (ints)vdotq_laneq_s32((int32x4_t)sum, w, s, J);
#else
  asm volatile("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(w), "w"(s), "i"(J));
#endif
}
#undef DYNOFA_CPU_DOT_INTRINSICS

/// Four channels of P pixels, lane J of each, times V registers of weights, two of which are one load.
template <int J, int P, int V>
DYNOFA_CPU_FN void multiply_four(ints (&acc)[P][V], const int8x16_t (&pixels)[P], const std::int8_t* weights,
                                 std::size_t panel) {
  static_assert(V % 2 == 0);
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; v += 2) {
    const std::int8_t* const at = weights + static_cast<std::size_t>(v / vectors_per_block) * panel +
                                  v % vectors_per_block * lanes * 4 + J * 4 * lane_block;
    const int8x16_t w[2] = {vld1q_s8(at), vld1q_s8(at + lanes * 4)};
    DYNOFA_CPU_UNROLL for (int i = 0; i < 2; ++i) DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p)
        dot_lane<J>(acc[p][v + i], w[i], pixels[p]);
  }
}
template <int P>
DYNOFA_CPU_FN void load_pixels(int8x16_t (&pixels)[P], const std::uint8_t* in) {
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) pixels[p] = vreinterpretq_s8_u8(vld1q_u8(in + p * lane_block));
}

/// As that of bytes.inl: SDOT takes the four channels of a step from a lane, so a pixel's sixteen are loaded once.
/// Whole blocks are a loop of their own, with nothing asked in between: with a dot product in two of three issue slots
/// there is room for loads and little else.
template <int P, int V>
DYNOFA_CPU_FN void multiply_blocks(ints (&acc)[P][V], const byte_product& g, const std::uint8_t* in,
                                   const std::int8_t* weights, const std::int8_t* ahead) {
  const std::ptrdiff_t further = ahead - weights;
  const std::size_t in_plane = g.in_plane, panel = g.panel;
  int8x16_t pixels[P];
  const auto k = static_cast<unsigned>(g.k);
  for (unsigned blocks = k / lane_block; blocks > 0; --blocks) {
    load_pixels(pixels, in);
    __builtin_prefetch(weights + further, 0, 2); // where the stream goes on: its next lines follow by themselves
    multiply_four<0>(acc, pixels, weights, panel);
    multiply_four<1>(acc, pixels, weights, panel);
    multiply_four<2>(acc, pixels, weights, panel);
    multiply_four<3>(acc, pixels, weights, panel);
    in += in_plane, weights += lane_block * lane_block;
  }
  const unsigned steps = k % lane_block / 4;
  if (steps == 0) return;
  load_pixels(pixels, in);
  multiply_four<0>(acc, pixels, weights, panel);
  if (steps > 1) multiply_four<1>(acc, pixels, weights, panel);
  if (steps > 2) multiply_four<2>(acc, pixels, weights, panel);
}
#define DYNOFA_CPU_MULTIPLY_BLOCKS
#define DYNOFA_CPU_BYTE_PANELS
#include "dynofa/backend/cpu/bytes.inl"
#undef DYNOFA_CPU_BYTE_PANELS
#undef DYNOFA_CPU_MULTIPLY_BLOCKS

} // namespace dynofa::backend::cpu_detail::neon_dot

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
