#include "dynofa/data/augment.hpp"
#include "dynofa/data/draw.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace dynofa_test::data_augment {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("brightness and saturation give Pillow's bytes") {
  for (const auto& c : golden("pil_resize.json").at("enhanced")) {
    const image picture = noise(c.at("size").at(0), c.at("size").at(1), c.at("seed"));
    image brighter = picture, colourful = picture;
    adjust_brightness(brighter, c.at("factor"));
    adjust_saturation(colourful, c.at("factor"));
    CAPTURE(c.dump());
    CHECK(hash(brighter) == c.at("brightness"));
    CHECK(hash(colourful) == c.at("saturation"));
  }
}

TEST_CASE("flipping mirrors columns") {
  const image picture = noise(4, 7, 2);
  image flipped = picture;
  flip_horizontally(flipped);
  CHECK(std::equal(flipped.row(3), flipped.row(3) + 3, picture.row(3) + 18));
  CHECK(std::equal(flipped.row(0) + 9, flipped.row(0) + 12, picture.row(0) + 9)); // the middle column
  flip_horizontally(flipped);
  CHECK(flipped == picture);
}

TEST_CASE("crops have the promised distribution") {
  random_stream random(1, "crops");
  const augmentation ranges;
  const int count = 20'000;
  double area = 0, log_ratio = 0, left = 0;
  int wide = 0, small = 0;
  for (int i = 0; i < count; ++i) {
    const window view = random_crop_window(400, 400, ranges, random);
    const double share = view.height * view.width / 160'000.0, ratio = static_cast<double>(view.width) / view.height;
    const bool inside =
        view.top >= 0 && view.left >= 0 && view.top + view.height <= 400 && view.left + view.width <= 400;
    REQUIRE(inside);
    REQUIRE(share > 0.078);
    REQUIRE(std::abs(std::log(ratio)) < std::log(4.0 / 3) + 0.02);
    area += share / count;
    log_ratio += std::log(ratio) / count;
    wide += view.width > view.height;
    small += share < 0.3;
    if (view.width < 400) left += static_cast<double>(view.left) / (400 - view.width) / count;
  }
  // Areas above 3/4 fit only with ratios near 1, so redrawing moves the mean below (0.08 + 1) / 2.
  CHECK(area > 0.47);
  CHECK(area < 0.53);
  CHECK(std::abs(log_ratio) < 0.005);
  CHECK(std::abs(wide / double{count} - 0.5) < 0.015);
  // 0.22 / 0.92 of the attempts, all of which fit; at most 1/5 of the others do not
  CHECK(small / double{count} > 0.235);
  CHECK(small / double{count} < 0.30);
  CHECK(std::abs(left - 0.5) < 0.015);
}

TEST_CASE("a picture too long for any attempt gives its centre") {
  augmentation whole;
  whole.area_low = whole.area_high = 1;
  random_stream random(1);
  CHECK(random_crop_window(100, 1000, whole, random) == window{0, 433, 100, 133}); // round(100 · 4/3)
  CHECK(random_crop_window(1000, 90, whole, random) == window{440, 0, 120, 90});   // 90 / (3/4)
  CHECK(random_crop_window(1, 1, whole, random) == window{0, 0, 1, 1});
}

TEST_CASE("a random state gives one view, the next another") {
  const image picture = draw_landscape(90, 120, 3);
  random_stream a(5, "x"), b(5, "x");
  const image first = augment(picture, 48, a);
  CHECK(first.height == 48);
  CHECK(first.width == 48);
  CHECK(first == augment(picture, 48, b));
  CHECK(first != augment(picture, 48, a));
  CHECK(hash(first) == "9989649ffd9bb0e6");
}

TEST_CASE("the jitters have the promised range") {
  image grey(4, 4);
  std::fill(grey.pixels.begin(), grey.pixels.end(), std::uint8_t{200}); // saturation does not move grey
  image red(4, 4);
  for (std::size_t i = 0; i < red.pixels.size(); i += 3) red.pixels[i] = 100;
  random_stream random(2);
  int low = 255, high = 0, least = 255, most = 0;
  for (int i = 0; i < 3000; ++i) {
    const image a = augment(grey, 2, random);
    low = std::min<int>(low, a.pixels[0]);
    high = std::max<int>(high, a.pixels[0]);
    const image b = augment(red, 2, random);
    least = std::min<int>(least, b.pixels[0] - b.pixels[1]);
    most = std::max<int>(most, b.pixels[0] - b.pixels[1]);
  }
  CHECK(std::abs(low - 200 * (1 - 32.0 / 255)) < 2);
  CHECK(std::abs(high - 200 * (1 + 32.0 / 255)) < 2);
  CHECK(least > 38); // (1 − 0.5) · (1 − 32/255) · 100 = 43.7, cut off twice
  CHECK(least < 60);
  CHECK(most > 115);
}

TEST_CASE("impossible ranges are refused") {
  random_stream random(1);
  const image picture = noise(5, 5, 1);
  const auto refused = [&](auto change) {
    augmentation ranges;
    change(ranges);
    return fault_of([&] { augment(picture, 4, random, ranges); }).code() == errc::invalid_argument;
  };
  CHECK(refused([](augmentation& r) { r.area_low = 0; }));
  CHECK(refused([](augmentation& r) { r.area_high = 1.5; }));
  CHECK(refused([](augmentation& r) { r.area_low = 0.9, r.area_high = 0.5; }));
  CHECK(refused([](augmentation& r) { r.ratio_low = 0; }));
  CHECK(refused([](augmentation& r) { r.ratio_high = 0.1; }));
  CHECK(refused([](augmentation& r) { r.flip = 1.1; }));
  CHECK(refused([](augmentation& r) { r.brightness = -1; }));
  CHECK(refused([](augmentation& r) { r.saturation = NAN; }));
  CHECK_THROWS_AS(augment(picture, 0, random), error);
  CHECK_THROWS_AS(augment(image(), 4, random), error);
}

} // namespace dynofa_test::data_augment
