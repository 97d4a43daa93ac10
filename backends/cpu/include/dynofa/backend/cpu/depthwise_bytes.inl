// The depthwise convolution of int8 levels: part of bytes.inl, which says what a quad is and what the namespace around
// defines. No include guard: it is included as often.

/// The taps of a k×k kernel, shifted by up to three pixels: output x of a quad reads so many bytes further on.
template <int K>
struct shifted_taps {
  static constexpr int windows(int shift) { return (shift + K + 3) / 4; }
  ints of[K][4][3]; ///< [row][shift][window]

  DYNOFA_CPU_FN void make(const std::int8_t* weights, int lane) {
    using words = std::uint32_t __attribute__((vector_size(lanes * 4)));
    constexpr int quads = (K + 3) / 4;
    DYNOFA_CPU_UNROLL for (int ky = 0; ky < K; ++ky) {
      const std::int8_t* const row = weights + ky * quads * quad * lane_block + lane * 4;
      const words low = (words)load_ints(row), high = quads > 1 ? (words)load_ints(row + quad * lane_block) : words{};
      of[ky][0][0] = (ints)low, of[ky][0][1] = (ints)high;
      DYNOFA_CPU_UNROLL for (int s = 1; s < 4; ++s) {
        of[ky][s][0] = (ints)(low << (8 * s));
        of[ky][s][1] = (ints)(low >> (32 - 8 * s) | high << (8 * s));
        of[ky][s][2] = (ints)(high >> (32 - 8 * s));
      }
    }
  }
};

template <epilogue Act, int T>
DYNOFA_CPU_FN void code_values(vec (&r)[T], const ints (&sums)[T], vec scale, vec shift, vec bend, vec zero_code) {
  DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) r[t] = code_value<Act>(sums[t], scale, shift, bend, zero_code);
}

/// Q quads of output pixels of one row stay in registers.
template <int K, int S, int Q>
void depthwise_bytes_strip(const depthwise_bytes_args& g, const shifted_taps<K>& taps, const ints* row_zeros, int x,
                           int lane) {
  constexpr int T = Q * quad, windows_in = (T - 1) * S / quad + 3, before = quad - K / 2;
  const vec scale = load(g.scale + lane), shift = load(g.shift + lane), bend = load(g.bend + lane),
            z = load(g.zero_out + lane);
  vec sum = zero();
  const int wanted = g.out_width - x < T ? g.out_width - x : T;
  std::uint8_t* out = g.out + x * lane_block + lane;
  for (int y = g.y0; y < g.y1; ++y, out += g.out_width * lane_block) {
    const int top = y * S - K / 2;
    const int first = top < 0 ? -top : 0, last = g.in_rows - top < K ? g.in_rows - top : K;
    ints start{};
    for (int ky = first; ky < last; ++ky) start -= row_zeros[ky];
    ints acc[T];
    DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) acc[t] = start;
    for (int ky = first; ky < last; ++ky) {
      const std::uint8_t* const row = g.in + g.row_offset[top + ky] + x * S * lane_block + lane * 4;
      ints in[windows_in];
      DYNOFA_CPU_UNROLL for (int i = 0; i < windows_in; ++i) in[i] = load_ints(row + i * quad * lane_block);
      DYNOFA_CPU_UNROLL for (int o = 0; o < quad; ++o) { // outputs that read alike, S · 4 pixels apart
        const int at = before + o * S;
        DYNOFA_CPU_UNROLL for (int j = 0; j < 3; ++j) if (j < shifted_taps<K>::windows(at % 4)) {
          const ints w = taps.of[ky][at % 4][j];
          DYNOFA_CPU_UNROLL for (int q = 0; q < Q; ++q) dot_stored(acc[q * quad + o], in[q * S + at / 4 + j], w);
        }
      }
    }
    vec r[T];
    if (g.act == epilogue::h_swish)
      code_values<epilogue::h_swish>(r, acc, scale, shift, bend, z);
    else if (g.act == epilogue::relu)
      code_values<epilogue::relu>(r, acc, scale, shift, bend, z);
    else if (g.act == epilogue::relu6)
      code_values<epilogue::relu6>(r, acc, scale, shift, bend, z);
    else
      code_values<epilogue::identity>(r, acc, scale, shift, bend, z);
    if (g.sum) {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) if (t < wanted) sum = add(sum, r[t]);
    }
    DYNOFA_CPU_UNROLL for (int q = 0; q < Q; ++q) if (q * quad < wanted)
        store_pixels(out + q * quad * lane_block, r + q * quad, wanted - q * quad < quad ? wanted - q * quad : quad);
  }
  if (g.sum) store(g.sum + lane, add(load(g.sum + lane), sum));
}

template <int K>
using depthwise_bytes_function = void (*)(const depthwise_bytes_args&, const shifted_taps<K>&, const ints*, int, int);

template <int K, int S, int Q = 1>
struct depthwise_bytes_strips {
  static depthwise_bytes_function<K> of(int quads) {
    if constexpr (Q < depthwise_quads)
      return quads == Q ? &depthwise_bytes_strip<K, S, Q> : depthwise_bytes_strips<K, S, Q + 1>::of(quads);
    else
      return &depthwise_bytes_strip<K, S, Q>;
  }
};

template <int K, int S>
void depthwise_bytes(const depthwise_bytes_args& g) {
  const int most = g.sum ? summed_quads : depthwise_quads;
  const int quads = (g.out_width + quad - 1) / quad, strips = (quads + most - 1) / most;
  const int size = quads / strips, larger = quads % strips;
  const auto small = depthwise_bytes_strips<K, S>::of(size);
  const auto large = larger ? depthwise_bytes_strips<K, S>::of(size + 1) : small;
  for (int lane = 0; lane < lane_block; lane += lanes) {
    shifted_taps<K> taps;
    taps.make(g.weights, lane);
    ints row_zeros[K]; // what a row of zero codes would sum up to
    const ints z = load_ints(g.zero_in + lane * 4);
    for (int ky = 0; ky < K; ++ky) {
      row_zeros[ky] = ints{};
      for (int j = 0; j < (K + 3) / 4; ++j) dot(row_zeros[ky], z, taps.of[ky][0][j]);
    }
    for (int t = 0, x = 0; t < strips; x += (t < larger ? size + 1 : size) * quad, ++t)
      (t < larger ? large : small)(g, taps, row_zeros, x, lane);
  }
}
