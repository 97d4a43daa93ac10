// The depthwise convolution, for rows of floats and of halves: included inside a namespace that defines, besides what
// activate.inl wants,
//   lanes, load, store, accumulate   kernels.inl says what they are; load(const float*) gives a vec, of halves too
//   depthwise_tile                   output pixels of one strip
//   running_sum                      of a channel's outputs: no_sum(), add_row(sum, a strip's row), add_sum(float*,
//   sum)
// No include guard.

/// T output pixels of one row stay in registers; each loaded input serves all the taps that want it.
template <class In, class Weight, int K, int S, int T>
void depthwise_strip(const depthwise_of<In, Weight>& g, int x, int lane) {
  const vec scale = load(g.scale + lane), shift = load(g.shift + lane);
  running_sum sum = no_sum();
  int out = x * lane_block + lane;
  for (int y = g.y0; y < g.y1; ++y, out += g.out_width * lane_block) {
    const int top = y * S - K / 2;
    const int first = top < 0 ? -top : 0, last = g.in_rows - top < K ? g.in_rows - top : K;
    vec acc[T];
    DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) acc[t] = zero();
    for (int ky = first; ky < last; ++ky) {
      const In* row = g.in + g.row_offset[top + ky] + x * S * lane_block + lane;
      const Weight* weights = g.weights + ky * K * lane_block + lane;
      vec w[K];
      DYNOFA_CPU_UNROLL for (int kx = 0; kx < K; ++kx) w[kx] = load(weights + kx * lane_block);
      DYNOFA_CPU_UNROLL for (int i = 0; i < (T - 1) * S + K; ++i) {
        const vec in = load(row + i * lane_block);
        DYNOFA_CPU_UNROLL for (int kx = 0; kx < K; ++kx) if (i >= kx && (i - kx) % S == 0 && (i - kx) / S < T)
            accumulate(acc[(i - kx) / S], in, w[kx]);
      }
    }
    if (g.act == epilogue::relu) {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) acc[t] = activate(fma(acc[t], scale, shift), epilogue::relu);
    } else if (g.act == epilogue::relu6) {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) acc[t] = activate(fma(acc[t], scale, shift), epilogue::relu6);
    } else if (g.act == epilogue::h_swish) {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) acc[t] = activate(fma(acc[t], scale, shift), epilogue::h_swish);
    } else {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) acc[t] = fma(acc[t], scale, shift);
    }
    if constexpr (is_float16<In>) {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) store(static_cast<In*>(g.out) + out + t * lane_block, acc[t]);
    } else if (g.to_bf16) {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) store(static_cast<bfloat16*>(g.out) + out + t * lane_block, acc[t]);
    } else {
      DYNOFA_CPU_UNROLL for (int t = 0; t < T; ++t) store(static_cast<float*>(g.out) + out + t * lane_block, acc[t]);
    }
    add_row(sum, acc);
  }
  add_sum(g.sum + lane, sum);
}

template <class In, class Weight>
using depthwise_strip_function = void (*)(const depthwise_of<In, Weight>&, int, int);

template <class In, class Weight, int K, int S, int T = 1>
struct depthwise_strips {
  static depthwise_strip_function<In, Weight> of(int pixels) {
    if constexpr (T < depthwise_tile)
      return pixels == T ? &depthwise_strip<In, Weight, K, S, T>
                         : depthwise_strips<In, Weight, K, S, T + 1>::of(pixels);
    else
      return &depthwise_strip<In, Weight, K, S, T>;
  }
};

template <int K, int S, class In, class Weight>
void depthwise(const depthwise_of<In, Weight>& g) {
  const int strips = (g.out_width + depthwise_tile - 1) / depthwise_tile;
  const int size = g.out_width / strips, larger = g.out_width % strips;
  const auto small = depthwise_strips<In, Weight, K, S>::of(size);
  const auto large = larger ? depthwise_strips<In, Weight, K, S>::of(size + 1) : small;
  for (int lane = 0; lane < lane_block; lane += lanes)
    for (int t = 0, x = 0; t < strips; x += t < larger ? size + 1 : size, ++t) (t < larger ? large : small)(g, x, lane);
}
