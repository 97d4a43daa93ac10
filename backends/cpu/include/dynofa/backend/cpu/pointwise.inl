// The pointwise product, for fp32 and bf16: included inside a namespace that defines, besides what kernels.inl wants,
//   load, store for float* and bfloat16*
//   operands<Value, Weight>   how many channels one step of k takes, its weights, its input and their product
// or, with DYNOFA_CPU_POINTWISE_TILE, a pointwise_tile of its own. No include guard: it is included once per
// instruction set, and once more where bf16 or halves have instructions of their own.

/// Where register v of a group of weights starts: a panel's row holds all 16 outputs, of bf16 two rows together.
template <class Weight>
DYNOFA_CPU_FN constexpr std::size_t weight_offset(int v, std::size_t panel) {
  return static_cast<std::size_t>(v / vectors_per_block) * panel +
         static_cast<std::size_t>(v % vectors_per_block * lanes) * (is_bfloat16<Weight> ? 2 : 1);
}

#ifndef DYNOFA_CPU_POINTWISE_TILE
template <int P, int V, epilogue Act, class Out>
DYNOFA_CPU_FN void store_tile(const vec (&acc)[P][V], Out* out, std::size_t plane, const float* scale,
                              const float* shift) {
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    const vec s = load(scale + v * lanes), t = load(shift + v * lanes);
    Out* const to = out + register_offset(v, plane);
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) store(to + p * lane_block, activate(fma(acc[p][v], s, t), Act));
  }
}

template <int P, int V, class Out>
DYNOFA_CPU_FN void store_tile(const vec (&acc)[P][V], Out* out, std::size_t plane, const float* scale,
                              const float* shift, epilogue act) {
  if constexpr (sizeof(Out) == sizeof(float)) {
    if (act == epilogue::relu) return store_tile<P, V, epilogue::relu>(acc, out, plane, scale, shift);
    if (act == epilogue::h_swish) return store_tile<P, V, epilogue::h_swish>(acc, out, plane, scale, shift);
    if (act == epilogue::relu6) return store_tile<P, V, epilogue::relu6>(acc, out, plane, scale, shift);
  }
  store_tile<P, V, epilogue::identity>(acc, out, plane, scale, shift);
}

template <int P, int V, epilogue Act, class Out>
DYNOFA_CPU_FN void store_tile_plus(const vec (&acc)[P][V], Out* out, std::size_t plane, const float* scale,
                                   const float* shift, const Out* residual, std::size_t residual_plane) {
  DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    const vec s = load(scale + v * lanes), t = load(shift + v * lanes);
    Out* const to = out + register_offset(v, plane);
    const Out* const old = residual + register_offset(v, residual_plane);
    DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p)
        store(to + p * lane_block, activate(add(fma(acc[p][v], s, t), load(old + p * lane_block)), Act));
  }
}

/// P pixels × V registers of output stay in registers over all of k: each step loads V weights and broadcasts P inputs.
template <class Value, class Out, class Weight, int P, int V>
void pointwise_tile(const pointwise_of<Value, Out, Weight>& g, const Value* in, const Weight* weights, Out* out,
                    const Out* residual, const float* scale, const float* shift, const Weight* ahead) {
  using step = operands<Value, Weight>;
  vec acc[P][V];
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) acc[p][v] = zero();
  for (int k = g.k;;) {
    const Value* a = in;
    for (const Value* const end = in + (k < lane_block ? k : lane_block); a != end; a += 4) {
      DYNOFA_CPU_UNROLL for (int j = 0; j < 4; j += step::channels) {
        vec w[V];
        DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) w[v] =
            step::weights(weights + weight_offset<Weight>(v, g.panel), j);
        DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) {
          const auto b = step::input(a + p * lane_block + j);
          DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) step::multiply(acc[p][v], b, w[v]);
        }
        if (j * sizeof(Weight) % sizeof(float) == 0) __builtin_prefetch(ahead + j * lane_block, 0, 2); // a line each
      }
      weights += 4 * lane_block;
      ahead += 4 * lane_block;
    }
    k -= lane_block;
    if (k <= 0) break;
    in += g.in_plane;
  }
  if (residual) {
    if (g.act == epilogue::relu)
      return store_tile_plus<P, V, epilogue::relu>(acc, out, g.out_plane, scale, shift, residual, g.residual_plane);
    return store_tile_plus<P, V, epilogue::identity>(acc, out, g.out_plane, scale, shift, residual, g.residual_plane);
  }
  store_tile(acc, out, g.out_plane, scale, shift, g.act);
}
#endif

template <class Value, class Out, class Weight>
using pointwise_tile_function = void (*)(const pointwise_of<Value, Out, Weight>&, const Value*, const Weight*, Out*,
                                         const Out*, const float*, const float*, const Weight*);

template <class Value, class Out, class Weight, int V, int P = 1>
struct pointwise_tiles {
  static pointwise_tile_function<Value, Out, Weight> of(int pixels) {
    if constexpr (P < tile_pixels[V])
      return pixels == P ? &pointwise_tile<Value, Out, Weight, P, V>
                         : pointwise_tiles<Value, Out, Weight, V, P + 1>::of(pixels);
    else
      return &pointwise_tile<Value, Out, Weight, P, V>;
  }
};

/// One group of V registers for all pixels, in tiles of nearly equal size: no tile is left with so few accumulators
/// that it waits for its own sums.
template <int V, class Value, class Out, class Weight>
void pointwise_group(const pointwise_of<Value, Out, Weight>& g, int first, int vectors, int pixels) {
  const int tiles = (pixels + tile_pixels[V] - 1) / tile_pixels[V], size = pixels / tiles, larger = pixels % tiles;
  const auto small = pointwise_tiles<Value, Out, Weight, V>::of(size);
  const auto large = larger ? pointwise_tiles<Value, Out, Weight, V>::of(size + 1) : small;
  const Weight* weights = g.weights + weight_offset<Weight>(first, g.panel);
  const std::size_t out = register_offset(first, g.out_plane), residual = register_offset(first, g.residual_plane);
  // While this group computes, its successor's panels come nearer: one panel per tile.
  const bool more = first + V < vectors;
  const Weight* ahead =
      more ? g.weights + weight_offset<Weight>(first + V, g.panel) : static_cast<const Weight*>(g.ahead);
  const std::size_t ahead_step = more ? g.panel : g.ahead_step;
  constexpr int ahead_panels = (V + vectors_per_block - 1) / vectors_per_block;
  int pixel = 0;
  for (int t = 0; t < tiles; ++t) {
    const std::size_t at = static_cast<std::size_t>(pixel) * lane_block;
    (t < larger ? large
                : small)(g, g.in + at, weights, g.out + out + at, g.residual ? g.residual + residual + at : nullptr,
                         g.scale + first * lanes, g.shift + first * lanes,
                         ahead && t < ahead_panels ? ahead + static_cast<std::size_t>(t) * ahead_step : weights);
    pixel += t < larger ? size + 1 : size;
  }
}

template <class Value, class Out, class Weight>
void pointwise(const pointwise_of<Value, Out, Weight>& g, int panels, int pixels) {
  const int vectors = panels * vectors_per_block;
  for (int v = 0; v < vectors;) {
    const int left = vectors - v;
    if constexpr (tile_vectors == 3) { // 3 + 3 + … and an even rest: a single register has too few sums in flight
      if (left == 1)
        pointwise_group<1>(g, v, vectors, pixels), v += 1;
      else if (left == 2 || left == 4)
        pointwise_group<2>(g, v, vectors, pixels), v += 2;
      else
        pointwise_group<3>(g, v, vectors, pixels), v += 3;
    } else {
      pointwise_group<tile_vectors>(g, v, vectors, pixels), v += tile_vectors;
    }
  }
}
