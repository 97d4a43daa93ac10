#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/region.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace dynofa::backend::cpu_detail::neon {

using vec = float32x4_t;
inline constexpr int lanes = 4;
// 32 registers: 6 × 4 sums, four weights and one broadcast input.
inline constexpr int tile_vectors = 4;
inline constexpr int tile_pixels[] = {0, 12, 8, 8, 6};
inline constexpr int depthwise_tile = 14; // and up to 7 taps, and one input

inline __attribute__((always_inline)) vec load(const float* p) { return vld1q_f32(p); }
inline __attribute__((always_inline)) void store(float* p, vec v) { vst1q_f32(p, v); }
inline __attribute__((always_inline)) vec broadcast(float x) { return vdupq_n_f32(x); }
inline __attribute__((always_inline)) vec zero() { return vdupq_n_f32(0.f); }
inline __attribute__((always_inline)) vec fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
inline __attribute__((always_inline)) void accumulate(vec& acc, vec a, vec b) { acc = vfmaq_f32(acc, a, b); }
inline __attribute__((always_inline)) vec add(vec a, vec b) { return vaddq_f32(a, b); }
inline __attribute__((always_inline)) vec mul(vec a, vec b) { return vmulq_f32(a, b); }
inline __attribute__((always_inline)) vec max(vec a, vec b) { return vmaxq_f32(a, b); }
inline __attribute__((always_inline)) vec min(vec a, vec b) { return vminq_f32(a, b); }
inline __attribute__((always_inline)) vec load_half(const std::uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

#include "dynofa/backend/cpu/kernels.inl"

} // namespace dynofa::backend::cpu_detail::neon
#endif
