#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dynofa::detail {

// Small fp32 products for the predictor: y[rows][out] = relu?(x[rows][in] · Wᵀ + b). Plain C++ with vector types,
// compiled for three instruction sets and chosen at run time, since a header-only library cannot ask for -mavx512f. One
// core of a Zen 5 does a 400 × 400 layer at about 100 GFLOP/s.

/// Rows × Columns vectors of Width floats of y, kept in registers. Every row adds its products in the same order, so a
/// row's result does not depend on its neighbours.
template <int Width, int Rows, int Columns>
[[gnu::always_inline]] inline void dense_tile(const float* x, std::size_t x_stride, std::size_t in, const float* w,
                                              const float* bias, float* y, std::size_t y_stride, bool relu) {
  // NOLINTNEXTLINE(modernize-use-using): g++ drops may_alias from an alias declaration
  typedef float vec __attribute__((vector_size(Width * sizeof(float)), aligned(4), may_alias));
  vec sum[Rows][Columns];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) sum[r][c] = *reinterpret_cast<const vec*>(bias + c * Width);
  for (std::size_t i = 0; i < in; ++i, w += Width * Columns) {
    vec column[Columns];
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) column[c] = *reinterpret_cast<const vec*>(w + c * Width);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const float value = x[static_cast<std::size_t>(r) * x_stride + i];
#pragma GCC unroll 8
      for (int c = 0; c < Columns; ++c) sum[r][c] += column[c] * value;
    }
  }
  const vec zero = {};
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) {
      vec v = sum[r][c];
      if (relu) v = v > zero ? v : zero;
      *reinterpret_cast<vec*>(y + static_cast<std::size_t>(r) * y_stride + c * Width) = v;
    }
}

struct dense_arguments {
  const float* x;
  std::size_t x_stride, rows, in;
  const float *weights, *bias; ///< weights: panels [out / panel][in][panel]
  float* y;
  std::size_t y_stride; ///< a multiple of the panel
  bool relu;
};

template <int Width, int Rows, int Columns>
[[gnu::always_inline]] inline void dense_product(const dense_arguments& a) {
  constexpr std::size_t panel = Width * Columns;
  for (std::size_t row = 0; row < a.rows;) {
    const bool whole = row + Rows <= a.rows;
    for (std::size_t o = 0; o < a.y_stride; o += panel) {
      const float *x = a.x + row * a.x_stride, *w = a.weights + o * a.in;
      float* y = a.y + row * a.y_stride + o;
      if (whole)
        dense_tile<Width, Rows, Columns>(x, a.x_stride, a.in, w, a.bias + o, y, a.y_stride, a.relu);
      else
        dense_tile<Width, 1, Columns>(x, a.x_stride, a.in, w, a.bias + o, y, a.y_stride, a.relu);
    }
    row += whole ? Rows : 1;
  }
}

inline void dense_plain(const dense_arguments& a) { dense_product<4, 4, 2>(a); }
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] inline void dense_avx2(const dense_arguments& a) { dense_product<8, 4, 2>(a); }
[[gnu::target("avx512f,fma")]] inline void dense_avx512(const dense_arguments& a) { dense_product<16, 5, 5>(a); }
#endif

/// The product for this machine, and the panel width that its weights are packed for.
struct dense_kernel {
  void (*run)(const dense_arguments&) = dense_plain;
  std::size_t panel = 8;
};
inline const dense_kernel& best_dense_kernel() {
  static const dense_kernel kernel = [] {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return dense_kernel{dense_avx512, 80};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return dense_kernel{dense_avx2, 16};
#endif
    return dense_kernel{};
  }();
  return kernel;
}

/// A layer's weights packed for this machine.
class dense_layer {
public:
  /// weights [out, in] row-major, bias [out].
  dense_layer(std::span<const float> weights, std::span<const float> bias, bool relu)
      : in_{weights.size() / bias.size()}
      , kernel_{best_dense_kernel()}
      , width_{(bias.size() + kernel_.panel - 1) / kernel_.panel * kernel_.panel}
      , relu_{relu}
      , weights_(width_ * in_)
      , bias_(width_) {
    std::copy(bias.begin(), bias.end(), bias_.begin());
    for (std::size_t o = 0; o < bias.size(); ++o)
      for (std::size_t i = 0; i < in_; ++i)
        weights_[o / kernel_.panel * kernel_.panel * in_ + i * kernel_.panel + o % kernel_.panel] =
            weights[o * in_ + i];
  }
  /// Floats from one output row to the next; those beyond the last output are 0.
  std::size_t width() const { return width_; }
  void operator()(const float* x, std::size_t x_stride, std::size_t rows, float* y) const {
    kernel_.run({x, x_stride, rows, in_, weights_.data(), bias_.data(), y, width_, relu_});
  }

private:
  std::size_t in_;
  dense_kernel kernel_;
  std::size_t width_;
  bool relu_;
  std::vector<float> weights_, bias_;
};

/// out[0 … n) = bias + Σ rows[column], then ReLU: a layer on a vector of zeros and ones. `rows` is [in][n].
inline void sum_rows(const float* rows, const float* bias, std::span<const std::int16_t> columns, std::size_t n,
                     float* out) {
  // Split by the compiler where it must be.
  typedef float vec __attribute__((vector_size(64), aligned(4), may_alias)); // NOLINT(modernize-use-using): as above
  const vec zero = {};
  for (std::size_t i = 0; i < n; i += 16) {
    vec sum = *reinterpret_cast<const vec*>(bias + i);
    for (const std::int16_t c : columns)
      sum += *reinterpret_cast<const vec*>(rows + static_cast<std::size_t>(c) * n + i);
    *reinterpret_cast<vec*>(out + i) = sum > zero ? sum : zero;
  }
}

} // namespace dynofa::detail
