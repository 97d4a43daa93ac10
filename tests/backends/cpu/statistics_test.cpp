#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/covariance.hpp"
#include "dynofa/backend/cpu/isa.hpp"
#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace dynofa_test::backends_cpu_statistics {

// The kernels of calibration against doubles, and what a convolution's statistics are derived from.

using namespace dynofa;
using namespace dynofa::backend::cpu_detail;

namespace {

std::size_t z(int i) { return static_cast<std::size_t>(i); }

struct floats {
  aligned_bytes memory;
  float* data;
  floats(std::size_t n, std::uint64_t seed, double mean = 0)
      : memory{n * sizeof(float)}
      , data{memory.as<float>()} {
    random_stream random(seed, "statistics_test");
    for (std::size_t i = 0; i < n; ++i) data[i] = static_cast<float>(mean + random.normal());
  }
};

} // namespace

TEST_CASE("moments, batch norm, Gram matrix and products on every instruction set") {
  for (const isa& i : available_isas()) {
    CAPTURE(std::string(i.name));
    for (int pixels : {1, 3, 4, 37, 300}) {
      CAPTURE(pixels);
      const floats x(floats_of(pixels), 1, 3), scale(lane_block, 2), shift(lane_block, 3),
          residual(floats_of(pixels), 4);
      alignas(64) float sum[lane_block], square[lane_block];
      i.kernels->moments(x.data, pixels, sum, square);
      for (std::size_t c = 0; c < lane_block; ++c) {
        double s = 0, q = 0;
        for (int p = 0; p < pixels; ++p)
          s += x.data[floats_of(p) + c], q += double(x.data[floats_of(p) + c]) * x.data[floats_of(p) + c];
        CHECK(sum[c] == doctest::Approx(s).epsilon(1e-6));
        CHECK(square[c] == doctest::Approx(q).epsilon(1e-6));
      }
      const floats out(floats_of(pixels), 5), centred(floats_of(pixels), 6);
      for (const epilogue act : {epilogue::identity, epilogue::relu, epilogue::h_swish})
        for (const bool whole : {false, true}) {
          i.kernels->normalise({x.data, out.data, pixels, scale.data, shift.data, act, whole ? residual.data : nullptr,
                                whole ? centred.data : nullptr, scale.data});
          double worst = 0, moved = 0;
          for (std::size_t n = 0; n < floats_of(pixels); ++n) {
            double y = double(x.data[n]) * scale.data[n % lane_block] + shift.data[n % lane_block];
            if (act == epilogue::relu) y = std::max(y, 0.0);
            if (act == epilogue::h_swish) y *= std::clamp(y / 6 + 0.5, 0.0, 1.0);
            if (whole) y += residual.data[n];
            worst = std::max(worst, std::abs(out.data[n] - y));
            if (whole) moved = std::max(moved, std::abs(centred.data[n] - (y + scale.data[n % lane_block])));
          }
          CHECK(worst < 1e-5);
          CHECK(moved < 1e-5);
        }
    }
    for (int blocks : {1, 2, 3, 6})
      for (int pixels : {1, 5, 200}) {
        const std::size_t channels = floats_of(blocks), plane = floats_of(pixels) + lane_block,
                          panel = channels * lane_block;
        const floats x(z(blocks) * plane, 7), gram(channels * channels, 8);
        i.kernels->gram({x.data, plane, blocks, pixels, gram.data});
        double worst = 0;
        for (std::size_t k = 0; k < channels; ++k)
          for (std::size_t c = k / lane_block * lane_block; c < channels; ++c) {
            const std::size_t at = c / lane_block * panel + k * lane_block + c % lane_block;
            double wanted = 0;
            for (int p = 0; p < pixels; ++p)
              wanted += double(x.data[k / lane_block * plane + floats_of(p) + k % lane_block]) *
                        x.data[c / lane_block * plane + floats_of(p) + c % lane_block];
            worst = std::max(worst, std::abs(gram.data[at] - wanted));
          }
        CHECK(worst < 1e-4); // of sums of 200
      }
    const floats a(floats_of(52), 9), b(floats_of(52), 10);
    alignas(64) float sum[lane_block];
    i.kernels->dot(a.data, b.data, 52, sum);
    for (std::size_t c = 0; c < lane_block; ++c) {
      double wanted = 0;
      for (int k = 0; k < 52; ++k) wanted += double(a.data[floats_of(k) + c]) * b.data[floats_of(k) + c];
      CHECK(std::abs(sum[c] - wanted) < 1e-5);
    }
  }
}

TEST_CASE("a covariance put together from parts, far from zero") {
  constexpr int blocks = 3, pixels = 400, parts = 3;
  const std::size_t channels = floats_of(blocks), plane = floats_of(pixels);
  const isa best = available_isas().front();
  const floats offset(channels, 11), scratch(input_covariance::square(blocks), 12);
  std::vector<floats> x;
  input_covariance covariance(parts, 6);
  for (int round = 0; round < 2; ++round) { // what was there before is forgotten
    covariance.start(blocks);
    for (std::size_t i = 0; i < parts; ++i) {
      x.emplace_back(z(blocks) * plane, 20 + i, 0.3); // 0.3 deviations off: what is left after centring
      covariance.add(*best.kernels, i, x.back().data, plane, pixels, scratch.data);
    }
    if (round == 0) x.clear();
  }
  covariance.average(parts, parts * pixels, offset.data);
  covariance.combine(0, 1), covariance.combine(1, blocks);
  std::vector<double> mean(channels);
  const auto value = [&](std::size_t i, int p, std::size_t c) {
    return double(x[i].data[c / lane_block * plane + floats_of(p) + c % lane_block]);
  };
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < parts; ++i)
      for (int p = 0; p < pixels; ++p) mean[c] += value(i, p, c) / (parts * pixels);
    CHECK(covariance.mean()[c] == doctest::Approx(mean[c] - double(offset.data[c])).epsilon(1e-5));
  }
  double worst = 0;
  for (std::size_t k = 0; k < channels; ++k)
    for (std::size_t c = 0; c < channels; ++c) {
      double wanted = 0;
      for (std::size_t i = 0; i < parts; ++i)
        for (int p = 0; p < pixels; ++p)
          wanted += (value(i, p, k) - mean[k]) * (value(i, p, c) - mean[c]) / (parts * pixels);
      const float got = covariance.covariance()[c / lane_block * covariance.plane() + k * lane_block + c % lane_block];
      worst = std::max(worst, std::abs(double(got) - wanted));
    }
  CHECK(worst < 1e-6);
}

} // namespace dynofa_test::backends_cpu_statistics
