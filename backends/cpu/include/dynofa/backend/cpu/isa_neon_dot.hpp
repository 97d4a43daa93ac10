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

#include "dynofa/backend/cpu/bytes.inl"

} // namespace dynofa::backend::cpu_detail::neon_dot

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
