#pragma once
#include "dynofa/backend/cpu/isa_avx512.hpp"

// AVX-512 with VPDPBUSD: four products of bytes and their sum in each of 16 lanes, at the rate of an fp32 multiply-add.

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512vnni,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))),   \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC target("avx512vnni,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,prefer-vector-width=512")
#endif

namespace dynofa::backend::cpu_detail::avx512_vnni {

using avx512::accumulate;
using avx512::activate;
using avx512::add;
using avx512::broadcast;
using avx512::byte_pixels;
using avx512::byte_quads;
using avx512::depthwise_quads;
using avx512::factor;
using avx512::fma;
using avx512::input_offset;
using avx512::ints;
using avx512::lanes;
using avx512::load;
using avx512::load_signed;
using avx512::load_unsigned;
using avx512::max;
using avx512::min;
using avx512::register_offset;
using avx512::store;
using avx512::store_pixels;
using avx512::store_quad;
using avx512::store_tile;
using avx512::store_tile_plus;
using avx512::summed_quads;
using avx512::tile_vectors;
using avx512::vec;
using avx512::vectors_per_block;
using avx512::zero;

inline constexpr bool adds_pairs = false;
inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
#if defined(__clang__)
  sum = (ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)u, (__m512i)w);
#else
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(w)); // see avx512's accumulate
#endif
}
inline __attribute__((always_inline)) void dot_stored(ints& sum, ints u, ints w) { dot(sum, u, w); }

#include "dynofa/backend/cpu/bytes.inl"

} // namespace dynofa::backend::cpu_detail::avx512_vnni

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif
#endif
