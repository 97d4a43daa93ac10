// The k×k convolution of all channels, max pooling and the mean of windows: included as kernels.inl is.

/// One tile: its first output pixel and register, where its outputs go, and weights of which half a panel is fetched
/// meanwhile: a line every second step. With one in each there are more on their way than the cache keeps track of.
struct dense_place {
  int y, x, first;
  float* out;
  const float* residual;
  const float* ahead;
};

/// P neighbouring outputs × V registers stay in registers over all taps and channels, as in pointwise_tile: an implicit
/// product of matrices, whose left one is read where it lies.
template <int P, int V, int S>
void dense_tile(const dense_args& g, const dense_place& at) {
  vec acc[P][V];
  DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) acc[p][v] = zero();
  const int top = at.y * S - g.kernel / 2, taps = g.kernel;
  const int begin = top < 0 ? -top : 0, end = g.in_rows - top < taps ? g.in_rows - top : taps;
  const float* const panels = g.weights + weight_offset<float>(at.first, g.panel);
  for (int ky = begin; ky < end; ++ky)
    for (int kx = 0; kx < taps; ++kx) {
      const float* in = g.in + g.row_offset[top + ky] + (at.x * S + kx) * lane_block;
      const std::size_t tap = static_cast<std::size_t>(ky * taps + kx) * g.tap;
      const float *weights = panels + tap, *ahead = at.ahead + tap;
      for (int k = g.k; k > 0; k -= lane_block, in += g.in_plane) {
        const float* a = in;
        for (const float* const last = in + (k < lane_block ? k : lane_block); a != last; a += 4) {
          DYNOFA_CPU_UNROLL for (int j = 0; j < 4; ++j) {
            vec w[V];
            DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) w[v] =
                load(weights + weight_offset<float>(v, g.panel) + j * lane_block);
            DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p) {
              const auto b = factor(a[p * S * lane_block + j]);
              DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) accumulate(acc[p][v], b, w[v]);
            }
            if (j < 2) __builtin_prefetch(ahead + j * lane_block, 0, 2);
          }
          weights += 4 * lane_block;
          ahead += 2 * lane_block;
        }
      }
    }
  store_tile(acc, at.out, g.out_plane, g.scale + at.first * lanes, g.shift + at.first * lanes, g.act);
  if (at.residual) {
    DYNOFA_CPU_UNROLL for (int v = 0; v < V; ++v) {
      float* const to = at.out + register_offset(v, g.out_plane);
      const float* const old = at.residual + register_offset(v, g.residual_plane);
      DYNOFA_CPU_UNROLL for (int p = 0; p < P; ++p)
          store(to + p * lane_block, add(load(to + p * lane_block), load(old + p * lane_block)));
    }
  }
}

/// Fewer than a pointwise tile may have: the kernel's taps leave no row so short of sums that it waits for them.
template <int V>
inline constexpr int dense_pixels = tile_pixels[V] < 9 ? tile_pixels[V] : 9;

using dense_tile_function = void (*)(const dense_args&, const dense_place&);

template <int V, int S, int P = 1>
struct dense_tiles {
  static dense_tile_function of(int pixels) {
    if constexpr (P < dense_pixels<V>)
      return pixels == P ? &dense_tile<P, V, S> : dense_tiles<V, S, P + 1>::of(pixels);
    else
      return &dense_tile<P, V, S>;
  }
};

/// One group of V registers for all rows, so that its weights are read from memory once. While the second row and what
/// follows compute, the next group's panels come nearer, half a panel per tile. (The first row may lack taps.)
template <int V, int S>
void dense_group(const dense_args& g, int first, int vectors) {
  const int tiles = (g.out_width + dense_pixels<V> - 1) / dense_pixels<V>, size = g.out_width / tiles,
            larger = g.out_width % tiles;
  const dense_tile_function small = dense_tiles<V, S>::of(size);
  const dense_tile_function large = larger ? dense_tiles<V, S>::of(size + 1) : small;
  const std::size_t out = register_offset(first, g.out_plane), residual = register_offset(first, g.residual_plane);
  const float* const weights = g.weights + weight_offset<float>(first, g.panel);
  const int behind = (vectors - first - V + vectors_per_block - 1) / vectors_per_block; // panels behind this group
  constexpr int group = (V + vectors_per_block - 1) / vectors_per_block;                // of a group
  int halves = 2 * (behind < group ? behind : group);                                   // to be fetched
  const float* ahead = g.weights + weight_offset<float>(first + V, g.panel);
  const std::size_t half = static_cast<std::size_t>(g.k / 2 * lane_block);
  std::size_t pixel = 0;
  for (int y = g.y0; y < g.y1; ++y)
    for (int t = 0, x = 0; t < tiles; ++t) {
      const int wide = t < larger ? size + 1 : size;
      const std::size_t at = pixel * lane_block;
      const bool fetches = halves > 0 && y > g.y0;
      (t < larger ? large : small)(g, {.y = y,
                                       .x = x,
                                       .first = first,
                                       .out = g.out + out + at,
                                       .residual = g.residual ? g.residual + residual + at : nullptr,
                                       .ahead = fetches ? ahead + (halves % 2 ? half : 0) : weights});
      if (fetches && --halves % 2 == 0) ahead += g.panel;
      x += wide, pixel += static_cast<std::size_t>(wide);
    }
}

template <int S>
void dense_of_stride(const dense_args& g, int panels) {
  const int vectors = panels * vectors_per_block;
  for (int v = 0; v < vectors;) {
    const int left = vectors - v;
    if constexpr (tile_vectors == 3) {
      if (left == 1)
        dense_group<1, S>(g, v, vectors), v += 1;
      else if (left == 2 || left == 4)
        dense_group<2, S>(g, v, vectors), v += 2;
      else
        dense_group<3, S>(g, v, vectors), v += 3;
    } else {
      dense_group<tile_vectors, S>(g, v, vectors), v += tile_vectors;
    }
  }
}
inline void dense(const dense_args& g, int panels) {
  g.stride == 1 ? dense_of_stride<1>(g, panels) : dense_of_stride<2>(g, panels);
}

/// Rows and columns [begin, end) of a window that are in the image.
struct extent_in {
  int begin, end;
};
DYNOFA_CPU_FN extent_in window_in(int first, int count, int size) {
  return {first < 0 ? 0 : first, first + count < size ? first + count : size};
}

inline void max_windows(const window_args& g) {
  float* out = g.out;
  for (int y = g.y0; y < g.y1; ++y)
    for (int x = 0; x < g.out_size; ++x, out += lane_block) {
      const extent_in rows = window_in(y * g.stride - 1, 3, g.size), columns = window_in(x * g.stride - 1, 3, g.size);
      for (int lane = 0; lane < lane_block; lane += lanes) {
        const float* const corner = g.in + (rows.begin * g.size + columns.begin) * lane_block + lane;
        vec most = load(corner);
        for (int r = 0; r < rows.end - rows.begin; ++r)
          for (int c = 0; c < columns.end - columns.begin; ++c) {
            const vec v = load(corner + (r * g.size + c) * lane_block);
            most = max(v, most);                          // a NaN met before is the second operand and stays …
            most = (vec)((words)most | ~(words)(v == v)); // … and one met now makes a NaN
          }
        store(out + lane, most);
      }
    }
}

inline void mean_windows(const window_args& g) {
  float* out = g.out;
  for (int y = g.y0; y < g.y1; ++y)
    for (int x = 0; x < g.out_size; ++x, out += lane_block) {
      const extent_in rows = window_in(y * g.stride, g.stride, g.size),
                      columns = window_in(x * g.stride, g.stride, g.size);
      const int count = (rows.end - rows.begin) * (columns.end - columns.begin);
      for (int lane = 0; lane < lane_block; lane += lanes) {
        vec sum = zero();
        for (int r = rows.begin; r < rows.end; ++r)
          for (int c = columns.begin; c < columns.end; ++c)
            sum = add(sum, load(g.in + (r * g.size + c) * lane_block + lane));
        store(out + lane, mul(sum, broadcast(1.f / static_cast<float>(count))));
      }
    }
}
