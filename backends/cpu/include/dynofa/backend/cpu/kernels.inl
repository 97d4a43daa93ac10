// The kernels, once for every instruction set: included inside the namespace and the target region of one (isa_*.hpp),
// which defines before
//   vec, lanes            a register of `lanes` floats (lanes divides 16)
//   load, store, broadcast, zero, fma(a, b, c) = a·b + c, accumulate(c, a, b): c += a·b, add, mul, load_half
//   factor(x)             the float x as `accumulate` wants an `a` that is the same in every lane
//   max, min              give the second operand where that is NaN
//   tile_pixels[V]        how many pixels times V registers of output one pointwise tile holds
//   tile_vectors          the largest V
//   depthwise_tile        output pixels of one depthwise strip
// Nothing here may be a lambda or a template of someone else's: those would not get the region's target. No include
// guard: it is included once per instruction set.

inline constexpr int vectors_per_block = lane_block / lanes;

#include "dynofa/backend/cpu/activate.inl"

/// Where register v of a group starts: whole blocks are `plane` apart, parts of a block follow each other.
DYNOFA_CPU_FN constexpr std::size_t register_offset(int v, std::size_t plane) {
  return static_cast<std::size_t>(v / vectors_per_block) * plane +
         static_cast<std::size_t>(v % vectors_per_block * lanes);
}

// bf16 is widened by a shift and narrowed by integer arithmetic, the same on every instruction set.
using words = std::uint32_t __attribute__((vector_size(lanes * 4)));
using halves = std::uint16_t __attribute__((vector_size(lanes * 2)));

DYNOFA_CPU_FN words load_words(const bfloat16* p) {
  words w;
  __builtin_memcpy(&w, p, sizeof(w));
  return w;
}
DYNOFA_CPU_FN vec load(const bfloat16* p) {
  halves h;
  __builtin_memcpy(&h, p, sizeof(h));
  return (vec)(__builtin_convertvector(h, words) << 16);
}
/// Rounded to nearest even in the upper half of each word; the lower half is of no meaning. A NaN is cut off instead:
/// one whose bits are all ones would be rounded to −0.
DYNOFA_CPU_FN words rounded(vec v) {
  const words w = (words)v;
  return w + ((words)(v == v) & (0x7fff + (w >> 16 & 1)));
}
DYNOFA_CPU_FN void store(bfloat16* p, vec v) {
  const halves h = __builtin_convertvector(rounded(v) >> 16, halves);
  __builtin_memcpy(p, &h, sizeof(h));
}

DYNOFA_CPU_FN vec load(const float16* p) { return load_half(reinterpret_cast<const std::uint16_t*>(p)); }

/// One step of a pointwise tile over `channels` inputs. bf16 without a dot product: one channel of each pair at a time.
template <class Value, class Weight>
struct operands {
  static constexpr int channels = 1;
  static inline __attribute__((always_inline)) vec weights(const Weight* p, int j) { return load(p + j * lane_block); }
  static inline __attribute__((always_inline)) auto input(const float* p) { return factor(*p); }
  static inline __attribute__((always_inline)) void multiply(vec& sum, decltype(factor(0.f)) a, vec b) {
    accumulate(sum, a, b);
  }
};
template <>
struct operands<bfloat16, bfloat16> {
  static constexpr int channels = 1;
  static inline __attribute__((always_inline)) vec weights(const bfloat16* p, int j) {
    const words pairs = load_words(p + j / 2 * 2 * lane_block);
    return (vec)(j % 2 ? pairs & 0xffff0000u : pairs << 16);
  }
  static inline __attribute__((always_inline)) auto input(const bfloat16* p) {
    const std::uint32_t bits = static_cast<std::uint32_t>(*p) << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof(value));
    return factor(value);
  }
  static inline __attribute__((always_inline)) void multiply(vec& sum, decltype(factor(0.f)) a, vec b) {
    accumulate(sum, a, b);
  }
};

#include "dynofa/backend/cpu/pointwise.inl"

/// Of a channel's outputs, whose mean squeeze-excite wants.
using running_sum = vec;
DYNOFA_CPU_FN running_sum no_sum() { return zero(); }
template <int T>
DYNOFA_CPU_FN void add_row(running_sum& sum, const vec (&outputs)[T]) {
  DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) sum = add(sum, outputs[t]);
}
DYNOFA_CPU_FN void add_sum(float* to, running_sum sum) { store(to, add(load(to), sum)); }

#include "dynofa/backend/cpu/dense.inl"
#include "dynofa/backend/cpu/depthwise.inl"
#include "dynofa/backend/cpu/winograd.inl"

/// As pointwise_tile: k runs over three rows of nine neighbouring floats, and pixels are six floats apart.
template <int P, int V>
void stem_tile(const stem_args& g, int x, int first) {
  vec acc[P][V];
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) acc[p][v] = zero();
  const float* weights = g.weights + register_offset(first, 28 * lane_block);
  for (int r = 0; r < 3; ++r, weights += 9 * lane_block) {
    const float* a = g.rows[r] + x * 6;
    DYNOFA_CPU_UNROLL for (int j = 0; j < 9; ++j) {
      vec w[V];
      DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) w[v] =
          load(weights + register_offset(v, 28 * lane_block) + j * lane_block);
      DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) {
        const auto b = factor(a[p * 6 + j]);
        DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) accumulate(acc[p][v], b, w[v]);
      }
    }
  }
  store_tile(acc, g.out + register_offset(first, g.out_plane) + x * lane_block, g.out_plane, g.scale + first * lanes,
             g.shift + first * lanes, g.act);
}

template <int V>
void stem_group(const stem_args& g, int first) {
  constexpr int P = tile_pixels[V] < 8 ? tile_pixels[V] : 8;
  int x = 0;
  for (; x + P <= g.out_width; x += P) stem_tile<P, V>(g, x, first);
  for (; x < g.out_width; ++x) stem_tile<1, V>(g, x, first);
}

inline void stem(const stem_args& g) {
  const int vectors = g.panels * vectors_per_block;
  int v = 0;
  for (; v + 2 <= vectors; v += 2) stem_group<2>(g, v);
  if constexpr (vectors_per_block == 1)
    if (v < vectors) stem_group<1>(g, v);
}

template <bool Half>
DYNOFA_CPU_FN vec load_weight(const void* weights, std::size_t i) {
  if constexpr (Half)
    return load_half(static_cast<const std::uint16_t*>(weights) + i);
  else
    return load(static_cast<const float*>(weights) + i);
}

/// V registers of outputs, each with Sums partial sums. Bound by the stream of weights: several panels at a time are
/// several streams for the hardware's prefetcher (one core of a Zen 5 reads 60 GB/s from L3 by one stream, 90 by four).
template <bool Half, int V, int Sums>
void matvec_group(const matvec_args& g, int first) {
  vec acc[V][Sums];
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) DYNOFA_CPU_UNROLL for (int j = 0; j < Sums; ++j) acc[v][j] = zero();
  std::size_t w = 0;
  int k = 0;
  for (; k + Sums <= g.k; k += Sums, w += Sums * lane_block) {
    DYNOFA_CPU_UNROLL for (int j = 0; j < Sums; ++j) {
      const auto b = factor(g.in[k + j]);
      DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v)
          accumulate(acc[v][j], b,
                     load_weight<Half>(g.weights, register_offset(first + v, g.panel) + w +
                                                      static_cast<std::size_t>(j * lane_block)));
    }
  }
  for (; k < g.k; ++k, w += lane_block) {
    const auto b = factor(g.in[k]);
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v)
        accumulate(acc[v][0], b, load_weight<Half>(g.weights, register_offset(first + v, g.panel) + w));
  }
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    vec sum = acc[v][0];
    DYNOFA_CPU_UNROLL for (int j = 1; j < Sums; ++j) sum = add(sum, acc[v][j]);
    if (g.bias) sum = add(sum, load(g.bias + (first + v) * lanes));
    store(g.out + (first + v) * lanes, activate(sum, g.act));
  }
}

template <bool Half>
void matvec_of(const matvec_args& g) {
  const int vectors = g.panels * vectors_per_block;
  int v = 0;
  for (; v + 4 <= vectors; v += 4) matvec_group<Half, 4, 4>(g, v);
  for (; v < vectors; ++v) matvec_group<Half, 1, 8>(g, v);
}

template <class Weight>
void scale_rows(const Weight* in, const float* gate, float* out, int k) {
  for (int i = 0; i < k; ++i, in += lane_block, out += lane_block) {
    const vec s = broadcast(gate[i]);
    DYNOFA_CPU_UNROLL for (int v = 0; v < vectors_per_block; ++v) store(out + v * lanes, mul(load(in + v * lanes), s));
  }
}

template <class Value>
void scale_pixels(Value* data, const float* gate, int pixels) {
  vec s[vectors_per_block];
  DYNOFA_CPU_UNROLL for (int v = 0; v < vectors_per_block; ++v) s[v] = load(gate + v * lanes);
  for (int i = 0; i < pixels; ++i, data += lane_block) {
    DYNOFA_CPU_UNROLL for (int v = 0; v < vectors_per_block; ++v)
        store(data + v * lanes, mul(load(data + v * lanes), s[v]));
  }
}

inline void mean(const float* in, int pixels, float* out) {
  vec sum[vectors_per_block];
  DYNOFA_CPU_UNROLL for (int v = 0; v < vectors_per_block; ++v) sum[v] = zero();
  for (int i = 0; i < pixels; ++i, in += lane_block) {
    DYNOFA_CPU_UNROLL for (int v = 0; v < vectors_per_block; ++v) sum[v] = add(sum[v], load(in + v * lanes));
  }
  DYNOFA_CPU_UNROLL for (int v = 0; v < vectors_per_block; ++v)
      store(out + v * lanes, mul(sum[v], broadcast(1.f / static_cast<float>(pixels))));
}

inline void scale_pairs_bf16(const bfloat16* in, const float* gate, bfloat16* out, int k) {
  for (int i = 0; i < k; i += 2, in += 2 * lane_block, out += 2 * lane_block) {
    const vec even = broadcast(gate[i]), odd = broadcast(gate[i + 1]);
    DYNOFA_CPU_UNROLL for (int v = 0; v < vectors_per_block; ++v) {
      const words pairs = load_words(in + v * 2 * lanes);
      const words scaled =
          rounded(mul((vec)(pairs << 16), even)) >> 16 | (rounded(mul((vec)(pairs & 0xffff0000u), odd)) & 0xffff0000u);
      __builtin_memcpy(out + v * 2 * lanes, &scaled, sizeof(scaled));
    }
  }
}

inline void narrow(const float* in, bfloat16* out, int blocks) {
  for (int i = 0; i < blocks * lane_block; i += lanes) store(out + i, load(in + i));
}

template <class From>
void widen(const From* in, float* out, int blocks) {
  for (int i = 0; i < blocks * lane_block; i += lanes) store(out + i, load(in + i));
}

#include "dynofa/backend/cpu/bytes.inl"
#include "dynofa/backend/cpu/statistics.inl"

inline constexpr kernel_table kernels = with_bytes({
    &pointwise<float, float, float>,
    &pointwise<float, float, float16>,
    {{&depthwise<3, 1, float, float>, &depthwise<3, 2, float, float>},
     {&depthwise<5, 1, float, float>, &depthwise<5, 2, float, float>},
     {&depthwise<7, 1, float, float>, &depthwise<7, 2, float, float>}},
    &dense,
    &winograd_input,
    &winograd_output,
    &max_windows,
    &mean_windows,
    &stem,
    &matvec_of<false>,
    &matvec_of<true>,
    &scale_rows<float>,
    &scale_rows<float16>,
    &widen<float16>,
    &scale_pixels<float>,
    &mean,
    &pointwise<bfloat16, float, bfloat16>,
    &pointwise<bfloat16, bfloat16, bfloat16>,
    &scale_pairs_bf16,
    &scale_pixels<bfloat16>,
    &narrow,
    &widen<bfloat16>,
    &moments,
    &normalise,
    &gram,
    &dot,
});
