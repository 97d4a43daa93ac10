#include "dynofa/data/decode.hpp"
#include "dynofa/data/draw.hpp"
#include "dynofa/data/preprocess.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

namespace dynofa_test::data_preprocess {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

namespace {
std::vector<float> applied(const preprocessing& rule, const image& picture, int r) {
  std::vector<float> out(static_cast<std::size_t>(r) * static_cast<std::size_t>(r) * 3);
  rule.apply(picture, r, out);
  return out;
}

std::filesystem::path photos_folder() {
  const char* folder = std::getenv("DYNOFA_PHOTOS_DIR");
  return folder != nullptr ? folder : "";
}
} // namespace

TEST_CASE("the ImageNet rule is resize, crop, normalise") {
  const preprocessing rule = imagenet_preprocessing();
  CHECK(rule.resized_side(224) == 256);
  CHECK(rule.resized_side(208) == 238);
  CHECK(rule.resized_side(192) == 220);
  CHECK(rule.resized_side(176) == 202);
  CHECK(rule.resized_side(160) == 183);

  for (auto [h, w] : {std::pair{300, 400}, {90, 61}, {40, 300}}) {
    const image picture = draw_landscape(h, w, 12);
    const image cut = centre_crop(resize_shorter_side(picture, 110), 96); // ceil(96 / 0.875) = 110
    const auto got = applied(rule, picture, 96);
    constexpr double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, std::abs(got[i] - (cut.pixels[i] / 255.0 - mean[i % 3]) / std[i % 3]));
    CHECK(worst < 1e-6);
  }
}

TEST_CASE("the exact rule keeps the whole picture") {
  const image picture = noise(64, 64, 3);
  const preprocessing rule = exact_preprocessing();
  const auto same = applied(rule, picture, 64);
  std::vector<float> expected(same.size());
  rule.normalise(picture, expected);
  CHECK(same == expected);

  const auto larger = applied(rule, picture, 96);
  const auto plain = resize_exact_float(picture, 96);
  double worst = 0;
  for (std::size_t i = 0; i < larger.size(); ++i)
    worst = std::max(worst, std::abs(larger[i] - (plain[i] / 255.0 - rule.mean[i % 3]) / rule.std[i % 3]));
  CHECK(worst < 1e-6);
}

TEST_CASE("other constants are obeyed") {
  preprocessing rule = imagenet_preprocessing();
  rule.crop_ratio = 1;
  rule.mean = {0, 0, 0};
  rule.std = {1, 1, 0.5f};
  image white(8, 8);
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  const auto got = applied(rule, white, 8);
  CHECK(got[0] == 1);
  CHECK(got[2] == 2);
  CHECK(rule != imagenet_preprocessing());
  CHECK(imagenet_preprocessing() != exact_preprocessing());
}

TEST_CASE("a rule prints as one line") {
  CHECK(imagenet_preprocessing().to_string() == "imagenet_crop 0.875, mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
  CHECK(exact_preprocessing().to_string() == "exact, mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
}

TEST_CASE("impossible rules and wrong buffers are refused") {
  const image picture = noise(10, 10, 1);
  std::vector<float> out(8 * 8 * 3);
  for (double ratio : {0.0, -1.0, 1.01, 1e-9, std::numeric_limits<double>::quiet_NaN()}) {
    preprocessing rule;
    rule.crop_ratio = ratio;
    CHECK_THROWS_AS(rule.apply(picture, 8, out), error);
  }
  preprocessing flat;
  flat.std[1] = 0;
  CHECK_THROWS_WITH_AS(flat.apply(picture, 8, out), "preprocessing: expected a positive standard deviation, got 0",
                       error);
  preprocessing endless;
  endless.mean[0] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(endless.apply(picture, 8, out), error);
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()}) {
    CHECK_THROWS_AS(rule.apply(picture, 9, out), error);
    CHECK_THROWS_AS(rule.apply(picture, 0, {}), error);
    CHECK_THROWS_AS(rule.apply(image(), 8, out), error);
  }
}

// Public ImageNet photos with crops made by Pillow and torchvision; set DYNOFA_PHOTOS_DIR to a folder with photos.json.
TEST_CASE("photos give the reference pipeline's crops" * doctest::skip(photos_folder().empty())) {
  const std::filesystem::path root = photos_folder();
  std::ifstream in(root / "photos.json");
  const auto index = nlohmann::json::parse(in);
  const preprocessing rule = imagenet_preprocessing();
  double worst = 0;
  int cases = 0, identical = 0;
  for (const auto& photo : index.at("images")) {
    const auto name = photo.at("file").get<std::string>();
    CAPTURE(name);
    const image picture = read_image(root / name);
    CHECK(picture.width == photo.at("size").at(0));
    CHECK(picture.height == photo.at("size").at(1));
    for (const auto& c : photo.at("cases")) {
      const int r = c.at("r");
      CHECK(rule.resized_side(r) == c.at("resize_shorter_to"));
      const auto size = shorter_side_size(picture.height, picture.width, rule.resized_side(r));
      CHECK(size == image_size{c.at("resized").at(1), c.at("resized").at(0)});
      const auto view = centre_window(size, r);
      CHECK(view.left == c.at("crop_left_top").at(0));
      CHECK(view.top == c.at("crop_left_top").at(1));
      const image expected = read_image(root / c.at("expected_png").get<std::string>());
      const image got = resize_pil_bilinear(picture, size, view);
      const double difference = mean_difference(got, expected);
      CHECK(difference <= 1.0);
      worst = std::max(worst, difference);
      identical += got == expected;
      ++cases;
    }
  }
  CHECK(cases > 0);
  MESSAGE(cases, " crops, ", identical, " bit for bit; worst mean absolute difference ", worst, " levels");
}

} // namespace dynofa_test::data_preprocess
