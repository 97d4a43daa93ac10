#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dynofa::detail {

// Small fp32 products for the predictor: y[rows][out] = relu?(x[rows][in] · Wᵀ + b). Plain C++ with vector types,
// compiled for three instruction sets and chosen at run time, since a header-only library cannot ask for -mavx512f. One
// core of a Zen 5 does a 400 × 400 layer at about 100 GFLOP/s.

/// Rows × Columns vectors of Width floats of y, kept in registers: the products of the `count` inputs listed in `used`.
/// The others are zero in all Rows. Every row adds its products in the same order, so a row's result does not depend
/// on its neighbours.
template <int Width, int Rows, int Columns>
[[gnu::always_inline]] inline void dense_tile(const float* x, std::size_t x_stride, const std::uint32_t* used,
                                              std::size_t count, const float* weights, const float* bias, float* y,
                                              std::size_t y_stride, bool relu) {
  // NOLINTNEXTLINE(modernize-use-using): g++ drops may_alias from an alias declaration
  typedef float vec __attribute__((vector_size(Width * sizeof(float)), aligned(4), may_alias));
  vec sum[Rows][Columns];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) sum[r][c] = *reinterpret_cast<const vec*>(bias + c * Width);
  for (std::size_t j = 0; j < count; ++j) {
    const std::size_t i = used[j];
    const float* w = weights + i * (Width * Columns);
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
      if (relu) v = zero > v ? zero : v; // NaN stays
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

/// Which of `in` inputs are not zero in all Rows → `used`; how many. After a ReLU about half of a network's values are
/// zero, and among neighbours in a search the same ones.
template <int Rows>
[[gnu::always_inline]] inline std::size_t list_used(const float* x, std::size_t stride, std::size_t in,
                                                    std::uint32_t* used) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < in; ++i) {
    bool any = false;
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) any |= x[r * stride + i] != 0;
    used[count] = static_cast<std::uint32_t>(i);
    count += any;
  }
  return count;
}

template <int Width, int Rows, int Columns>
[[gnu::always_inline]] inline void dense_rows(const dense_arguments& a, std::size_t row) {
  constexpr std::size_t panel = Width * Columns, usual = 1024;
  std::array<std::uint32_t, usual> place;
  std::vector<std::uint32_t> wider(a.in > usual ? a.in : 0); // allocates for unusually wide networks only
  std::uint32_t* used = a.in > usual ? wider.data() : place.data();
  const float* x = a.x + row * a.x_stride;
  const std::size_t count = list_used<Rows>(x, a.x_stride, a.in, used);
  for (std::size_t o = 0; o < a.y_stride; o += panel)
    dense_tile<Width, Rows, Columns>(x, a.x_stride, used, count, a.weights + o * a.in, a.bias + o,
                                     a.y + row * a.y_stride + o, a.y_stride, a.relu);
}

template <int Width, int Rows, int Columns>
[[gnu::always_inline]] inline void dense_product(const dense_arguments& a) {
  std::size_t row = 0;
  for (; row + Rows <= a.rows; row += Rows) dense_rows<Width, Rows, Columns>(a, row);
  for (; row < a.rows; ++row) dense_rows<Width, 1, Columns>(a, row);
}

/// out[0 … n) = bias + Σ rows[column], then ReLU: a layer on a vector of zeros and ones. `rows` is [in][n], n a
/// multiple of 16.
template <int Width>
[[gnu::always_inline]] inline void sum_rows_of(const float* rows, const float* bias,
                                               std::span<const std::int16_t> columns, std::size_t n, float* out) {
  // NOLINTNEXTLINE(modernize-use-using): as above
  typedef float vec __attribute__((vector_size(Width * sizeof(float)), aligned(4), may_alias));
  constexpr int most = 4;
  const vec zero = {};
  const auto add = [&](std::size_t i, auto vectors) __attribute__((always_inline)) {
    constexpr int count = decltype(vectors)::value;
    vec sum[count];
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v)
      sum[v] = *reinterpret_cast<const vec*>(bias + i + static_cast<std::size_t>(v) * Width);
    for (const std::int16_t c : columns) {
      const float* row = rows + static_cast<std::size_t>(c) * n + i;
#pragma GCC unroll 8
      for (int v = 0; v < count; ++v) sum[v] += *reinterpret_cast<const vec*>(row + v * Width);
    }
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v)
      *reinterpret_cast<vec*>(out + i + static_cast<std::size_t>(v) * Width) = sum[v] > zero ? sum[v] : zero;
  };
  std::size_t i = 0;
  for (; i + most * Width <= n; i += most * Width) add(i, std::integral_constant<int, most>());
  for (; i < n; i += Width) add(i, std::integral_constant<int, 1>());
}

using one_columns = std::span<const std::int16_t>;
inline void dense_plain(const dense_arguments& a) { dense_product<4, 4, 2>(a); }
inline void sum_rows_plain(const float* rows, const float* bias, one_columns columns, std::size_t n, float* out) {
  sum_rows_of<4>(rows, bias, columns, n, out);
}
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] inline void dense_avx2(const dense_arguments& a) { dense_product<8, 4, 2>(a); }
[[gnu::target("avx2,fma")]] inline void sum_rows_avx2(const float* rows, const float* bias, one_columns columns,
                                                      std::size_t n, float* out) {
  sum_rows_of<8>(rows, bias, columns, n, out);
}
[[gnu::target("avx512f,fma")]] inline void dense_avx512(const dense_arguments& a) { dense_product<16, 5, 5>(a); }
[[gnu::target("avx512f,fma")]] inline void sum_rows_avx512(const float* rows, const float* bias, one_columns columns,
                                                           std::size_t n, float* out) {
  sum_rows_of<16>(rows, bias, columns, n, out);
}
#endif

/// The product for this machine, and the panel width that its weights are packed for.
struct dense_kernel {
  void (*run)(const dense_arguments&) = dense_plain;
  std::size_t panel = 8;
  void (*sum_rows)(const float*, const float*, one_columns, std::size_t, float*) = sum_rows_plain;
};
inline const dense_kernel& best_dense_kernel() {
  static const dense_kernel kernel = [] {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return dense_kernel{dense_avx512, 80, sum_rows_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      return dense_kernel{dense_avx2, 16, sum_rows_avx2};
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

} // namespace dynofa::detail
