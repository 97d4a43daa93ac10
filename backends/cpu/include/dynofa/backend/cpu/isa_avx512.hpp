#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/region.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))),              \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" // g++ 12 about its own _mm512_undefined_ps
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,prefer-vector-width=512")
#endif

namespace dynofa::backend::cpu_detail::avx512 {

using vec = __m512;
inline constexpr int lanes = 16;
// 32 registers: 14 × 2 or 9 × 3 sums, the weights and one broadcast input.
inline constexpr int tile_vectors = 3;
inline constexpr int tile_pixels[] = {0, 14, 14, 9};
inline constexpr int depthwise_tile = 14; // and up to 7 taps, and one input

inline __attribute__((always_inline)) vec load(const float* p) { return _mm512_load_ps(p); }
inline __attribute__((always_inline)) void store(float* p, vec v) { _mm512_store_ps(p, v); }
inline __attribute__((always_inline)) vec broadcast(float x) { return _mm512_set1_ps(x); }
inline __attribute__((always_inline)) vec zero() { return _mm512_setzero_ps(); }
inline __attribute__((always_inline)) vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
/// acc += a · b. g++ 12 is told the form: left to choose, it renames sums until a tile of 28 no longer fits and spills
/// some.
inline __attribute__((always_inline)) void accumulate(vec& acc, vec a, vec b) {
#if defined(__clang__)
  acc = _mm512_fmadd_ps(a, b, acc);
#else
  asm("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
#endif
}
inline __attribute__((always_inline)) vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
inline __attribute__((always_inline)) vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
inline __attribute__((always_inline)) vec max(vec a, vec b) { return _mm512_max_ps(a, b); }
inline __attribute__((always_inline)) vec min(vec a, vec b) { return _mm512_min_ps(a, b); }
inline __attribute__((always_inline)) vec load_half(const std::uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

#include "dynofa/backend/cpu/kernels.inl"

} // namespace dynofa::backend::cpu_detail::avx512

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif
#endif
