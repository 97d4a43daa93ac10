// Kernels of int8 levels where a pixel's block of 16 channels, and so a row of a panel, is four registers, as on NEON:
// part of bytes.inl, which has those of the other instruction sets. They work on whole blocks and panels, and so take
// fewer instructions. No include guard: it is included as often. Besides what bytes.inl wants, but for load_unsigned
// and byte_quads, they want
//   load_signed               a block of 16 signed bytes as floats
//   load_pixel, store_pixel   a pixel's 16 codes as floats; store_pixel rounds them
//   accumulate_lane<J>        accumulate with lane J of the input

#ifndef DYNOFA_CPU_MULTIPLY_BLOCKS
/// The loop of multiply_bytes.
template <int P, int V>
DYNOFA_CPU_FN void multiply_blocks(ints (&acc)[P][V], const byte_product& g, const std::uint8_t* in,
                                   const std::int8_t* weights, const std::int8_t* ahead) {
  for (int k = g.k; k > 0; k -= lane_block) {
    multiply_block<P, V>(acc, in, weights, g.panel, k < lane_block ? k / 4 : 4, ahead);
    in += g.in_plane, weights += lane_block * lane_block, ahead += lane_block * lane_block;
  }
}
#endif

/// Quads of P pixels. A tile of so few pixels spent a quarter of its instructions on being called and on finding its
/// place: here all of a row are one loop.
template <int P, int V>
struct quad_tile {
  static_assert(V == vectors_per_block && P <= quad);

  static void run(const byte_product_to_quads& args, std::size_t panel, std::size_t pixel, int tiles,
                  const std::int8_t* ahead) {
    const byte_product_to_quads g = args; // a copy: codes are bytes, and stored bytes may be anything's
    const std::int8_t* const weights = g.product.weights + panel * g.product.panel;
    const std::uint8_t* in = g.product.in + pixel * lane_block;
    std::uint8_t* out = g.out + panel * g.out_plane + (pixel + quad) * lane_block;
    const std::size_t c = panel * lane_block;
    ints start[V];
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) start[v] =
        load_ints(g.product.weight_sums + c + v * lanes) * (input_offset - g.product.zero);
    for (; tiles > 0; --tiles, in += quad * lane_block, out += quad * lane_block, ahead = weights) {
      ints acc[P][V];
      DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) acc[p][v] = start[v];
      multiply_blocks<P, V>(acc, g.product, in, weights, ahead);
      if (g.act == epilogue::relu)
        store<epilogue::relu>(g, acc, out, c);
      else if (g.act == epilogue::h_swish)
        store<epilogue::h_swish>(g, acc, out, c);
      else if (g.act == epilogue::relu6)
        store<epilogue::relu6>(g, acc, out, c);
      else
        store<epilogue::identity>(g, acc, out, c);
    }
  }

private:
  template <epilogue Act>
  static DYNOFA_CPU_FN void store(const byte_product_to_quads& g, const ints (&acc)[P][V], std::uint8_t* out,
                                  std::size_t c) {
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v, c += lanes) {
      const vec scale = load(g.scale + c), shift = load(g.shift + c), bend = load(g.bend + c), z = load(g.zero + c);
      vec r[quad];
      DYNOFA_CPU_UNROLL for (int p = 0; p < quad; ++p) r[p] =
          p < P ? code_value<Act>(acc[p < P ? p : 0][v], scale, shift, bend, z) : z;
      store_quad(out + v * lanes * quad, r);
    }
  }
};

inline void product_to_quads(const byte_product_to_quads& g, int panels, int pixels) {
  constexpr int V = vectors_per_block;
  const int whole = pixels / quad, rest = pixels % quad;
  const auto last = rest == 1 ? &quad_tile<1, V>::run : rest == 2 ? &quad_tile<2, V>::run : &quad_tile<3, V>::run;
  for (int i = 0; i < panels; ++i) {
    const auto panel = static_cast<std::size_t>(i);
    const std::int8_t* const weights = g.product.weights + panel * g.product.panel;
    const std::int8_t* next =
        i + 1 < panels ? weights + g.product.panel : static_cast<const std::int8_t*>(g.product.ahead);
    if (!next) next = weights;
    quad_tile<quad, V>::run(g, panel, 0, whole, next);
    if (rest > 0) last(g, panel, static_cast<std::size_t>(whole * quad), 1, whole > 0 ? weights : next);
    // Zero has a code of its own in every channel: the quads on both sides hold it.
    std::uint8_t* const left = g.out + panel * g.out_plane;
    std::uint8_t* const right = left + ((pixels + quad - 1) / quad + 1) * quad * lane_block;
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
      const vec z = load(g.zero + i * lane_block + v * lanes), side[quad] = {z, z, z, z};
      store_quad(left + v * lanes * quad, side), store_quad(right + v * lanes * quad, side);
    }
  }
}

/// A pixel at a time is one store; four pixels of four channels each would be 16.
inline void to_bytes(const float* in, std::uint8_t* out, int blocks, float inverse, float zero_code) {
  const vec scale = broadcast(inverse), z = broadcast(zero_code);
  for (int b = 0; b < blocks; ++b, in += lane_block, out += lane_block) {
    vec r[4];
    DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) r[v] = fma(load(in + v * lanes), scale, z);
    store_pixel(out, r);
  }
}

inline void rescale_bytes(std::uint8_t* data, const float* factor, const float* shift, int pixels) {
  vec f[4], s[4];
  DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) f[v] = load(factor + v * lanes), s[v] = load(shift + v * lanes);
  for (int p = 0; p < pixels; ++p, data += lane_block) {
    vec r[4];
    load_pixel(data, r);
    DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) r[v] = fma(r[v], f[v], s[v]);
    store_pixel(data, r);
  }
}

/// Row J of four, to sums of its own.
template <int J>
DYNOFA_CPU_FN void multiply_row(vec (&acc)[4][4], vec in, const vec (&w)[4]) {
  DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) accumulate_lane<J>(acc[v][J], in, w[v]);
}
/// A panel at a time.
inline void matvec_bytes(const matvec_args& g) {
  for (int i = 0; i < g.panels; ++i) {
    const std::int8_t* row = static_cast<const std::int8_t*>(g.weights) + static_cast<std::size_t>(i) * g.panel;
    const float *in = g.in, *const end = in + g.k;
    vec acc[4][4];
    DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) DYNOFA_CPU_UNROLL for (int j = 0; j < 4; ++j) acc[v][j] = zero();
    for (; end - in >= 4; in += 4, row += 4 * lane_block) { // four inputs in a load, two rows in another
      const vec b = load(in);
      vec w[2][4];
      load_signed(row, w[0]), load_signed(row + lane_block, w[1]);
      multiply_row<0>(acc, b, w[0]), multiply_row<1>(acc, b, w[1]);
      load_signed(row + 2 * lane_block, w[0]), load_signed(row + 3 * lane_block, w[1]);
      multiply_row<2>(acc, b, w[0]), multiply_row<3>(acc, b, w[1]);
    }
    for (; in != end; ++in, row += lane_block) {
      vec w[4];
      load_signed(row, w);
      DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) accumulate(acc[v][0], factor(*in), w[v]);
    }
    DYNOFA_CPU_UNROLL for (int v = 0; v < 4; ++v) {
      const int c = i * lane_block + v * lanes;
      const vec sum = add(add(add(acc[v][0], acc[v][1]), acc[v][2]), acc[v][3]);
      store(g.out + c, activate(fma(sum, load(g.scale + c), g.bias ? load(g.bias + c) : zero()), g.act));
    }
  }
}
