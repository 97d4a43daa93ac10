// The kernels of int8 levels, once for every instruction set: included inside a namespace that defines, besides what
// kernels.inl wants,
//   ints                      a register of `lanes` 32-bit integers
//   dot(sum, u, w)            sum += in each lane the four products of unsigned bytes of u and signed bytes of w
//   adds_pairs                whether it adds pairs of products in 16 bits
//   input_offset              what `dot` subtracts from every byte of u: 128 where it can only multiply signed ones
//   dot_stored(sum, s, w)     as dot, of codes as kernels store them: less the input_offset, so that no reader has to
//                             subtract it (only depthwise_bytes_args::zero_in is as it is)
//   store_quad, store_pixels  four pixels of `lanes` codes, given as floats that are to be rounded
//   load_signed               `lanes` signed bytes as floats; of four lanes, a block of 16 too
//   load_unsigned             `lanes` unsigned bytes as floats
//   byte_quads                how many quads a tile of a 1×1 convolution holds, times tile_vectors registers
//   byte_pixels               and how many pixels where it makes floats
//   DYNOFA_CPU_MULTIPLY_BLOCKS where `multiply_blocks` is there already
//   DYNOFA_CPU_BYTE_PANELS    where byte_panels.inl has the kernels for blocks of four registers, which want less
//   depthwise_quads           how many quads of output one depthwise strip holds
//   summed_quads              and how many where it adds them up: that is the order of sums, and so the last bit of a
//                             mean, which decides what a gate makes of a code on a tie
//
// A quad is four neighbouring pixels of 16 channels, [16][4] bytes: the four bytes of a lane are four taps of one
// channel, which one dot product takes. Rows of a depthwise input are quads with one of padding on both sides, and the
// bytes of a 1×1 convolution's input lie as its floats would, [C/16][pixels][16]: there a lane takes four channels.
//
// Sums are exact integers. What follows is float, rounded to even and cut off at 0 and 255; on instruction sets with
// fused multiply-add every code is that of the reference, but that a gate's sums are added in another order.
// No include guard: it is included once per instruction set, and once more where it has dot products of its own.

inline constexpr int quad = 4; // pixels

DYNOFA_CPU_FN ints load_ints(const void* p) {
  ints i;
  __builtin_memcpy(&i, p, sizeof(i));
  return i;
}
/// The same four bytes in every lane.
DYNOFA_CPU_FN ints four_bytes(const std::uint8_t* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return ints{} + four;
}
DYNOFA_CPU_FN vec to_floats(ints i) { return __builtin_convertvector(i, vec); }

/// Where register v of a group starts in panels of four inputs together, and in quads.
DYNOFA_CPU_FN constexpr std::size_t byte_offset(int v, std::size_t plane) {
  return static_cast<std::size_t>(v / vectors_per_block) * plane +
         static_cast<std::size_t>(v % vectors_per_block * lanes * 4);
}

/// A code before it is rounded. Scale and shift are in codes already; bend: of h-swish a sixth of a code's value, of
/// ReLU6 six in codes.
template <epilogue Act>
DYNOFA_CPU_FN vec code_value(ints sum, vec scale, vec shift, vec bend, vec zero_code) {
  const vec y = fma(to_floats(sum), scale, shift);
  if constexpr (Act == epilogue::relu)
    return add(max(zero(), y), zero_code);
  else if constexpr (Act == epilogue::relu6)
    return add(min(bend, max(zero(), y)), zero_code);
  else if constexpr (Act == epilogue::h_swish)
    return fma(y, min(broadcast(1.f), max(zero(), fma(y, bend, broadcast(.5f)))), zero_code);
  else
    return add(y, zero_code);
}

#ifndef DYNOFA_CPU_MULTIPLY_BLOCKS
/// acc += in · weight over a block of 16 channels, or as many fours of it as `steps`.
template <int P, int V>
DYNOFA_CPU_FN void multiply_block(ints (&acc)[P][V], const std::uint8_t* in, const std::int8_t* weights,
                                  std::size_t panel, int steps, const std::int8_t* ahead) {
  for (const std::uint8_t* const end = in + 4 * steps; in != end; in += 4) {
    ints w[V];
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) w[v] = load_ints(weights + byte_offset(v, panel));
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) {
      const ints b = four_bytes(in + p * lane_block);
      DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) dot_stored(acc[p][v], b, w[v]);
    }
    __builtin_prefetch(ahead, 0, 2);
    weights += 4 * lane_block;
    ahead += 4 * lane_block;
  }
}
#endif

/// acc = Σ (in − zero) · weight of P pixels × V registers of outputs.
template <int P, int V>
DYNOFA_CPU_FN void multiply_bytes(const byte_product& g, ints (&acc)[P][V], const std::uint8_t* in, int first,
                                  const std::int8_t* ahead) {
  const std::int8_t* weights = g.weights + byte_offset(first, g.panel);
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    const ints start = load_ints(g.weight_sums + (first + v) * lanes) * (input_offset - g.zero);
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = start;
  }
#ifdef DYNOFA_CPU_MULTIPLY_BLOCKS
  multiply_blocks<P, V>(acc, g, in, weights, ahead);
#else
  for (int k = g.k;; in += g.in_plane) {
    multiply_block<P, V>(acc, in, weights, g.panel, k < lane_block ? k / 4 : 4, ahead);
    k -= lane_block;
    if (k <= 0) break;
    weights += lane_block * lane_block;
    ahead += lane_block * lane_block;
  }
#endif
}

/// Calls tile<P>(…) for the number of pixels it is given.
template <template <int, int> class Tile, int V, int P = 1>
struct byte_tiles {
  static auto of(int pixels) -> decltype(&Tile<P, V>::run) {
    if constexpr (P < Tile<P, V>::most)
      return pixels == P ? &Tile<P, V>::run : byte_tiles<Tile, V, P + 1>::of(pixels);
    else
      return &Tile<P, V>::run;
  }
};

/// What the next tile's group will read, a panel per tile.
template <int V>
DYNOFA_CPU_FN const std::int8_t* bytes_ahead(const byte_product& g, int first, int vectors, int tile) {
  const bool more = first + V < vectors;
  const std::int8_t* ahead =
      more ? g.weights + byte_offset(first + V, g.panel) : static_cast<const std::int8_t*>(g.ahead);
  constexpr int panels = (V + vectors_per_block - 1) / vectors_per_block;
  return ahead && tile < panels ? ahead + static_cast<std::size_t>(tile) * (more ? g.panel : g.ahead_step)
                                : g.weights + byte_offset(first, g.panel);
}

template <int P, int V>
struct float_tile {
  static constexpr int most = byte_pixels;
  static void run(const byte_product_to_floats& g, const std::uint8_t* in, int first, int pixel,
                  const std::int8_t* ahead) {
    ints sums[P][V];
    multiply_bytes<P, V>(g.product, sums, in, first, ahead);
    vec acc[P][V];
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) acc[p][v] =
        to_floats(sums[p][v]);
    float* const out = g.out + register_offset(first, g.out_plane) + pixel * lane_block;
    const float *const scale = g.scale + first * lanes, *const shift = g.shift + first * lanes;
    if (g.residual)
      return store_tile_plus<P, V, epilogue::identity>(
          acc, out, g.out_plane, scale, shift,
          g.residual + register_offset(first, g.residual_plane) + pixel * lane_block, g.residual_plane);
    store_tile(acc, out, g.out_plane, scale, shift, g.act);
  }
};

template <int V>
void product_to_floats_group(const byte_product_to_floats& g, int first, int vectors, int pixels) {
  constexpr int most = byte_pixels;
  const int tiles = (pixels + most - 1) / most, size = pixels / tiles, larger = pixels % tiles;
  const auto small = byte_tiles<float_tile, V>::of(size),
             large = larger ? byte_tiles<float_tile, V>::of(size + 1) : small;
  for (int t = 0, pixel = 0; t < tiles; pixel += t < larger ? size + 1 : size, ++t)
    (t < larger ? large : small)(g, g.product.in + pixel * lane_block, first, pixel,
                                 bytes_ahead<V>(g.product, first, vectors, t));
}

/// do_it<V>(first register) over `panels`, in groups as `pointwise` makes them.
#define DYNOFA_CPU_GROUPS(panels, group)                                                                               \
  const int vectors = (panels)*vectors_per_block;                                                                      \
  for (int v = 0; v < vectors;) {                                                                                      \
    const int left = vectors - v;                                                                                      \
    if constexpr (tile_vectors == 3) {                                                                                 \
      if (left == 1)                                                                                                   \
        group<1>(g, v, vectors, pixels), v += 1;                                                                       \
      else if (left == 2 || left == 4)                                                                                 \
        group<2>(g, v, vectors, pixels), v += 2;                                                                       \
      else                                                                                                             \
        group<3>(g, v, vectors, pixels), v += 3;                                                                       \
    } else {                                                                                                           \
      group<tile_vectors>(g, v, vectors, pixels), v += tile_vectors;                                                   \
    }                                                                                                                  \
  }

inline void product_to_floats(const byte_product_to_floats& g, int panels, int pixels) {
  DYNOFA_CPU_GROUPS(panels, product_to_floats_group)
}

#include "dynofa/backend/cpu/depthwise_bytes.inl"

#ifdef DYNOFA_CPU_BYTE_PANELS
#include "dynofa/backend/cpu/byte_panels.inl"
#else
template <int P, int V>
struct quad_tile {
  static constexpr int most = byte_quads * quad;
  static void run(const byte_product_to_quads& g, const std::uint8_t* in, int first, int pixel,
                  const std::int8_t* ahead) {
    ints acc[P][V];
    multiply_bytes<P, V>(g.product, acc, in, first, ahead);
    std::uint8_t* const out = g.out + byte_offset(first, g.out_plane) + (pixel + quad) * lane_block;
    if (g.act == epilogue::h_swish) return store<epilogue::h_swish>(g, acc, out, first);
    if (g.act == epilogue::relu) return store<epilogue::relu>(g, acc, out, first);
    if (g.act == epilogue::relu6) return store<epilogue::relu6>(g, acc, out, first);
    store<epilogue::identity>(g, acc, out, first);
  }

private:
  template <epilogue Act>
  static DYNOFA_CPU_FN void store(const byte_product_to_quads& g, const ints (&acc)[P][V], std::uint8_t* out,
                                  int first) {
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
      const int c = (first + v) * lanes;
      const vec scale = load(g.scale + c), shift = load(g.shift + c), bend = load(g.bend + c), z = load(g.zero + c);
      DYNOFA_CPU_UNROLL for (int p = 0; p < P; p += quad) {
        vec r[quad];
        DYNOFA_CPU_UNROLL for (int i = 0; i < quad; ++i) r[i] =
            p + i < P ? code_value<Act>(acc[p + i < P ? p + i : 0][v], scale, shift, bend, z) : z;
        store_quad(out + byte_offset(v, g.out_plane) + p * lane_block, r);
      }
    }
  }
};

template <int V>
void product_to_quads_group(const byte_product_to_quads& g, int first, int vectors, int pixels) {
  constexpr int most = byte_quads * quad;
  const auto whole = &quad_tile<most, V>::run, rest = byte_tiles<quad_tile, V>::of(pixels % most);
  int pixel = 0, t = 0;
  for (; pixel + most <= pixels; pixel += most, ++t)
    whole(g, g.product.in + pixel * lane_block, first, pixel, bytes_ahead<V>(g.product, first, vectors, t));
  if (pixel < pixels)
    rest(g, g.product.in + pixel * lane_block, first, pixel, bytes_ahead<V>(g.product, first, vectors, t));
  // Zero has a code of its own in every channel: the quads on both sides hold it.
  const int behind = (pixels + quad - 1) / quad + 1;
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    const vec z = load(g.zero + (first + v) * lanes), side[quad] = {z, z, z, z};
    std::uint8_t* const out = g.out + byte_offset(first + v, g.out_plane);
    store_quad(out, side), store_quad(out + behind * quad * lane_block, side);
  }
}
inline void product_to_quads(const byte_product_to_quads& g, int panels, int pixels) {
  DYNOFA_CPU_GROUPS(panels, product_to_quads_group)
}

/// Floats [blocks][16] → codes.
inline void to_bytes(const float* in, std::uint8_t* out, int blocks, float inverse, float zero_code) {
  const vec scale = broadcast(inverse), z = broadcast(zero_code);
  for (int b = 0; b < blocks; b += quad, in += quad * lane_block, out += quad * lane_block) {
    const int count = blocks - b < quad ? blocks - b : quad;
    for (int lane = 0; lane < lane_block; lane += lanes) {
      vec r[quad];
      DYNOFA_CPU_UNROLL for (int i = 0; i < quad; ++i) r[i] =
          fma(load(in + (i < count ? i : 0) * lane_block + lane), scale, z);
      store_pixels(out + lane, r, count);
    }
  }
}

/// Codes [pixels][16] → codes of another range: in · factor[16] + shift[16], in place.
inline void rescale_bytes(std::uint8_t* data, const float* factor, const float* shift, int pixels) {
  for (int lane = 0; lane < lane_block; lane += lanes) {
    const vec f = load(factor + lane), s = load(shift + lane);
    for (int p = 0; p < pixels; p += quad) {
      const int count = pixels - p < quad ? pixels - p : quad;
      std::uint8_t* const at = data + p * lane_block + lane;
      vec r[quad];
      DYNOFA_CPU_UNROLL for (int i = 0; i < quad; ++i) r[i] =
          fma(load_unsigned(at + (i < count ? i : 0) * lane_block), f, s);
      store_pixels(at, r, count);
    }
  }
}

/// V registers of weights of row k, which may be a whole block or in several panels.
template <int V>
DYNOFA_CPU_FN void load_signed_row(vec (&w)[V], const std::int8_t* weights, int first, std::size_t panel, int k) {
  if constexpr (V == 4 && vectors_per_block == 4)
    load_signed(weights + register_offset(first, panel) + k * lane_block, w);
  else
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) w[v] =
        load_signed(weights + register_offset(first + v, panel) + k * lane_block);
}

/// As matvec: weights are [panel][k][16] signed bytes, sums are multiplied by `scale`.
template <int V, int Sums>
void matvec_bytes_group(const matvec_args& g, int first) {
  const auto* const weights = static_cast<const std::int8_t*>(g.weights);
  vec acc[V][Sums];
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) DYNOFA_CPU_UNROLL for (int j = 0; j < Sums; ++j) acc[v][j] = zero();
  int k = 0;
  for (; k + Sums <= g.k; k += Sums) {
    DYNOFA_CPU_UNROLL for (int j = 0; j < Sums; ++j) {
      const auto b = factor(g.in[k + j]);
      vec w[V];
      load_signed_row<V>(w, weights, first, g.panel, k + j);
      DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) accumulate(acc[v][j], b, w[v]);
    }
  }
  for (; k < g.k; ++k) {
    const auto b = factor(g.in[k]);
    vec w[V];
    load_signed_row<V>(w, weights, first, g.panel, k);
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) accumulate(acc[v][0], b, w[v]);
  }
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    vec sum = acc[v][0];
    DYNOFA_CPU_UNROLL for (int j = 1; j < Sums; ++j) sum = add(sum, acc[v][j]);
    const int c = (first + v) * lanes;
    sum = fma(sum, load(g.scale + c), g.bias ? load(g.bias + c) : zero());
    store(g.out + c, activate(sum, g.act));
  }
}
inline void matvec_bytes(const matvec_args& g) {
  const int vectors = g.panels * vectors_per_block;
  int v = 0;
  for (; v + 4 <= vectors; v += 4) matvec_bytes_group<4, 4>(g, v);
  for (; v < vectors; ++v) matvec_bytes_group<1, 8>(g, v);
}
#endif
#undef DYNOFA_CPU_GROUPS

/// Fills a table's kernels of int8 levels.
constexpr kernel_table with_bytes(kernel_table k) {
  k.adds_pairs = adds_pairs;
  k.product_to_floats = &product_to_floats;
  k.product_to_quads = &product_to_quads;
  k.depthwise_bytes[0][0] = &depthwise_bytes<3, 1>, k.depthwise_bytes[0][1] = &depthwise_bytes<3, 2>;
  k.depthwise_bytes[1][0] = &depthwise_bytes<5, 1>, k.depthwise_bytes[1][1] = &depthwise_bytes<5, 2>;
  k.depthwise_bytes[2][0] = &depthwise_bytes<7, 1>, k.depthwise_bytes[2][1] = &depthwise_bytes<7, 2>;
  k.to_bytes = &to_bytes;
  k.rescale_bytes = &rescale_bytes;
  k.matvec_bytes = &matvec_bytes;
  k.stored_offset = input_offset;
  return k;
}
