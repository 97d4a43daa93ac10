#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/region.hpp"

// 128-bit vectors of the compiler, for any machine: SSE2 on x86-64, NEON on AArch64, whatever there is elsewhere.
namespace dynofa::backend::cpu_detail::portable {

typedef float vec __attribute__((vector_size(16)));
typedef std::uint32_t four_words __attribute__((vector_size(16)));
inline constexpr int lanes = 4;
// 16 registers on the smallest machine that matters: 3 × 4 sums, the weights as operands from memory and one broadcast
// input. Without fused multiply-add, 20 % more than 6 × 2.
inline constexpr int tile_vectors = 4;
inline constexpr int tile_pixels[] = {0, 12, 6, 4, 3};
inline constexpr int depthwise_tile = 7; // and up to 7 taps, and one input

inline __attribute__((always_inline)) vec load(const float* p) { return *reinterpret_cast<const vec*>(p); }
inline __attribute__((always_inline)) void store(float* p, vec v) { *reinterpret_cast<vec*>(p) = v; }
inline __attribute__((always_inline)) vec broadcast(float x) { return vec{x, x, x, x}; }
inline __attribute__((always_inline)) vec factor(float x) { return broadcast(x); }
inline __attribute__((always_inline)) vec zero() { return vec{0.f, 0.f, 0.f, 0.f}; }
inline __attribute__((always_inline)) vec fma(vec a, vec b, vec c) { return a * b + c; }
inline __attribute__((always_inline)) void accumulate(vec& acc, vec a, vec b) { acc += a * b; }
inline __attribute__((always_inline)) vec add(vec a, vec b) { return a + b; }
inline __attribute__((always_inline)) vec mul(vec a, vec b) { return a * b; }
inline __attribute__((always_inline)) vec max(vec a, vec b) { return a > b ? a : b; }
inline __attribute__((always_inline)) vec min(vec a, vec b) { return a < b ? a : b; }
/// The exponent moves from bias 15 to 127 in integers; only subnormal halves need arithmetic, and never a subnormal
/// float, which would be slow.
inline __attribute__((always_inline)) vec load_half(const std::uint16_t* p) {
  typedef std::uint16_t four_halves __attribute__((vector_size(8)));
  four_halves h;
  __builtin_memcpy(&h, p, sizeof(h));
  const four_words w = __builtin_convertvector(h, four_words), exponent = w & 0x7c00u;
  const four_words infinite = (four_words)(exponent == 0x7c00u), subnormal = (four_words)(exponent == 0u);
  const four_words magnitude = ((w & 0x7fffu) << 13) + (112u << 23) + (infinite & (112u << 23));
  const four_words one_up = magnitude + (1u << 23); // 2^-14 · (1 + fraction)
  const vec least = {0x1p-14f, 0x1p-14f, 0x1p-14f, 0x1p-14f};
  const four_words fraction = (four_words)((vec)one_up - least);
  return (vec)((subnormal & fraction) | (~subnormal & magnitude) | (w & 0x8000u) << 16);
}

typedef std::int32_t ints __attribute__((vector_size(16)));
inline constexpr bool adds_pairs = false;
inline constexpr int input_offset = 0;
inline constexpr int byte_quads = 1; // 4 × 4 sums
inline constexpr int byte_pixels = 4;
inline constexpr int depthwise_quads = 1, summed_quads = 1;
/// Products of a code and a weight, 255 · 127 at most, fit 16 bits.
inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
  typedef std::int16_t eight __attribute__((vector_size(16)));
  typedef std::uint16_t eight_codes __attribute__((vector_size(16)));
  const ints even = (ints)((eight)((eight_codes)u & 255) * ((eight)((eight_codes)w << 8) >> 8));
  const ints odd = (ints)((eight)((eight_codes)u >> 8) * ((eight)w >> 8));
  sum += (even >> 16) + (odd >> 16) + ((ints)((four_words)even << 16) >> 16) + ((ints)((four_words)odd << 16) >> 16);
}
inline __attribute__((always_inline)) void dot_stored(ints& sum, ints u, ints w) { dot(sum, u, w); }
/// Codes as floats → codes, in 0 … 255. Adding 1.5 · 2^23 rounds to even.
inline __attribute__((always_inline)) ints rounded_codes(vec r) {
  const vec above = r > zero() ? r : zero(); // NaN becomes 0
  return (ints)(min(above, broadcast(255.f)) + broadcast(12582912.f)) & 255;
}
inline __attribute__((always_inline)) void store_quad(std::uint8_t* to, const vec* r) {
  const ints codes = rounded_codes(r[0]) | rounded_codes(r[1]) << 8 | rounded_codes(r[2]) << 16 |
                     (ints)((four_words)rounded_codes(r[3]) << 24);
  __builtin_memcpy(to, &codes, sizeof(codes));
}
/// Pixels are 16 bytes apart; these are four channels of each.
inline __attribute__((always_inline)) void store_pixels(std::uint8_t* to, const vec* r, int count) {
  typedef std::uint8_t four_bytes __attribute__((vector_size(4)));
  for (int i = 0; i < count; ++i) {
    const four_bytes codes = __builtin_convertvector(rounded_codes(r[i]), four_bytes);
    __builtin_memcpy(to + 16 * i, &codes, sizeof(codes));
  }
}
inline __attribute__((always_inline)) vec load_signed(const std::int8_t* p) {
  return vec{float(p[0]), float(p[1]), float(p[2]), float(p[3])};
}
inline __attribute__((always_inline)) void load_signed(const std::int8_t* p, vec (&to)[4]) {
  for (int v = 0; v < 4; ++v) to[v] = load_signed(p + 4 * v);
}
inline __attribute__((always_inline)) vec load_unsigned(const std::uint8_t* p) {
  return vec{float(p[0]), float(p[1]), float(p[2]), float(p[3])};
}

#include "dynofa/backend/cpu/kernels.inl"

} // namespace dynofa::backend::cpu_detail::portable
