#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/region.hpp"

// 128-bit vectors of the compiler, for any machine: SSE2 on x86-64, NEON on AArch64, whatever there is elsewhere.
namespace dynofa::backend::cpu_detail::portable {

typedef float vec __attribute__((vector_size(16)));
inline constexpr int lanes = 4;
// 16 registers on the smallest machine that matters: 3 × 4 sums, the weights as operands from memory and one broadcast
// input. Without fused multiply-add, 20 % more than 6 × 2.
inline constexpr int tile_vectors = 4;
inline constexpr int tile_pixels[] = {0, 12, 6, 4, 3};
inline constexpr int depthwise_tile = 7; // and up to 7 taps, and one input

inline __attribute__((always_inline)) vec load(const float* p) { return *reinterpret_cast<const vec*>(p); }
inline __attribute__((always_inline)) void store(float* p, vec v) { *reinterpret_cast<vec*>(p) = v; }
inline __attribute__((always_inline)) vec broadcast(float x) { return vec{x, x, x, x}; }
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
  typedef std::uint32_t four_words __attribute__((vector_size(16)));
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

#include "dynofa/backend/cpu/kernels.inl"

} // namespace dynofa::backend::cpu_detail::portable
