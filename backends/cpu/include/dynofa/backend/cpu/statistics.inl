// What calibration wants besides the kernels of the blocks: included by kernels.inl, once for every instruction set.

/// Four sums of each kind in flight.
inline void moments(const float* in, int pixels, float* sum, float* square) {
  for (int lane = 0; lane < lane_block; lane += lanes) {
    const float* x = in + lane;
    vec s[4], q[4];
    DYNOFA_CPU_UNROLL for (int j = 0; j < 4; ++j) s[j] = zero(), q[j] = zero();
    int p = 0;
    for (; p + 4 <= pixels; p += 4, x += 4 * lane_block) {
      DYNOFA_CPU_UNROLL for (int j = 0; j < 4; ++j) {
        const vec v = load(x + j * lane_block);
        s[j] = add(s[j], v);
        accumulate(q[j], v, v);
      }
    }
    for (; p < pixels; ++p, x += lane_block) {
      const vec v = load(x);
      s[0] = add(s[0], v);
      accumulate(q[0], v, v);
    }
    store(sum + lane, add(add(s[0], s[1]), add(s[2], s[3])));
    store(square + lane, add(add(q[0], q[1]), add(q[2], q[3])));
  }
}

template <epilogue Act>
void normalise_with(const normalise_args& g) {
  for (int lane = 0; lane < lane_block; lane += lanes) {
    const vec scale = load(g.scale + lane), shift = load(g.shift + lane);
    const float* const in = g.in + lane;
    float* const out = g.out + lane;
    const vec offset = g.centred ? load(g.offset + lane) : zero();
    for (int p = 0; p < g.pixels * lane_block; p += lane_block) {
      vec y = activate(fma(load(in + p), scale, shift), Act);
      if (g.residual) y = add(y, load(g.residual + lane + p));
      store(out + p, y);
      if (g.centred) store(g.centred + lane + p, add(y, offset));
    }
  }
}

inline void normalise(const normalise_args& g) {
  if (g.act == epilogue::relu) return normalise_with<epilogue::relu>(g);
  if (g.act == epilogue::h_swish) return normalise_with<epilogue::h_swish>(g);
  if (g.act == epilogue::relu6) return normalise_with<epilogue::relu6>(g);
  normalise_with<epilogue::identity>(g);
}

// A tile of the Gram matrix: sums for so many channels times registers of channels, and what they are made of.
inline constexpr int gram_rows = lanes == 16 ? 8 : 4, gram_vectors = lanes == 16 ? 3 : 2;
inline constexpr int gram_run = 128; ///< pixels whose 1 + 3 blocks stay in L1

template <int V>
void gram_tile(const gram_args& g, int begin, int end, int row, int first) {
  vec acc[gram_rows][V];
  DYNOFA_CPU_UNROLL for (int r = 0; r < gram_rows; ++r) DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) acc[r][v] =
      zero();
  const float* a = g.in + static_cast<std::size_t>(row / lane_block) * g.plane + row % lane_block + begin * lane_block;
  const float* b = g.in + register_offset(first, g.plane) + begin * lane_block;
  for (int p = begin; p < end; ++p, a += lane_block, b += lane_block) {
    vec w[V];
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) w[v] = load(b + register_offset(v, g.plane));
    DYNOFA_CPU_UNROLL for (int r = 0; r < gram_rows; ++r) {
      const auto x = factor(a[r]);
      DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) accumulate(acc[r][v], x, w[v]);
    }
  }
  const std::size_t plane = static_cast<std::size_t>(g.blocks) * lane_block * lane_block;
  float* const out = g.out + register_offset(first, plane) + row * lane_block;
  DYNOFA_CPU_UNROLL for (int r = 0; r < gram_rows; ++r) DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
    float* const to = out + register_offset(v, plane) + r * lane_block;
    store(to, begin == 0 ? acc[r][v] : add(load(to), acc[r][v]));
  }
}

template <int V>
void gram_group(const gram_args& g, int begin, int end, int row, int& first) {
  for (const int last = g.blocks * vectors_per_block; first + V <= last; first += V)
    gram_tile<V>(g, begin, end, row, first);
}

inline void gram(const gram_args& g) {
  for (int begin = 0; begin < g.pixels; begin += gram_run) {
    const int end = begin + gram_run < g.pixels ? begin + gram_run : g.pixels;
    for (int row = 0; row < g.blocks * lane_block; row += gram_rows) {
      int first = row / lane_block * vectors_per_block;
      gram_group<gram_vectors>(g, begin, end, row, first);
      if constexpr (gram_vectors > 2) gram_group<2>(g, begin, end, row, first);
      gram_group<1>(g, begin, end, row, first);
    }
  }
}

inline void dot(const float* a, const float* b, int k, float* out) {
  for (int lane = 0; lane < lane_block; lane += lanes) {
    vec sum[4];
    DYNOFA_CPU_UNROLL for (int j = 0; j < 4; ++j) sum[j] = zero();
    for (int i = 0; i < k * lane_block; i += 4 * lane_block)
      DYNOFA_CPU_UNROLL for (int j = 0; j < 4; ++j)
          accumulate(sum[j], load(a + lane + i + j * lane_block), load(b + lane + i + j * lane_block));
    store(out + lane, add(add(sum[0], sum[1]), add(sum[2], sum[3])));
  }
}
