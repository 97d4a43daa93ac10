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
inline __attribute__((always_inline)) vec factor(float x) { return broadcast(x); }
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

using ints = std::int32_t __attribute__((vector_size(32)));
inline constexpr bool adds_pairs = true;
inline constexpr int input_offset = 0;
inline constexpr int byte_quads = 1; // 4 × 2 sums
inline constexpr int byte_pixels = 4;
inline constexpr int depthwise_quads = 2, summed_quads = 2;
/// Pairs of products fit 16 bits: byte_weight_rule::pairs sees to it.
inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
  sum += (ints)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)u, (__m256i)w), _mm256_set1_epi16(1));
}
inline __attribute__((always_inline)) void dot_stored(ints& sum, ints u, ints w) { dot(sum, u, w); }
inline __attribute__((always_inline)) __m256i rounded_code(vec r) {
  return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(255.f), r)); // see avx512
}
/// Four registers of codes as floats → in each 128-bit lane four channels of four pixels, [pixel][channel].
inline __attribute__((always_inline)) __m256i rounded_codes(const vec* r) {
  const __m256i low = _mm256_packs_epi32(rounded_code(r[0]), rounded_code(r[1]));
  const __m256i high = _mm256_packs_epi32(rounded_code(r[2]), rounded_code(r[3]));
  return _mm256_packus_epi16(low, high);
}
inline __attribute__((always_inline)) void store_quad(std::uint8_t* to, const vec* r) {
  const __m256i turn = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_shuffle_epi8(rounded_codes(r), turn));
}
/// Pixels are 16 bytes apart; these are eight channels of each.
inline __attribute__((always_inline)) void store_pixels(std::uint8_t* to, const vec* r, int count) {
  const __m256i turn = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i pixels = _mm256_permutevar8x32_epi32(rounded_codes(r), turn);
  const __m128i low = _mm256_castsi256_si128(pixels), high = _mm256_extracti128_si256(pixels, 1);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), low);
  if (count > 1) _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 16), _mm_unpackhi_epi64(low, low));
  if (count > 2) _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 32), high);
  if (count > 3) _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 48), _mm_unpackhi_epi64(high, high));
}
inline __attribute__((always_inline)) vec load_signed(const std::int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline __attribute__((always_inline)) vec load_unsigned(const std::uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

#include "dynofa/backend/cpu/kernels.inl"

} // namespace dynofa::backend::cpu_detail::avx2

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
