#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/region.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

namespace dynofa::backend::cpu_detail::avx2 {

using vec = __m256;
inline constexpr int lanes = 8;
// 16 registers: 6 × 2 sums, two weights and one broadcast input.
inline constexpr int tile_vectors = 2;
inline constexpr int tile_pixels[] = {0, 12, 6};
inline constexpr int depthwise_tile = 8; // and up to 7 taps, and one input

inline __attribute__((always_inline)) vec load(const float* p) { return _mm256_load_ps(p); }
inline __attribute__((always_inline)) void store(float* p, vec v) { _mm256_store_ps(p, v); }
inline __attribute__((always_inline)) vec broadcast(float x) { return _mm256_set1_ps(x); }
inline __attribute__((always_inline)) vec zero() { return _mm256_setzero_ps(); }
inline __attribute__((always_inline)) vec fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
inline __attribute__((always_inline)) void accumulate(vec& acc, vec a, vec b) { // see avx512
#if defined(__clang__)
  acc = _mm256_fmadd_ps(a, b, acc);
#else
  asm("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
#endif
}
inline __attribute__((always_inline)) vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
inline __attribute__((always_inline)) vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
inline __attribute__((always_inline)) vec max(vec a, vec b) { return _mm256_max_ps(a, b); }
inline __attribute__((always_inline)) vec min(vec a, vec b) { return _mm256_min_ps(a, b); }
inline __attribute__((always_inline)) vec load_half(const std::uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

#include "dynofa/backend/cpu/kernels.inl"

} // namespace dynofa::backend::cpu_detail::avx2

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
