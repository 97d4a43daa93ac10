#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/core/half.hpp"
#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace dynofa_test::backends_cpu_pointwise {

using namespace dynofa;
using namespace dynofa::backend::cpu_detail;

// The pointwise kernels of every instruction set, over odd numbers of pixels, panels and channels, against sums in
// double precision of the same stored operands: what remains is the rounding of fp32 sums, and of a bf16 output.

namespace {

std::size_t z(int i) { return static_cast<std::size_t>(i); }

template <class Value>
Value stored(double v) {
  if constexpr (sizeof(Value) == 4)
    return static_cast<float>(v);
  else if constexpr (std::is_same_v<Value, float16>)
    return Value{float_to_half(static_cast<float>(v))};
  else
    return Value{float_to_bfloat16(static_cast<float>(v))};
}
double read(float v) { return v; }
double read(float16 v) { return double(half_to_float(static_cast<std::uint16_t>(v))); }
double read(bfloat16 v) { return double(bfloat16_to_float(static_cast<std::uint16_t>(v))); }

template <class T>
struct aligned {
  std::vector<T> room;
  T* data;
  explicit aligned(std::size_t n)
      : room(n + 64) {
    const auto address = reinterpret_cast<std::uintptr_t>(room.data());
    data = room.data() + (64 - address % 64) % 64 / sizeof(T);
  }
};

/// The worst difference in units of Σ|in·weight|·|scale| + |shift| + |residual|.
template <class Value, class Out, class Weight = Value, class Kernel>
double worst_error(Kernel kernel, int k, int panels, int pixels, bool with_residual, epilogue act) {
  random_stream random(z(k * 1000 + panels * 100 + pixels), "pointwise");
  const int in_blocks = blocks_of(k), outs = panels * lane_block;
  const std::size_t plane = z(pixels + 2) * lane_block, panel = z(k) * lane_block;
  aligned<Value> in(plane * z(in_blocks));
  aligned<Weight> weights(panel * z(panels));
  aligned<Out> out(plane * z(panels)), residual(plane * z(panels));
  aligned<float> scale(z(outs)), shift(z(outs));
  for (std::size_t i = 0; i < plane * z(in_blocks); ++i) in.data[i] = stored<Value>(random.normal());
  for (std::size_t i = 0; i < panel * z(panels); ++i) weights.data[i] = stored<Weight>(random.normal());
  for (std::size_t i = 0; i < plane * z(panels); ++i) residual.data[i] = stored<Out>(random.normal());
  for (int o = 0; o < outs; ++o)
    scale.data[o] = static_cast<float>(random.normal()), shift.data[o] = static_cast<float>(random.normal());
  const pointwise_of<Value, Out, Weight> g{in.data,
                                           plane,
                                           weights.data,
                                           panel,
                                           k,
                                           out.data,
                                           plane,
                                           scale.data,
                                           shift.data,
                                           with_residual ? residual.data : nullptr,
                                           plane,
                                           nullptr,
                                           0,
                                           act};
  kernel(g, panels, pixels);
  double worst = 0;
  for (int o = 0; o < outs; ++o)
    for (int p = 0; p < pixels; ++p) {
      double sum = 0, size = 0;
      for (int c = 0; c < k; ++c) {
        const std::size_t at = is_bfloat16<Weight> ? z((c / 2 * lane_block + o % lane_block) * 2 + c % 2)
                                                   : z(c * lane_block + o % lane_block);
        const double product = read(in.data[z(c / lane_block) * plane + z(p * lane_block + c % lane_block)]) *
                               read(weights.data[z(o / lane_block) * panel + at]);
        sum += product, size += std::abs(product);
      }
      const std::size_t at = z(o / lane_block) * plane + z(p * lane_block + o % lane_block);
      const double s = double(scale.data[o]), t = double(shift.data[o]);
      double wanted = sum * s + t;
      size = size * std::abs(s) + std::abs(t);
      if (with_residual) wanted += read(residual.data[at]), size += std::abs(read(residual.data[at]));
      if (act == epilogue::relu) wanted = std::max(wanted, 0.0);
      if (act == epilogue::h_swish) wanted *= std::min(std::max(wanted / 6 + 0.5, 0.0), 1.0), size *= 2;
      worst = std::max(worst, std::abs(read(out.data[at]) - wanted) / size);
    }
  return worst;
}

} // namespace

TEST_CASE("pointwise products of fp32, of half-precision weights and of bf16 on every instruction set") {
  for (const isa& i : available_isas()) {
    CAPTURE(std::string(i.name));
    double fp32 = 0, half = 0, expand = 0, project = 0;
    for (int k : {4, 12, 16, 24, 52})
      for (int panels : {1, 2, 3, 4, 5})
        for (int pixels : {1, 2, 5, 9, 13, 14, 27, 31}) {
          const epilogue act = pixels % 2 ? epilogue::relu : epilogue::h_swish;
          fp32 = std::max(fp32, worst_error<float, float>(i.kernels->pointwise, k, panels, pixels, false, act));
          half = std::max(half,
                          worst_error<float, float, float16>(i.kernels->pointwise_half, k, panels, pixels,
                                                             pixels % 3 == 0, pixels % 3 ? act : epilogue::identity));
          expand =
              std::max(expand, worst_error<bfloat16, float>(i.kernels->expand_bf16, k, panels, pixels, false, act));
          for (bool residual : {false, true})
            project = std::max(project, worst_error<bfloat16, bfloat16>(i.kernels->project_bf16, k, panels, pixels,
                                                                        residual, epilogue::identity));
        }
    CHECK(fp32 < 1e-6);
    CHECK(half < 1e-6);
    CHECK(expand < 1e-6);
    CHECK(project < 0x1p-8 * 1.001); // half a unit in the last of bf16's eight bits
    CHECK(project > 0x1p-12);        // and it is rounded
  }
}

TEST_CASE("pointwise products in half precision on every instruction set") {
  for (const isa& i : available_isas()) {
    if (!i.kernels->computes_in_half()) continue;
    CAPTURE(std::string(i.name));
    // The worst met are 0.0019 with all in half precision, where scale, shift and activation are rounded to 11 bits
    // too, and 0.0007 with more inputs than that, whose sums are added and scaled in fp32.
    const auto worst = [&](int k, int panels, int pixels, bool residual, epilogue act) {
      return worst_error<float16, float16>(i.kernels->pointwise_in_half, k, panels, pixels, residual, act);
    };
    double in_half = 0, more = 0;
    for (int k : {4, 8, 12, 16, 24, 52, 64, 68, 128, 140, 960})
      for (int panels : {1, 2, 5})
        for (int pixels : {1, 2, 5, 9, 13, 14, 27, 31}) {
          double& most = k <= 128 ? in_half : more;
          most = std::max(most, worst(k, panels, pixels, false, pixels % 2 ? epilogue::relu : epilogue::h_swish));
          for (const bool residual : {false, true})
            most = std::max(most, worst(k, panels, pixels, residual, panels > 1 ? epilogue::identity : epilogue::relu));
        }
    CHECK(in_half < 0x1p-8);
    CHECK(in_half > 0x1p-13); // it is rounded
    CHECK(more < 0x1p-9);
  }
}

namespace {

template <class T>
bool same_or_nan(T a, T b) {
  return a == b || (std::isnan(read(a)) && std::isnan(read(b)));
}

} // namespace

TEST_CASE("halves are narrowed to the nearest, gated, averaged and multiplied by vectors as plain loops do") {
  for (const isa& i : available_isas()) {
    if (!i.kernels->computes_in_half()) continue;
    CAPTURE(std::string(i.name));
    constexpr int k = 12, n = k * lane_block;
    random_stream random(7, "halves");
    aligned<float> in(n), gate(n), mean(lane_block);
    aligned<float16> narrow(n), scaled(n);
    for (int c = 0; c < n; ++c) {
      in.data[c] = static_cast<float>(random.normal() * std::exp(5 * random.normal()));
      gate.data[c] = static_cast<float>(random.uniform());
    }
    in.data[0] = 65519.f, in.data[1] = 65520.f, in.data[2] = -1e9f, in.data[3] = NAN, in.data[4] = 0x1p-25f;
    in.data[5] = 1 + 0x1p-11f, in.data[6] = 1 + 3 * 0x1p-11f, in.data[7] = -0.f; // two ties
    i.kernels->narrow_to_half(in.data, narrow.data, k);
    bool nearest = true, rows = true, pixels = true;
    for (int c = 0; c < n; ++c) nearest &= same_or_nan(narrow.data[c], stored<float16>(double(in.data[c])));
    CHECK(nearest);

    const auto product = [&](int c, int g) { // one rounding of the gate, one of the product
      return stored<float16>(read(narrow.data[c]) * read(stored<float16>(double(gate.data[g]))));
    };
    i.kernels->scale_rows_in_half(narrow.data, gate.data, scaled.data, k);
    for (int c = 0; c < n; ++c) rows &= same_or_nan(scaled.data[c], product(c, c / lane_block));
    CHECK(rows);
    std::copy_n(narrow.data, n, scaled.data);
    i.kernels->scale_pixels_in_half(scaled.data, gate.data, k);
    for (int c = 0; c < n; ++c) pixels &= same_or_nan(scaled.data[c], product(c, c % lane_block));
    CHECK(pixels);

    for (int c = 0; c < n; ++c) narrow.data[c] = stored<float16>(random.normal());
    i.kernels->mean_of_halves(narrow.data, k, mean.data);
    for (int c = 0; c < lane_block; ++c) {
      double sum = 0;
      for (int p = 0; p < k; ++p) sum += read(narrow.data[p * lane_block + c]);
      CHECK(std::abs(double(mean.data[c]) - sum / k) < 1e-6);
    }

    const isa plain = available_isas()[1];
    for (const int depth : {4, 7, 12}) {
      aligned<float> wanted(lane_block), got(lane_block);
      matvec_args g{in.data + 16, depth, narrow.data, n, gate.data, wanted.data, 1, epilogue::h_swish};
      plain.kernels->matvec_half(g);
      g.out = got.data;
      i.kernels->matvec_half(g);
      for (int c = 0; c < lane_block; ++c) CHECK(got.data[c] == wanted.data[c]);
    }
  }
}

TEST_CASE("depthwise convolutions in half precision are those of floats but for its rounding") {
  for (const isa& i : available_isas()) {
    if (!i.kernels->computes_in_half()) continue;
    for (const int kernel : {3, 5, 7})
      for (const int stride : {1, 2})
        for (const int width : {1, 6, 14, 29}) {
          CAPTURE(kernel);
          CAPTURE(stride);
          CAPTURE(width);
          const int out_width = (width + stride - 1) / stride, row = (width + kernel - 1) * lane_block;
          const int height = 9, out_height = (height + stride - 1) / stride, outs = out_height * out_width * lane_block;
          random_stream random(z(kernel * 100 + width), "depthwise");
          aligned<float> floats(z(row * height)), weights(z(kernel * kernel * lane_block)), scale(16), shift(16);
          aligned<float> wanted(z(outs)), wanted_sum(16), sum(16);
          aligned<float16> halves(z(row * height)), got(z(outs));
          for (int y = 0; y < height; ++y)
            for (int x = kernel / 2 * lane_block; x < row - kernel / 2 * lane_block; ++x) {
              halves.data[y * row + x] = stored<float16>(random.normal());
              floats.data[y * row + x] = static_cast<float>(read(halves.data[y * row + x]));
            }
          for (int c = 0; c < kernel * kernel * lane_block; ++c)
            weights.data[c] = static_cast<float>(random.normal() / kernel);
          for (int c = 0; c < lane_block; ++c)
            scale.data[c] = static_cast<float>(random.normal()), shift.data[c] = static_cast<float>(random.normal());
          std::vector<std::int32_t> row_offset;
          for (int y = 0; y < height; ++y) row_offset.push_back(y * row);
          const auto run = [&](auto function, const auto* in, void* out, float* to) {
            function({in, row_offset.data(), height, out, out_width, weights.data, scale.data, shift.data, to, 0,
                      out_height, epilogue::h_swish});
          };
          run(i.kernels->depthwise[kernel / 2 - 1][stride - 1], floats.data, wanted.data, wanted_sum.data);
          run(i.kernels->depthwise_in_half[kernel / 2 - 1][stride - 1], halves.data, got.data, sum.data);
          double worst = 0, worst_sum = 0;
          for (int c = 0; c < outs; ++c) worst = std::max(worst, std::abs(read(got.data[c]) - double(wanted.data[c])));
          for (int c = 0; c < lane_block; ++c)
            worst_sum = std::max(worst_sum, std::abs(double(sum.data[c]) - double(wanted_sum.data[c])));
          CHECK(worst < 0.02);
          CHECK(worst_sum < 0.002 * out_height * out_width + 0.01);
        }
  }
}

TEST_CASE("rows of half-precision weights are widened exactly as they are gated") {
  for (const isa& i : available_isas()) {
    CAPTURE(std::string(i.name));
    constexpr int k = 4096, n = k * lane_block; // every half there is
    random_stream random(6, "gate");
    aligned<float16> in(n);
    aligned<float> gate(k), out(n);
    for (int c = 0; c < n; ++c) in.data[c] = float16{static_cast<std::uint16_t>(c)};
    for (int c = 0; c < k; ++c) gate.data[c] = c % 2 ? 1.f : static_cast<float>(random.uniform());
    i.kernels->scale_rows_half(in.data, gate.data, out.data, k);
    bool exact = true;
    for (int c = 0; c < n; ++c) {
      const float wanted = half_to_float(static_cast<std::uint16_t>(in.data[c])) * gate.data[c / lane_block];
      exact &= std::isnan(wanted) ? std::isnan(out.data[c])
                                  : out.data[c] == wanted && std::signbit(out.data[c]) == std::signbit(wanted);
    }
    CHECK(exact);
  }
}

TEST_CASE("bf16 is narrowed to the nearest, widened exactly, and gated in place") {
  for (const isa& i : available_isas()) {
    CAPTURE(std::string(i.name));
    constexpr int blocks = 7, n = blocks * lane_block;
    random_stream random(5, "narrow");
    aligned<float> in(n), back(n), gate(n);
    aligned<bfloat16> narrow(n), scaled(n);
    for (int c = 0; c < n; ++c) {
      in.data[c] = static_cast<float>(random.normal() * std::exp(20 * random.normal()));
      gate.data[c] = static_cast<float>(random.uniform());
    }
    in.data[0] = 1.00390625f, in.data[1] = 1.01171875f, in.data[2] = 0, in.data[3] = -0.f; // two ties
    i.kernels->narrow(in.data, narrow.data, blocks);
    i.kernels->widen(narrow.data, back.data, blocks);
    bool nearest = true, exact = true, pairs = true, pixels = true;
    for (int c = 0; c < n; ++c) {
      nearest &= static_cast<std::uint16_t>(narrow.data[c]) == float_to_bfloat16(in.data[c]);
      exact &= double(back.data[c]) == read(narrow.data[c]);
    }
    CHECK(nearest);
    CHECK(exact);
    // [k/2][16][2], k = 6
    i.kernels->scale_pairs_bf16(narrow.data, gate.data, scaled.data, 6);
    for (int c = 0; c < 6 * lane_block; ++c) {
      const float wanted = back.data[c] * gate.data[c / (2 * lane_block) * 2 + c % 2];
      pairs &= static_cast<std::uint16_t>(scaled.data[c]) == float_to_bfloat16(wanted);
    }
    CHECK(pairs);
    i.kernels->scale_pixels_bf16(narrow.data, gate.data, blocks);
    for (int c = 0; c < n; ++c)
      pixels &=
          static_cast<std::uint16_t>(narrow.data[c]) == float_to_bfloat16(back.data[c] * gate.data[c % lane_block]);
    CHECK(pixels);
  }
}

} // namespace dynofa_test::backends_cpu_pointwise
