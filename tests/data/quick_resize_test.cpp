#include "dynofa/data/quick_resize.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

namespace dynofa_test::data_quick_resize {

using namespace dynofa::data;
using detail::quick_axis;

TEST_CASE("the samples of an axis lie on it, and their weights add up") {
  for (int in : {1, 2, 3, 7, 64, 480, 4001})
    for (int out : {1, 2, 5, 64, 147, 300})
      for (bool antialias : {false, true})
        for (int total : {256, 1 << 15}) {
          const double scale = double(in) / out;
          const auto axis = quick_axis::make(in, scale, 0, out, antialias, total);
          REQUIRE(axis.outputs.size() == static_cast<std::size_t>(out));
          bool good = true;
          for (const auto& [at, weight] : axis.outputs) {
            good &= std::accumulate(weight.begin(), weight.end(), 0) == total;
            for (std::size_t t = 0; t < quick_axis::most; ++t) {
              good &= at[t] >= 0 && at[t] < in && weight[t] >= 0 && weight[t] <= total;
              if (t >= static_cast<std::size_t>(axis.taps)) good &= weight[t] == 0;
            }
          }
          INFO(in, " to ", out, antialias ? ", antialias" : "");
          CHECK(good);
        }
}

TEST_CASE("their mean lies where the output does") {
  for (double scale : {0.4, 1.0, 1.7, 2.0, 3.27, 7.3, 14.7}) {
    const int out = 40, in = static_cast<int>(std::ceil(out * scale));
    const auto axis = quick_axis::make(in, scale, 0, out, true, 1 << 15);
    for (int i = 4; i < out - 4; ++i) { // away from the edges, which cut the triangle
      const auto& [at, weight] = axis.outputs[static_cast<std::size_t>(i)];
      double mean = 0;
      for (std::size_t t = 0; t < quick_axis::most; ++t) mean += (at[t] + 0.5) * weight[t] / (1 << 15);
      CAPTURE(scale);
      CHECK(std::abs(mean - (i + 0.5) * scale) < (scale <= 1 ? 0.01 : 0.35)); // of the frame's pixels
    }
  }
}

TEST_CASE("shrinking up to four times, the weights are Pillow's") {
  for (int in : {64, 71, 100, 127, 128, 150, 192, 200, 255, 256}) {
    const int out = 64;
    const auto axis = quick_axis::make(in, double(in) / out, 0, out, true, 1 << 15);
    const auto taps = detail::bilinear_taps(in, out, 0, out);
    for (std::size_t i = 0; i < taps.runs.size(); ++i) {
      std::vector<double> wanted(static_cast<std::size_t>(in)), got(wanted);
      for (int k = 0; k < taps.runs[i].count; ++k)
        wanted[static_cast<std::size_t>(taps.runs[i].first + k)] =
            taps.weights[taps.runs[i].weight + static_cast<std::size_t>(k)] / double(1 << detail::weight_bits);
      for (std::size_t t = 0; t < quick_axis::most; ++t)
        got[static_cast<std::size_t>(axis.outputs[i].at[t])] += axis.outputs[i].weight[t] / double(1 << 15);
      double worst = 0;
      for (std::size_t x = 0; x < got.size(); ++x) worst = std::max(worst, std::abs(got[x] - wanted[x]));
      CHECK(worst < 2e-4);
    }
  }
}

TEST_CASE("rows of bytes are mixed, each sum in its place") {
  for (std::size_t count : {1, 15, 16, 17, 40}) {
    std::vector<std::vector<std::uint8_t>> rows(quick_axis::most, std::vector<std::uint8_t>(count));
    detail::tap_rows<std::uint8_t> at{};
    for (std::size_t t = 0; t < rows.size(); ++t) {
      for (std::size_t i = 0; i < count; ++i) rows[t][i] = static_cast<std::uint8_t>(255 - 37 * i - 91 * t);
      at[t] = rows[t].data();
    }
    const std::array<std::int32_t, quick_axis::most> weight = {100, 156}, weights = {8, 24, 40, 56, 56, 40, 24, 8};
    std::vector<std::uint16_t> two(48), eight(48);
    detail::mix_rows<2>(at, weight, count, two.data());
    detail::mix_rows<8>(at, weights, count, eight.data());
    std::set<std::size_t> places;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t place = detail::mixed_place(i);
      places.insert(place);
      REQUIRE(place < (count + 15) / 16 * 16);
      CHECK(two[place] == 100 * rows[0][i] + 156 * rows[1][i]);
      int wanted = 0;
      for (std::size_t t = 0; t < rows.size(); ++t) wanted += weights[t] * rows[t][i];
      CHECK(eight[place] == wanted);
    }
    CHECK(places.size() == count);
  }
}

} // namespace dynofa_test::data_quick_resize
