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
#pragma GCC diagnostic ignored "-Wuninitialized"
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
inline __attribute__((always_inline)) vec factor(float x) { return broadcast(x); }
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

using ints = std::int32_t __attribute__((vector_size(64)));
inline constexpr bool adds_pairs = true;
inline constexpr int input_offset = 0;
inline constexpr int byte_quads = 2; // 8 × 3 sums
inline constexpr int byte_pixels = 8;
inline constexpr int depthwise_quads = 4, summed_quads = 4;
/// Without VNNI. Pairs of products fit 16 bits: byte_weight_rule::pairs sees to it.
inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
  sum += (ints)_mm512_madd_epi16(_mm512_maddubs_epi16((__m512i)u, (__m512i)w), _mm512_set1_epi16(1));
}
inline __attribute__((always_inline)) void dot_stored(ints& sum, ints u, ints w) { dot(sum, u, w); }
inline __attribute__((always_inline)) __m512i rounded_code(vec r) {
  return _mm512_cvtps_epi32(
      _mm512_min_ps(_mm512_set1_ps(255.f), r)); // what is far too large would become 0, as NaN does
}
/// Four registers of codes as floats → in each 128-bit lane four channels of four pixels, [pixel][channel].
inline __attribute__((always_inline)) __m512i rounded_codes(const vec* r) {
  const __m512i low = _mm512_packs_epi32(rounded_code(r[0]), rounded_code(r[1]));
  const __m512i high = _mm512_packs_epi32(rounded_code(r[2]), rounded_code(r[3]));
  return _mm512_packus_epi16(low, high);
}
inline __attribute__((always_inline)) void store_quad(std::uint8_t* to, const vec* r) {
  const __m512i turn = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  _mm512_storeu_si512(to, _mm512_shuffle_epi8(rounded_codes(r), turn));
}
inline __attribute__((always_inline)) void store_pixels(std::uint8_t* to, const vec* r, int count) {
  const __m512i turn = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i pixels = _mm512_permutexvar_epi32(turn, rounded_codes(r));
  if (count == 4)
    _mm512_storeu_si512(to, pixels);
  else
    _mm512_mask_storeu_epi32(to, static_cast<__mmask16>((1u << 4 * count) - 1), pixels);
}
inline __attribute__((always_inline)) vec load_signed(const std::int8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline __attribute__((always_inline)) vec load_unsigned(const std::uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
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
