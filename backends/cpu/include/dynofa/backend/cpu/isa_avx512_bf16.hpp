#pragma once
#include "dynofa/backend/cpu/isa_avx512.hpp"

// AVX-512 with VDPBF16PS: two products and two sums of bf16 in each of 16 lanes, at the rate of an fp32 multiply-add.
// Everything that is no pointwise product of bf16 is avx512's.

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))),   \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512bf16,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,prefer-vector-width=512")
#endif

namespace dynofa::backend::cpu_detail::avx512_bf16 {

using avx512::activate;
using avx512::add;
using avx512::fma;
using avx512::lanes;
using avx512::load;
using avx512::register_offset;
using avx512::tile_pixels;
using avx512::tile_vectors;
using avx512::vec;
using avx512::vectors_per_block;
using avx512::zero;

inline __attribute__((always_inline)) void store(float* p, vec v) { _mm512_store_ps(p, v); }
inline __attribute__((always_inline)) void store(bfloat16* p, vec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v));
}

template <class Value, class Weight>
struct operands;
template <>
struct operands<bfloat16, bfloat16> {
  static constexpr int channels = 2;
  static inline __attribute__((always_inline)) vec weights(const bfloat16* p, int j) {
    return _mm512_loadu_ps(p + j * lane_block);
  }
  static inline __attribute__((always_inline)) vec input(const bfloat16* p) {
    int pair;
    __builtin_memcpy(&pair, p, sizeof(pair));
    return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
  }
  static inline __attribute__((always_inline)) void multiply(vec& sum, vec a, vec b) {
#if defined(__clang__)
    sum = _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#else
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b)); // see avx512's accumulate
#endif
  }
};

#include "dynofa/backend/cpu/pointwise.inl"

constexpr kernel_table with_dot_products(kernel_table k) {
  k.expand_bf16 = &pointwise<bfloat16, float, bfloat16>;
  k.project_bf16 = &pointwise<bfloat16, bfloat16, bfloat16>;
  return k;
}
inline constexpr kernel_table kernels = with_dot_products(avx512::kernels);

} // namespace dynofa::backend::cpu_detail::avx512_bf16

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif
#endif
