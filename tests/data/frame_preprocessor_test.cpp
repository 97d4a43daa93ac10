#include "dynofa/core/random.hpp"
#include "dynofa/data/draw.hpp"
#include "dynofa/data/frame_preprocessor.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include "support/frames.hpp"
#include "support/sentence.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace dynofa_test::data_frame_preprocessor {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;
using support::laid_out;

namespace {

std::vector<float> plain(const preprocessing& rule, const image& picture, int r) {
  std::vector<float> out(image_values(r));
  rule.apply(picture, r, out);
  return out;
}

std::vector<float> prepared(frame_preprocessor& by, const frame& f, int r) {
  std::vector<float> out(image_values(r), std::numeric_limits<float>::quiet_NaN());
  by.apply(f, r, out);
  return out;
}
std::vector<float> quick(const preprocessing& rule, const frame& f, int r) {
  frame_preprocessor by(rule, resizing::quick);
  return prepared(by, f, r);
}

/// Root mean square and largest difference, in levels of 255 of the mean channel's deviation.
struct difference {
  double rms = 0, worst = 0;
  difference(const preprocessing& rule, const std::vector<float>& a, const std::vector<float>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double d = std::abs(double(a[i]) - b[i]) * 255 * rule.std[i % 3];
      rms += d * d / double(a.size()), worst = std::max(worst, std::isnan(d) ? 1e9 : d);
    }
    rms = std::sqrt(rms);
  }
};

/// A picture without detail: a plane of colour that rises along both sides.
image slope(int height, int width) {
  image picture(height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      std::uint8_t* p = picture.row(y) + std::ptrdiff_t{3} * x;
      p[0] = static_cast<std::uint8_t>(40 + 150 * x / width);
      p[1] = static_cast<std::uint8_t>(60 + 70 * x / width + 80 * y / height);
      p[2] = static_cast<std::uint8_t>(190 - 150 * y / height);
    }
  return picture;
}

const std::pair<int, int> sizes[] = {{48, 64}, {64, 48}, {37, 53}, {120, 91}, {1, 1},
                                     {1, 9},   {8, 1},   {32, 32}, {300, 20}};
const int resolutions[] = {32, 17, 96};

} // namespace

TEST_CASE("an exact frame has the bits of preprocessing its picture") {
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()}) {
    frame_preprocessor by(rule);
    for (auto [height, width] : sizes) {
      const image picture = noise(height, width, 5);
      for (auto layout : support::all_layouts)
        for (std::size_t gap : {0, 7}) {
          const laid_out memory(picture, layout, gap);
          const frame f = memory.view();
          INFO(f.to_string(), ", ", name_of(rule.mode));
          for (int r : resolutions) CHECK(prepared(by, f, r) == plain(rule, to_image(f), r));
        }
    }
  }
}

TEST_CASE("an exact frame of all colours that Y, U and V may mean") {
  laid_out memory(noise(20, 30, 1), pixel_layout::nv12);
  frame_preprocessor by(imagenet_preprocessing());
  for (auto colours : {yuv_colours::bt601, yuv_colours::bt709, yuv_colours::bt601_full, yuv_colours::bt709_full}) {
    memory.colours = colours;
    CHECK(prepared(by, memory.view(), 16) == plain(by.rule(), to_image(memory.view()), 16));
  }
}

TEST_CASE("where many columns lie between those that are read, they need not be converted") {
  frame_preprocessor by(exact_preprocessing());
  const image picture = noise(40, 700, 9);
  for (auto layout : support::all_layouts) {
    const laid_out memory(picture, layout);
    for (int r : {5, 33, 64}) CHECK(prepared(by, memory.view(), r) == plain(by.rule(), to_image(memory.view()), r));
  }
}

TEST_CASE("a quick frame without detail is the exact one to a level") {
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()})
    for (auto [height, width] : {std::pair{96, 128}, {240, 320}, {333, 251}, {40, 50}, {480, 640}}) {
      const image picture = slope(height, width);
      for (auto layout : support::all_layouts) {
        const laid_out memory(picture, layout, 3);
        const frame f = memory.view();
        for (int r : {32, 64, 128}) {
          const difference d(rule, quick(rule, f, r), plain(rule, to_image(f), r));
          INFO(f.to_string(), ", ", name_of(rule.mode), ", ", r);
          // where pixels share U and V, exact takes the nearest and quick what lies between
          const bool shared = layout == pixel_layout::nv12 || layout == pixel_layout::yuyv;
          CHECK(d.rms < (shared ? 1.1 : 0.6));
          CHECK(d.worst < (shared ? 4.5 : 2.6));
        }
      }
    }
}

TEST_CASE("a quick frame of a landscape is near the exact one") {
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()})
    for (auto [height, width] : {std::pair{96, 128}, {240, 321}, {480, 640}}) {
      const image picture = draw_landscape(height, width, 4);
      for (auto layout : support::all_layouts) {
        const laid_out memory(picture, layout);
        const difference d(rule, quick(rule, memory.view(), 64), plain(rule, to_image(memory.view()), 64));
        INFO(memory.view().to_string(), ", ", name_of(rule.mode));
        CHECK(d.rms < 4);
      }
    }
}

TEST_CASE("while eight samples are all that the triangle sees, quick differs by rounding alone") {
  const preprocessing rule;
  for (auto [height, width] : {std::pair{100, 130}, {60, 50}, {72, 72}, {240, 270}}) {
    const image picture = noise(height, width, 8);
    for (auto layout : {pixel_layout::rgb, pixel_layout::bgra, pixel_layout::grey, pixel_layout::rgb_float}) {
      const laid_out memory(picture, layout);
      for (int r : {64, 90}) {
        const difference d(rule, quick(rule, memory.view(), r), plain(rule, to_image(memory.view()), r));
        INFO(memory.view().to_string(), ", ", r);
        CHECK(d.worst < 2.5); // half a level for each of Pillow's passes, and weights of 8 bits
      }
    }
  }
}

TEST_CASE("a picture of one colour keeps it") {
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()})
    for (auto how : {resizing::exact, resizing::quick})
      for (int level : {0, 1, 127, 128, 255})
        for (auto layout : support::all_layouts) {
          image picture(50, 77);
          std::fill(picture.pixels.begin(), picture.pixels.end(), static_cast<std::uint8_t>(level));
          const laid_out memory(picture, layout);
          frame_preprocessor by(rule, how);
          const auto out = prepared(by, memory.view(), 19);
          for (std::size_t i = 0; i < out.size(); ++i) {
            const double wanted = (level / 255.0 - rule.mean[i % 3]) / rule.std[i % 3];
            if (!(std::abs(out[i] - wanted) < 2e-6))
              FAIL_CHECK(memory.view().to_string(), ": ", out[i], ", not ", wanted);
          }
        }
}

TEST_CASE("quick shrinking by much averages what it skips less than Pillow, but does average") {
  const preprocessing rule;
  const image picture = noise(640, 640, 2);
  const laid_out memory(picture, pixel_layout::rgb);
  const auto spread = [&](const std::vector<float>& values) {
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < values.size(); i += 3)
      mean += values[i] / (double(values.size()) / 3), square += values[i] * values[i] / (double(values.size()) / 3);
    return std::sqrt(square - mean * mean) * 255 * rule.std[0];
  };
  const double one = 73.9; // of bytes of noise
  CHECK(spread(plain(rule, picture, 32)) < 0.12 * one);
  CHECK(spread(quick(rule, memory.view(), 32)) < 0.18 * one); // of 8 × 8 samples, √(0.164 · 0.164)
}

TEST_CASE("frames of any size and stride, read in bounds") {
  random_stream random(3, "frames");
  const auto below = [&](std::uint32_t n) { return static_cast<int>(random.below(n)); };
  frame_preprocessor crop_exact(imagenet_preprocessing()), crop_quick(imagenet_preprocessing(), resizing::quick),
      whole_exact(exact_preprocessing()), whole_quick(exact_preprocessing(), resizing::quick);
  for (int i = 0; i < 400; ++i) {
    const int height = 1 + below(i % 10 == 0 ? 400 : 40), width = 1 + below(i % 11 == 0 ? 400 : 40), r = 1 + below(48);
    const laid_out memory(noise(height, width, static_cast<std::uint32_t>(i)),
                          support::all_layouts[static_cast<std::size_t>(below(8))], static_cast<std::size_t>(below(9)));
    const frame f = memory.view();
    INFO(f.to_string(), " to ", r);
    for (auto* by : {&crop_exact, &whole_exact}) CHECK(prepared(*by, f, r) == plain(by->rule(), to_image(f), r));
    for (auto* by : {&crop_quick, &whole_quick}) {
      const auto out = prepared(*by, f, r);
      const auto within = [&](float v, std::size_t c) {
        const preprocessing& rule = by->rule();
        return v > (-0.01f - rule.mean[c]) / rule.std[c] && v < (1.01f - rule.mean[c]) / rule.std[c];
      };
      bool all = true;
      for (std::size_t k = 0; k < out.size(); ++k) all &= within(out[k], k % 3);
      CHECK(all);
    }
  }
}

TEST_CASE("more kinds of frames than are kept") {
  for (auto how : {resizing::exact, resizing::quick}) {
    frame_preprocessor by(imagenet_preprocessing(), how);
    const laid_out memory(noise(30, 40, 1), pixel_layout::bgr);
    std::vector<std::vector<float>> first;
    const int kinds = static_cast<int>(frame_preprocessor::most_kept) + 5;
    for (int i = 0; i < kinds; ++i) first.push_back(prepared(by, memory.view(), 8 + i));
    for (int i = 0; i < kinds; ++i) CHECK(prepared(by, memory.view(), 8 + i) == first[static_cast<std::size_t>(i)]);
  }
}

TEST_CASE("it tells its time") {
  frame_preprocessor by(imagenet_preprocessing());
  CHECK(by.last_ms() == 0);
  const laid_out memory(noise(200, 200, 1), pixel_layout::nv12);
  prepared(by, memory.view(), 64);
  CHECK(by.last_ms() > 0);
  CHECK(by.last_ms() < 10'000);
  CHECK(name_of(by.how()) == "exact");
  CHECK(name_of(resizing::quick) == "quick");
}

TEST_CASE("what cannot be prepared is one sentence") {
  for (auto how : {resizing::exact, resizing::quick}) {
    preprocessing flat;
    flat.std[1] = 0;
    CHECK(support::sentence([&] { frame_preprocessor(flat, how); }) ==
          "preprocessing: expected a positive standard deviation, got 0");
    frame_preprocessor by(imagenet_preprocessing(), how);
    const laid_out memory(noise(4, 6, 1), pixel_layout::nv12);
    std::vector<float> out(image_values(8));
    const auto applied = [&](int r) { return support::sentence([&] { by.apply(memory.view(), r, out); }); };
    CHECK(applied(9) == "preprocessing: expected room for 9×9×3 values, got room for 192");
    CHECK(applied(0) == "preprocessing: expected a picture and a resolution of 1 to 16384, got 6×4 and 0");
    CHECK(applied(20'000) == "preprocessing: expected a picture and a resolution of 1 to 16384, got 6×4 and 20000");
    CHECK(applied(8) == "(no error)");
    CHECK_THROWS_AS(by.prepare(pixel_layout::rgb, 0, 4, 8), error);

    for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()}) {
      frame_preprocessor floats(rule, how);
      laid_out planes(noise(9, 9, 1), pixel_layout::rgb_float);
      const auto with = [&](float value) { // in the middle, where every rule reads
        planes.floats[2][4 * 9 + 4] = value;
        return support::sentence([&] { floats.apply(planes.view(), 8, out); });
      };
      CHECK(with(173) == "9×9 planar float RGB: expected values of 0 … 1, got 173");
      CHECK(with(std::numeric_limits<float>::quiet_NaN()) == "9×9 planar float RGB: expected values of 0 … 1, got NaN");
      CHECK(with(0.5f) == "(no error)");
    }
  }
}

} // namespace dynofa_test::data_frame_preprocessor
