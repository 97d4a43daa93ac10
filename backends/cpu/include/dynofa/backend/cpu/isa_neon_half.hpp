#pragma once
#include "dynofa/backend/cpu/isa_neon.hpp"

// NEON with arithmetic of halves (ARMv8.2, `fphp` and `asimdhp`): eight of them to a register, twice as many as floats.
// Everything between the stem and the pooled vector is half precision, tensors as well as weights.
//
// What loses precision is not the format, 11 bits, but to add many products in it. So sums are cascades: `run` products
// one after the other, such runs up to a `group` of products in half precision, and groups in fp32. Of 960 products of
// normal values the root mean square of the error, over that of the sums, is 0.00064 with runs of 16 each added in
// fp32, 0.00094 with runs of 32 in groups of 128, 0.0012 with runs of 64 and 0.0017 with runs of 128; docs/kernels.md
// weighs them against instructions. The final rounding alone is 0.0002.

#if defined(__aarch64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("fullfp16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+fp16")
#endif

namespace dynofa::backend::cpu_detail::neon_half {

using vec = float16x8_t;
inline constexpr int lanes = 8;
inline constexpr int vectors_per_block = lane_block / lanes;
// 32 registers: 9 × 2 sums, nine inputs and two weights. With ten pixels, which would take them all, g++ 12 spills.
inline constexpr int tile_vectors = 2;
inline constexpr int tile_pixels[] = {0, 0, 9};
inline constexpr int depthwise_tile = 14; // and up to 7 taps, and one input
/// Products that are added one after the other, and those whose sums are added in half precision: multiples of 16 and
/// of `run`.
inline constexpr int run = 32, group = 128;

// Instructions by name: the intrinsics of clang 14 and 15 are there only in units that are compiled for them as a
// whole.
inline __attribute__((always_inline)) vec add(vec a, vec b) {
  vec c;
  asm("fadd %0.8h, %1.8h, %2.8h" : "=w"(c) : "w"(a), "w"(b));
  return c;
}
inline __attribute__((always_inline)) vec mul(vec a, vec b) {
  vec c;
  asm("fmul %0.8h, %1.8h, %2.8h" : "=w"(c) : "w"(a), "w"(b));
  return c;
}
inline __attribute__((always_inline)) vec max(vec a, vec b) { // a NaN of either is one of the result
  vec c;
  asm("fmax %0.8h, %1.8h, %2.8h" : "=w"(c) : "w"(a), "w"(b));
  return c;
}
inline __attribute__((always_inline)) vec min(vec a, vec b) {
  vec c;
  asm("fmin %0.8h, %1.8h, %2.8h" : "=w"(c) : "w"(a), "w"(b));
  return c;
}
inline __attribute__((always_inline)) vec fma(vec a, vec b, vec c) {
  asm("fmla %0.8h, %1.8h, %2.8h" : "+w"(c) : "w"(a), "w"(b));
  return c;
}
/// acc += a · b. Volatile for the order: see neon's accumulate.
inline __attribute__((always_inline)) void accumulate(vec& acc, vec a, vec b) {
  asm volatile("fmla %0.8h, %1.8h, %2.8h" : "+w"(acc) : "w"(a), "w"(b));
}
/// acc += in · weight with lane J of in, which has to be one of the first sixteen registers.
template <int J>
DYNOFA_CPU_FN void accumulate_lane(vec& acc, vec in, vec weight) {
  asm volatile("fmla %0.8h, %1.8h, %2.h[%3]" : "+w"(acc) : "w"(weight), "x"(in), "i"(J));
}
/// Eight lanes for it. g++ 12 takes any register otherwise, and moves each input before each of its products.
inline __attribute__((always_inline)) vec load_factors(const float16* p) {
  vec in;
  asm("ldr %q0, %1" : "=x"(in) : "m"(*reinterpret_cast<const vec*>(p)));
  return in;
}
/// v · lane J of factors.
template <int J>
DYNOFA_CPU_FN vec mul_lane(vec v, vec factors) {
  vec c;
  asm("fmul %0.8h, %1.8h, %2.h[%3]" : "=w"(c) : "w"(v), "x"(factors), "i"(J));
  return c;
}

inline __attribute__((always_inline)) vec zero() { return vreinterpretq_f16_u16(vdupq_n_u16(0)); }
inline __attribute__((always_inline)) vec broadcast(float x) {
  const float16x4_t four = vcvt_f16_f32(vdupq_n_f32(x));
  return vcombine_f16(four, four);
}
inline __attribute__((always_inline)) vec narrowed(float32x4_t low, float32x4_t high) {
  return vcvt_high_f16_f32(vcvt_f16_f32(low), high);
}
inline __attribute__((always_inline)) vec load(const float* p) { return narrowed(vld1q_f32(p), vld1q_f32(p + 4)); }
inline __attribute__((always_inline)) vec load(const float16* p) {
  return vreinterpretq_f16_u16(vld1q_u16(reinterpret_cast<const std::uint16_t*>(p)));
}
inline __attribute__((always_inline)) void store(float16* p, vec v) {
  vst1q_u16(reinterpret_cast<std::uint16_t*>(p), vreinterpretq_u16_f16(v));
}
inline __attribute__((always_inline)) float32x4_t widened_low(vec v) { return vcvt_f32_f16(vget_low_f16(v)); }
inline __attribute__((always_inline)) float32x4_t widened_high(vec v) { return vcvt_high_f32_f16(v); }
/// Sixteen halves.
inline __attribute__((always_inline)) void widen(float32x4_t (&to)[4], const float16* p) {
  const vec v[2] = {load(p), load(p + lanes)};
  to[0] = widened_low(v[0]), to[1] = widened_high(v[0]), to[2] = widened_low(v[1]), to[3] = widened_high(v[1]);
}

#include "dynofa/backend/cpu/activate.inl"

/// Where register v of a group starts: as that of kernels.inl.
DYNOFA_CPU_FN constexpr std::size_t register_offset(int v, std::size_t plane) {
  return static_cast<std::size_t>(v / vectors_per_block) * plane +
         static_cast<std::size_t>(v % vectors_per_block * lanes);
}

// --- 1×1 ---

/// One channel of P pixels, lane J of each, times a panel's sixteen weights.
template <int J, int P>
DYNOFA_CPU_FN void multiply_one(vec (&acc)[P][2], const vec (&pixels)[P], const float16* weights) {
  const vec w[2] = {load(weights + J * lane_block), load(weights + J * lane_block + lanes)}; // one load
  DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v) DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p)
      accumulate_lane<J>(acc[p][v], pixels[p], w[v]);
}
template <int P>
DYNOFA_CPU_FN void multiply_four(vec (&acc)[P][2], const vec (&pixels)[P], const float16* weights) {
  multiply_one<0>(acc, pixels, weights), multiply_one<1>(acc, pixels, weights);
  multiply_one<2>(acc, pixels, weights), multiply_one<3>(acc, pixels, weights);
}
template <int P>
DYNOFA_CPU_FN void multiply_eight(vec (&acc)[P][2], const vec (&pixels)[P], const float16* weights) {
  multiply_four(acc, pixels, weights);
  multiply_one<4>(acc, pixels, weights), multiply_one<5>(acc, pixels, weights);
  multiply_one<6>(acc, pixels, weights), multiply_one<7>(acc, pixels, weights);
}
template <int P>
DYNOFA_CPU_FN void load_pixels(vec (&pixels)[P], const float16* in) {
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) pixels[p] = load_factors(in + p * lane_block);
}

/// Where the next group of a tile's products starts.
struct group_start {
  const float16 *in, *weights;
};

/// sums [P][16] over k inputs, k ≤ group. Every eight inputs a line of weights `further` on is fetched: those behind it
/// follow by themselves. A function of its own: among whatever else a tile does, g++ 12 finds no registers for 29
/// values, nine of which have to be in the first sixteen.
template <int P>
__attribute__((noinline)) group_start multiply_group(float16* sums, group_start at, std::size_t in_plane, int k,
                                                     std::ptrdiff_t further) {
  const float16 *in = at.in, *weights = at.weights;
  for (bool first = true; k > 0; first = false) {
    vec acc[P][2], pixels[P];
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v) acc[p][v] = zero();
    int left = k < run ? k : run;
    k -= left;
    for (; left >= lane_block; left -= lane_block, in += in_plane, weights += lane_block * lane_block) {
      __builtin_prefetch(weights + further, 0, 2);
      load_pixels(pixels, in);
      multiply_eight(acc, pixels, weights);
      __builtin_prefetch(weights + further + 8 * lane_block, 0, 2);
      load_pixels(pixels, in + lanes);
      multiply_eight(acc, pixels, weights + 8 * lane_block);
    }
    if (left > 0) {
      load_pixels(pixels, in);
      multiply_four(acc, pixels, weights);
    }
    if (left > 4) {
      multiply_one<4>(acc, pixels, weights), multiply_one<5>(acc, pixels, weights);
      multiply_one<6>(acc, pixels, weights), multiply_one<7>(acc, pixels, weights);
    }
    if (left > 8) {
      load_pixels(pixels, in + lanes);
      multiply_four(acc, pixels, weights + 8 * lane_block);
    }
    if (!first) {
      DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v) acc[p][v] =
          add(acc[p][v], load(sums + p * lane_block + v * lanes));
    }
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v)
        store(sums + p * lane_block + v * lanes, acc[p][v]);
  }
  return {in, weights};
}

/// out = act(y (+ residual))
template <int P, epilogue Act>
DYNOFA_CPU_FN void store_outputs(const vec (&y)[P][2], float16* out) {
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v)
      store(out + p * lane_block + v * lanes, activate(y[p][v], Act));
}
template <int P>
DYNOFA_CPU_FN void store_outputs(vec (&y)[P][2], float16* out, const float16* residual, epilogue act) {
  if (residual) {
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v) y[p][v] =
        add(y[p][v], load(residual + p * lane_block + v * lanes));
  }
  if (act == epilogue::relu) return store_outputs<P, epilogue::relu>(y, out);
  if (act == epilogue::h_swish) return store_outputs<P, epilogue::h_swish>(y, out);
  if (act == epilogue::relu6) return store_outputs<P, epilogue::relu6>(y, out);
  store_outputs<P, epilogue::identity>(y, out);
}

/// P pixels × 2 registers, one panel. The sums of one group become outputs in half precision; those of more are added
/// in fp32 on the stack, where they cost a tile no registers, and are narrowed after scale and shift.
template <class Value, class Out, class Weight, int P, int V>
void pointwise_tile(const pointwise_of<float16, float16>& g, const float16* in, const float16* weights, float16* out,
                    const float16* residual, const float* scale, const float* shift, const float16* ahead) {
  static_assert(V == 2);
  const std::ptrdiff_t further = ahead - weights;
  alignas(16) float16 products[P * lane_block];
  group_start next = multiply_group<P>(products, {in, weights}, g.in_plane, g.k < group ? g.k : group, further);
  vec y[P][2];
  if (g.k <= group) {
    DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v) {
      const vec s = load(scale + v * lanes), t = load(shift + v * lanes);
      DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) y[p][v] = fma(load(products + p * lane_block + v * lanes), s, t);
    }
    return store_outputs(y, out, residual, g.act);
  }
  float32x4_t sums[P][4];
  for (int p = 0; p < P; ++p) widen(sums[p], products + p * lane_block);
  for (int k = g.k - group;; k -= group) {
    next = multiply_group<P>(products, next, g.in_plane, k < group ? k : group, further);
    if (k <= group) break;
    for (int p = 0; p < P; ++p) { // pixel by pixel: unrolled, more would be spilled than there is to load
      float32x4_t some[4];
      widen(some, products + p * lane_block);
      DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) sums[p][v] += some[v];
    }
  }
  DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v) {
    const float32x4_t s[2] = {vld1q_f32(scale + v * lanes), vld1q_f32(scale + v * lanes + 4)};
    const float32x4_t t[2] = {vld1q_f32(shift + v * lanes), vld1q_f32(shift + v * lanes + 4)};
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) {
      const vec last = load(products + p * lane_block + v * lanes);
      y[p][v] = narrowed(vfmaq_f32(t[0], sums[p][2 * v] + widened_low(last), s[0]),
                         vfmaq_f32(t[1], sums[p][2 * v + 1] + widened_high(last), s[1]));
    }
  }
  store_outputs(y, out, residual, g.act);
}
#define DYNOFA_CPU_POINTWISE_TILE
#include "dynofa/backend/cpu/pointwise.inl"
#undef DYNOFA_CPU_POINTWISE_TILE

// --- depthwise: up to 49 products, all in half precision ---

/// Of a channel's outputs: those of a strip's row, 14 at most, are added in half precision, and the rows in fp32.
struct running_sum {
  float32x4_t low, high;
};
DYNOFA_CPU_FN running_sum no_sum() { return {vdupq_n_f32(0.f), vdupq_n_f32(0.f)}; }
template <int T>
DYNOFA_CPU_FN void add_row(running_sum& sum, const vec (&outputs)[T]) {
  vec row = outputs[0];
  DYNOFA_CPU_UNROLL for (int t = 1; t < T; ++t) row = add(row, outputs[t]);
  sum.low += widened_low(row), sum.high += widened_high(row);
}
DYNOFA_CPU_FN void add_sum(float* to, const running_sum& sum) {
  vst1q_f32(to, vld1q_f32(to) + sum.low), vst1q_f32(to + 4, vld1q_f32(to + 4) + sum.high);
}
#include "dynofa/backend/cpu/depthwise.inl"

/// With weights as they are packed, in fp32: they are narrowed once per call.
template <int K, int S>
void depthwise_narrowing(const depthwise_of<float16>& g) {
  alignas(16) float16 weights[K * K * lane_block];
  for (int i = 0; i < K * K * lane_block; i += lanes) store(weights + i, load(g.weights + i));
  depthwise<K, S>(depthwise_of<float16, float16>{.in = g.in,
                                                 .row_offset = g.row_offset,
                                                 .in_rows = g.in_rows,
                                                 .out = g.out,
                                                 .out_width = g.out_width,
                                                 .weights = weights,
                                                 .scale = g.scale,
                                                 .shift = g.shift,
                                                 .sum = g.sum,
                                                 .y0 = g.y0,
                                                 .y1 = g.y1,
                                                 .act = g.act});
}

// --- what is left of a network ---

inline void mean_of_halves(const float16* in, int pixels, float* out) {
  float32x4_t sum[4] = {};
  for (int i = 0; i < pixels; ++i, in += lane_block) {
    float32x4_t pixel[4];
    widen(pixel, in);
    DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) sum[v] += pixel[v];
  }
  const float32x4_t share = vdupq_n_f32(1.f / static_cast<float>(pixels));
  DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) vst1q_f32(out + v * 4, vmulq_f32(sum[v], share));
}

/// One channel, lane J of `in`, times a panel's weights.
template <int J>
DYNOFA_CPU_FN void add_products(float32x4_t (&acc)[4][4], float32x4_t in, const float16* weights) {
  float32x4_t w[4];
  widen(w, weights + J * lane_block);
  DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) neon::accumulate_lane<J>(acc[v][J], in, w[v]);
}
/// As neon's matvec_half, to the bit: products and sums in fp32. Four inputs and two registers of weights are a load
/// each, which halves its instructions.
inline void matvec_half(const matvec_args& g) {
  for (int panel = 0; panel < g.panels; ++panel) {
    const float16* weights = static_cast<const float16*>(g.weights) + static_cast<std::size_t>(panel) * g.panel;
    float32x4_t acc[4][4] = {};
    const int fours = g.k / 4 * 4;
    for (int k = 0; k < fours; k += 4, weights += 4 * lane_block) {
      const float32x4_t in = vld1q_f32(g.in + k);
      add_products<0>(acc, in, weights), add_products<1>(acc, in, weights);
      add_products<2>(acc, in, weights), add_products<3>(acc, in, weights);
    }
    for (int k = fours; k < g.k; ++k, weights += lane_block) {
      float32x4_t w[4];
      widen(w, weights);
      DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) acc[v][0] = vfmaq_n_f32(acc[v][0], w[v], g.in[k]);
    }
    DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) {
      const int at = panel * lane_block + v * 4;
      float32x4_t sum = acc[v][0] + acc[v][1] + acc[v][2] + acc[v][3];
      if (g.bias) sum += vld1q_f32(g.bias + at);
      vst1q_f32(g.out + at, neon::activate(sum, g.act));
    }
  }
}

template <int J>
DYNOFA_CPU_FN void scale_row(const float16* in, vec gates, float16* out) {
  DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v)
      store(out + J * lane_block + v * lanes, mul_lane<J>(load(in + J * lane_block + v * lanes), gates));
}
inline void scale_rows_in_half(const float16* in, const float* gate, float16* out, int k) {
  for (int i = 0; i < k; i += 4, in += 4 * lane_block, out += 4 * lane_block) {
    const float16x4_t four = vcvt_f16_f32(vld1q_f32(gate + i));
    const vec gates = vcombine_f16(four, four);
    scale_row<0>(in, gates, out), scale_row<1>(in, gates, out);
    scale_row<2>(in, gates, out), scale_row<3>(in, gates, out);
  }
}

inline void scale_pixels_in_half(float16* data, const float* gate, int pixels) {
  const vec s[2] = {load(gate), load(gate + lanes)};
  for (int i = 0; i < pixels; ++i, data += lane_block) {
    DYNOFA_CPU_UNROLL for (int v = 0; v < 2; ++v) store(data + v * lanes, mul(load(data + v * lanes), s[v]));
  }
}

inline void narrow_to_half(const float* in, float16* out, int blocks) {
  for (int i = 0; i < blocks * lane_block; i += lanes) store(out + i, load(in + i));
}

constexpr kernel_table with_halves(kernel_table k) {
  k.pointwise_in_half = &pointwise<float16, float16, float16>;
  k.depthwise_in_half[0][0] = &depthwise_narrowing<3, 1>, k.depthwise_in_half[0][1] = &depthwise_narrowing<3, 2>;
  k.depthwise_in_half[1][0] = &depthwise_narrowing<5, 1>, k.depthwise_in_half[1][1] = &depthwise_narrowing<5, 2>;
  k.depthwise_in_half[2][0] = &depthwise_narrowing<7, 1>, k.depthwise_in_half[2][1] = &depthwise_narrowing<7, 2>;
  k.matvec_half = &matvec_half;
  k.mean_of_halves = &mean_of_halves;
  k.scale_rows_in_half = &scale_rows_in_half;
  k.scale_pixels_in_half = &scale_pixels_in_half;
  k.narrow_to_half = &narrow_to_half;
  return k;
}

} // namespace dynofa::backend::cpu_detail::neon_half

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
