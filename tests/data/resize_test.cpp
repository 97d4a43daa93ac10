#include "dynofa/data/draw.hpp"
#include "dynofa/data/resize.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace dynofa_test::data_resize {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

namespace {

/// The rule that Pillow approximates, from its definition: every output pixel is the mean of all input pixels, weighted
/// with the product of two triangles around its centre. Double precision, no separation, no rounding in between.
double ideal(const image& picture, int height, int width, int y, int x, int channel) {
  const auto weight = [](int in, int out, int at, int from) {
    const double scale = static_cast<double>(in) / out, half_width = std::max(scale, 1.0);
    return std::max(0.0, 1 - std::abs(from + 0.5 - (at + 0.5) * scale) / half_width);
  };
  double sum = 0, weights = 0;
  for (int i = 0; i < picture.height; ++i)
    for (int j = 0; j < picture.width; ++j) {
      const double w = weight(picture.height, height, y, i) * weight(picture.width, width, x, j);
      sum += w * picture.row(i)[3 * j + channel];
      weights += w;
    }
  return sum / weights;
}

/// Interpolation between pixel centres from its definition: the value at a point of the plane, edges repeated.
double between(const image& picture, double y, double x, int channel) {
  const auto at = [&](double i, double j) {
    const int row = static_cast<int>(std::clamp(i, 0.0, picture.height - 1.0));
    const int column = static_cast<int>(std::clamp(j, 0.0, picture.width - 1.0));
    return static_cast<double>(picture.row(row)[3 * column + channel]);
  };
  const double i = std::floor(y), j = std::floor(x), v = y - i, u = x - j;
  return (1 - v) * ((1 - u) * at(i, j) + u * at(i, j + 1)) + v * ((1 - u) * at(i + 1, j) + u * at(i + 1, j + 1));
}

} // namespace

TEST_CASE("resizing gives Pillow's bytes") {
  const auto cases = golden("pil_resize.json").at("resized");
  CHECK(cases.size() == 20);
  for (const auto& c : cases) {
    const image picture = noise(c.at("from").at(0), c.at("from").at(1), c.at("seed"));
    const image got = resize_pil_bilinear(picture, c.at("to").at(0).get<int>(), c.at("to").at(1).get<int>());
    CAPTURE(c.dump());
    CHECK(hash(got) == c.at("fnv1a64").get<std::string>());
    if (c.contains("pixels")) CHECK(got.pixels == c.at("pixels").get<std::vector<std::uint8_t>>());
  }
}

TEST_CASE("resizing is the triangle filter within rounding") {
  const image picture = noise(23, 31, 8);
  for (const auto& size : {std::pair{23, 31}, {11, 15}, {46, 50}, {7, 60}, {40, 5}, {1, 1}}) {
    const int h = size.first, w = size.second; // not a binding: lambdas of doctest capture them
    const image got = resize_pil_bilinear(picture, h, w);
    double worst = 0;
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        for (int c = 0; c < 3; ++c)
          worst = std::max(worst, std::abs(got.row(y)[3 * x + c] - ideal(picture, h, w, y, x, c)));
    INFO("to ", h, "×", w);
    CHECK(worst <= 1.001); // half a level for each of the two passes
  }
}

TEST_CASE("a picture of one colour keeps it, and the same size changes nothing") {
  image white(37, 19);
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  for (int side : {1, 5, 19, 64}) {
    const image got = resize_pil_bilinear(white, side, side);
    CHECK(std::all_of(got.pixels.begin(), got.pixels.end(), [](int v) { return v == 255; }));
  }
  const image picture = noise(37, 19, 2);
  CHECK(resize_pil_bilinear(picture, 37, 19) == picture);
}

TEST_CASE("a window is the same pixels as the whole, cropped") {
  const image picture = noise(50, 70, 6);
  for (auto [h, w] : {std::pair{100, 140}, {33, 29}, {50, 200}}) {
    const image whole = resize_pil_bilinear(picture, h, w);
    for (const window& view : {window{0, 0, h, w}, window{3, 5, 20, 9}, window{h - 1, w - 1, 1, 1}})
      CHECK(resize_pil_bilinear(picture, {h, w}, view) == crop(whole, view));
  }
}

TEST_CASE("a window of a resized picture that would never fit into memory") {
  const image line = noise(1, 60'000, 3); // shorter side to 256: 256 × 15.36 million pixels
  const auto size = shorter_side_size(1, 60'000, 256);
  CHECK(size == image_size{256, 15'360'000});
  const image got = resize_pil_bilinear(line, size, centre_window(size, 224));
  CHECK(got.height == 224);
  CHECK(std::equal(got.row(0), got.row(1), got.row(223))); // one row, repeated
  CHECK_THROWS_AS(resize_shorter_side(line, 256), error);
}

TEST_CASE("the shorter side and the crop follow torchvision") {
  CHECK(shorter_side_size(375, 500, 256) == image_size{256, 341});
  CHECK(shorter_side_size(500, 375, 256) == image_size{341, 256});
  CHECK(shorter_side_size(563, 845, 183) == image_size{183, 274});
  CHECK(shorter_side_size(64, 64, 146) == image_size{146, 146});
  CHECK(centre_offset(256, 224) == 16);
  CHECK(centre_offset(183, 160) == 12); // 11.5 → 12
  CHECK(centre_offset(277, 160) == 58); // 58.5 → 58
  CHECK(centre_offset(161, 160) == 0);  // 0.5 → 0
  CHECK(centre_offset(5, 5) == 0);

  const image picture = noise(20, 30, 1);
  const image small = resize_shorter_side(picture, 10);
  CHECK(small == resize_pil_bilinear(picture, 10, 15));
  const image centre = centre_crop(small, 8); // offsets 1 and 3.5 → 4
  CHECK(std::equal(centre.row(0), centre.row(0) + 24, small.row(1) + 12));
  CHECK_THROWS_WITH_AS(centre_crop(small, 11), "centre_crop: expected a picture of at least 11×11, got 15×10", error);
}

TEST_CASE("windows outside the picture are refused") {
  const image picture = noise(20, 30, 1);
  for (const window& view : {window{-1, 0, 4, 4}, window{0, -1, 4, 4}, window{17, 0, 4, 4}, window{0, 27, 4, 4},
                             window{0, 0, 0, 4}, window{0, 0, 4, -1}, window{0, 0, 21, 1}}) {
    CHECK_THROWS_AS(crop(picture, view), error);
    CHECK_THROWS_AS(resize_pil_bilinear(picture, {20, 30}, view), error);
  }
  CHECK_THROWS_AS(resize_pil_bilinear(image(), 5, 5), error);
  CHECK_THROWS_AS(resize_pil_bilinear(picture, 0, 5), error);
  CHECK_THROWS_AS(resize_shorter_side(image(), 5), error);
  CHECK_THROWS_AS(resize_shorter_side(picture, 0), error);
}

TEST_CASE("exact resizing in float interpolates between pixel centres") {
  const image picture = noise(13, 9, 5);
  for (int r : {4, 9, 13, 32, 50}) {
    const auto got = resize_exact_float(picture, r);
    double worst = 0;
    std::size_t i = 0;
    for (int y = 0; y < r; ++y)
      for (int x = 0; x < r; ++x)
        for (int c = 0; c < 3; ++c)
          worst = std::max(worst,
                           std::abs(got[i++] - between(picture, (y + 0.5) * 13 / r - 0.5, (x + 0.5) * 9 / r - 0.5, c)));
    CAPTURE(r);
    CHECK(worst < 1e-3);
  }
}

TEST_CASE("exact resizing to the same size gives the same values") {
  const image picture = noise(16, 16, 5);
  const auto got = resize_exact_float(picture, 16);
  CHECK(std::equal(got.begin(), got.end(), picture.pixels.begin(), picture.pixels.end()));
  std::vector<float> wrong(5);
  CHECK_THROWS_AS(resize_exact_float(picture, 16, wrong), error);
  CHECK_THROWS_AS(resize_exact_float(picture, 0), error);
  CHECK_THROWS_AS(resize_exact_float(image(), 4), error);
}

} // namespace dynofa_test::data_resize
