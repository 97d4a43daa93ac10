#include "dynofa/data/draw.hpp"
#include "dynofa/data/frame_to_rgb.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include "support/frames.hpp"
#include "support/sentence.hpp"
#include <cmath>
#include <limits>
#include <vector>

namespace dynofa_test::data_frame_to_rgb {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;
using support::laid_out;

TEST_CASE("the factors of Y, U and V are those of the standards") {
  const auto near = [](const yuv_factors& got, double y, double r_v, double g_u, double g_v, double b_u) {
    const double wanted[] = {y, r_v, g_u, g_v, b_u};
    const int given[] = {got.y, got.r_v, got.g_u, got.g_v, got.b_u};
    for (int i = 0; i < 5; ++i) CHECK(given[i] / 65536.0 == doctest::Approx(wanted[i]).epsilon(1e-4));
  };
  near(factors_of(yuv_colours::bt601), 1.16438, 1.59603, -0.39176, -0.81297, 2.01723);
  near(factors_of(yuv_colours::bt709), 1.16438, 1.79274, -0.21325, -0.53291, 2.11240);
  near(factors_of(yuv_colours::bt601_full), 1, 1.402, -0.344136, -0.714136, 1.772);
  near(factors_of(yuv_colours::bt709_full), 1, 1.5748, -0.187324, -0.468124, 1.8556);
  CHECK(factors_of(yuv_colours::bt601).black == 16);
  CHECK(factors_of(yuv_colours::bt709_full).black == 0);
}

TEST_CASE("bytes of Y, U and V are the formula's to half a level") {
  for (auto colours : {yuv_colours::bt601, yuv_colours::bt709, yuv_colours::bt601_full, yuv_colours::bt709_full}) {
    const bool hd = colours == yuv_colours::bt709 || colours == yuv_colours::bt709_full;
    const bool full = colours == yuv_colours::bt601_full || colours == yuv_colours::bt709_full;
    const double red = hd ? 0.2126 : 0.299, blue = hd ? 0.0722 : 0.114;
    const auto bytes = noise_bytes(7, 4 * 4096);
    const image got = to_image(yuyv_view{bytes, 8192, 1, 0, colours});
    double worst = 0;
    for (std::size_t x = 0; x < 8192; ++x) {
      const double y = full ? bytes[2 * x] / 255.0 : (bytes[2 * x] - 16) / 219.0;
      const double u = (bytes[x / 2 * 4 + 1] - 128) / (full ? 255.0 : 224.0);
      const double v = (bytes[x / 2 * 4 + 3] - 128) / (full ? 255.0 : 224.0);
      const double r = y + 2 * (1 - red) * v, b = y + 2 * (1 - blue) * u,
                   g = (y - red * r - blue * b) / (1 - red - blue);
      const double rgb[] = {r, g, b};
      for (std::size_t c = 0; c < 3; ++c)
        worst = std::max(worst, std::abs(got.pixels[3 * x + c] - std::clamp(255 * rgb[c], 0.0, 255.0)));
    }
    CHECK(worst < 0.51);
  }
}

TEST_CASE("black, white and grey stay so") {
  for (auto colours : {yuv_colours::bt601, yuv_colours::bt601_full, yuv_colours::bt709, yuv_colours::bt709_full}) {
    const bool full = colours == yuv_colours::bt601_full || colours == yuv_colours::bt709_full;
    std::vector<std::uint8_t> luma(256), chroma(256, 128);
    for (std::size_t i = 0; i < 256; ++i) luma[i] = static_cast<std::uint8_t>(i);
    const image got = to_image(nv12_view{luma, chroma, 256, 1, 0, 0, colours});
    for (std::size_t i = 0; i < 256; ++i) {
      CHECK(got.pixels[3 * i] == got.pixels[3 * i + 1]);
      CHECK(got.pixels[3 * i] == got.pixels[3 * i + 2]);
      if (full) CHECK(got.pixels[3 * i] == i);
    }
    CHECK(got.pixels[full ? 0 : 3 * 16] == 0);
    CHECK(got.pixels[full ? 3 * 255 : 3 * 235] == 255);
  }
}

TEST_CASE("every layout of a picture is that picture") {
  for (auto [height, width] : {std::pair{7, 9}, {6, 10}, {1, 1}, {1, 2}, {2, 1}}) {
    const image picture = noise(height, width, 3), soft = draw_landscape(height, width, 3);
    for (auto layout :
         {pixel_layout::rgb, pixel_layout::bgr, pixel_layout::rgba, pixel_layout::bgra, pixel_layout::rgb_float})
      for (std::size_t gap : {0, 5}) CHECK(to_image(laid_out(picture, layout, gap).view()) == picture);
    laid_out bytes(picture, pixel_layout::rgb_float);
    bytes.range = value_range::byte;
    for (auto& plane : bytes.floats)
      for (float& v : plane) v *= 255;
    CHECK(to_image(bytes.view()) == picture);
    const image grey = to_image(laid_out(picture, pixel_layout::grey).view());
    for (std::size_t i = 0; i < grey.pixels.size(); i += 3) {
      const auto* p = &picture.pixels[i];
      CHECK(std::abs(grey.pixels[i] - (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2])) <= 0.51);
      CHECK(grey.pixels[i] == grey.pixels[i + 1]);
      CHECK(grey.pixels[i] == grey.pixels[i + 2]);
    }
    for (auto layout : {pixel_layout::nv12, pixel_layout::yuyv})
      CHECK(mean_difference(to_image(laid_out(soft, layout, 3).view()), soft) < 8);
  }
}

TEST_CASE("U and V are those of the pixel's pair, or of its four") {
  // Y all the same: what differs is colour
  const std::vector<std::uint8_t> luma(15, 100), chroma = {128, 128, 0, 128, 255, 128, 128, 0, 128, 255, 128, 128};
  const image got = to_image(nv12_view{luma, chroma, 5, 3, 0, 0, yuv_colours::bt601_full});
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 5; ++x) {
      const image one = to_image(nv12_view{luma, std::span(chroma).subspan(std::size_t(y / 2 * 6 + x / 2 * 2)), 1, 1, 0,
                                           0, yuv_colours::bt601_full});
      for (int c = 0; c < 3; ++c) CHECK(got.row(y)[3 * x + c] == one.pixels[std::size_t(c)]);
    }
}

TEST_CASE("floats round half up, and those outside their range are refused") {
  const std::vector<float> plane = {-0.9f, -0.4f, 0.49f, 0.5f, 254.5f, 255.4f, 255.9f};
  const image got = to_image(rgb_float_view{value_range::byte, plane, plane, plane, 7, 1});
  const int wanted[] = {0, 0, 0, 1, 255, 255, 255};
  for (std::size_t i = 0; i < 7; ++i) CHECK(got.pixels[3 * i + 1] == wanted[i]);

  const auto with = [](value_range range, float value) {
    std::vector<float> plane(12, 0.5f);
    plane[7] = value;
    return support::sentence([&] { to_image(rgb_float_view{range, plane, plane, plane, 4, 3}); });
  };
  CHECK(with(value_range::unit, 173) == "4×3 planar float RGB: expected values of 0 … 1, got 173");
  CHECK(with(value_range::byte, 1e9f).find("expected values of 0 … 255, got 1e+09") != std::string::npos);
  CHECK(with(value_range::byte, -2).find("got -2") != std::string::npos);
  CHECK(with(value_range::unit, std::numeric_limits<float>::quiet_NaN()).find("got NaN") != std::string::npos);
  CHECK(with(value_range::unit, -std::numeric_limits<float>::infinity()).find("got -inf") != std::string::npos);
  CHECK(with(value_range::unit, 1.003f) == "(no error)");
}

} // namespace dynofa_test::data_frame_to_rgb
