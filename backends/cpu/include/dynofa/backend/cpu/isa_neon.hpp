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
/// acc += a · b. g++ 12 is told the form, and by `volatile` the order: left to choose, it moves loads up before it
/// hands out registers, 24 sums no longer fit, and a tile of 6 × 4 takes 1.4 times as long on a Neoverse N1
/// (mca_figures).
inline __attribute__((always_inline)) void accumulate(vec& acc, vec a, vec b) {
#if defined(__clang__)
  acc = vfmaq_f32(acc, a, b);
#else
  asm volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(acc) : "w"(a), "w"(b));
#endif
}
/// A multiply-add takes its input from a lane: to broadcast it in a load (LD1R) would cost an issue slot of one.
inline __attribute__((always_inline)) float factor(float x) { return x; }
inline __attribute__((always_inline)) void accumulate(vec& acc, float a, vec b) {
#if defined(__clang__)
  acc = vfmaq_n_f32(acc, b, a);
#else
  asm volatile("fmla %0.4s, %1.4s, %2.s[0]" : "+w"(acc) : "w"(b), "w"(a));
#endif
}
/// acc += in · weight with lane J of in.
template <int J>
DYNOFA_CPU_FN void accumulate_lane(vec& acc, vec in, vec weight) {
#if defined(__clang__)
  acc = vfmaq_laneq_f32(acc, weight, in, J);
#else
  asm volatile("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(acc) : "w"(weight), "w"(in), "i"(J));
#endif
}
inline __attribute__((always_inline)) vec add(vec a, vec b) { return vaddq_f32(a, b); }
inline __attribute__((always_inline)) vec mul(vec a, vec b) { return vmulq_f32(a, b); }
inline __attribute__((always_inline)) vec max(vec a, vec b) { return vmaxq_f32(a, b); }
inline __attribute__((always_inline)) vec min(vec a, vec b) { return vminq_f32(a, b); }
inline __attribute__((always_inline)) vec load_half(const std::uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

using ints = std::int32_t __attribute__((vector_size(16)));
inline constexpr bool adds_pairs = false;
inline constexpr int input_offset = 128; // products of signed bytes only
inline constexpr int byte_pixels = 4;    // 4 × 4 sums
inline constexpr int depthwise_quads = 4, summed_quads = 3;
/// Codes less 128, as signed bytes.
inline __attribute__((always_inline)) uint8x16_t made_signed(uint8x16_t codes) { return codes ^ vdupq_n_u8(128); }
/// A weight is 127 at most, so two products fit 16 bits.
inline __attribute__((always_inline)) void dot_stored(ints& sum, ints s, ints w) {
  const int8x16_t a = (int8x16_t)s, b = (int8x16_t)w;
  const int16x8_t pairs = vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b));
#if defined(__clang__)
  sum = (ints)vpadalq_s16((int32x4_t)sum, pairs);
#else
  asm volatile("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(pairs));
#endif
}
inline __attribute__((always_inline)) void dot(ints& sum, ints u, ints w) {
  dot_stored(sum, (ints)made_signed((uint8x16_t)u), w);
}
/// Four registers of codes as floats → four channels of four pixels, [pixel][channel]. Narrowing cuts off; a NaN
/// becomes 0.
inline __attribute__((always_inline)) uint8x16_t rounded_codes(const vec* r) {
  const uint16x8_t low = vqmovn_high_u32(vqmovn_u32(vcvtnq_u32_f32(r[0])), vcvtnq_u32_f32(r[1]));
  const uint16x8_t high = vqmovn_high_u32(vqmovn_u32(vcvtnq_u32_f32(r[2])), vcvtnq_u32_f32(r[3]));
  return vqmovn_high_u16(vqmovn_u16(low), high);
}
/// Made signed here, once, and not by each of the kernels that will read it.
inline __attribute__((always_inline)) void store_quad(std::uint8_t* to, const vec* r) {
  static constexpr std::uint8_t turn[] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  vst1q_u8(to, made_signed(vqtbl1q_u8(rounded_codes(r), vld1q_u8(turn))));
}
/// Pixels are 16 bytes apart; these are four channels of each.
inline __attribute__((always_inline)) void store_pixels(std::uint8_t* to, const vec* r, int count) {
  const uint32x4_t pixels = vreinterpretq_u32_u8(made_signed(rounded_codes(r)));
  const auto put = [](std::uint8_t* at, std::uint32_t four) { __builtin_memcpy(at, &four, sizeof(four)); };
  if (count > 3) { // mostly: asked once, not three times
    put(to, vgetq_lane_u32(pixels, 0)), put(to + 16, vgetq_lane_u32(pixels, 1));
    put(to + 32, vgetq_lane_u32(pixels, 2)), put(to + 48, vgetq_lane_u32(pixels, 3));
    return;
  }
  put(to, vgetq_lane_u32(pixels, 0));
  if (count > 1) put(to + 16, vgetq_lane_u32(pixels, 1));
  if (count > 2) put(to + 32, vgetq_lane_u32(pixels, 2));
}
/// Bytes 4·V to 4·V + 3 of a block, each the upper byte of a word: as fixed-point numbers with 24 binary digits they
/// are themselves. So two instructions make four floats, where it takes two and a half to widen them first.
template <int V>
DYNOFA_CPU_FN uint8x16_t upper_bytes(uint8x16_t block) {
  static constexpr std::uint8_t from[] = {99, 99, 99, 4 * V,     99, 99, 99, 4 * V + 1,
                                          99, 99, 99, 4 * V + 2, 99, 99, 99, 4 * V + 3}; // 99: none, which gives 0
  return vqtbl1q_u8(block, vld1q_u8(from));
}
template <int V>
DYNOFA_CPU_FN vec signed_floats(uint8x16_t block) {
  return vcvtq_n_f32_s32(vreinterpretq_s32_u8(upper_bytes<V>(block)), 24);
}
template <int V>
DYNOFA_CPU_FN vec code_floats(uint8x16_t codes) {
  return vcvtq_n_f32_u32(vreinterpretq_u32_u8(upper_bytes<V>(codes)), 24);
}
/// A whole block.
inline __attribute__((always_inline)) void load_signed(const std::int8_t* p, vec (&to)[4]) {
  const uint8x16_t block = vreinterpretq_u8_s8(vld1q_s8(p));
  to[0] = signed_floats<0>(block), to[1] = signed_floats<1>(block);
  to[2] = signed_floats<2>(block), to[3] = signed_floats<3>(block);
}
/// All codes of a pixel.
inline __attribute__((always_inline)) void load_pixel(const std::uint8_t* p, vec (&to)[4]) {
  const uint8x16_t codes = made_signed(vld1q_u8(p)); // once more is back
  to[0] = code_floats<0>(codes), to[1] = code_floats<1>(codes);
  to[2] = code_floats<2>(codes), to[3] = code_floats<3>(codes);
}
inline __attribute__((always_inline)) void store_pixel(std::uint8_t* to, const vec (&r)[4]) {
  vst1q_u8(to, made_signed(rounded_codes(r)));
}

#define DYNOFA_CPU_BYTE_PANELS
#include "dynofa/backend/cpu/kernels.inl"
#undef DYNOFA_CPU_BYTE_PANELS

} // namespace dynofa::backend::cpu_detail::neon
#endif
