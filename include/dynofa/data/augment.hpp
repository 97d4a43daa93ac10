#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/data/image.hpp"
#include "dynofa/data/resize.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

// The training-time augmentation of the ImageNet networks, which batch-norm calibration repeats: random resized crop,
// horizontal flip, colour jitter. The pixel operations are Pillow's, bit for bit; the random numbers are ours, drawn
// from the same distributions as torchvision's and in an order of our own.

namespace dynofa::data {

/// The ranges from which `augment` draws; the defaults are once-for-all's.
struct augmentation {
  double area_low = 0.08, area_high = 1.0;          ///< share of the picture's area that the crop covers, uniform
  double ratio_low = 3.0 / 4, ratio_high = 4.0 / 3; ///< width / height of the crop, log-uniform
  double flip = 0.5;                                ///< probability of a horizontal flip
  double brightness = 32.0 / 255;                   ///< factor uniform in 1 ± this (not below 0)
  double saturation = 0.5;                          ///< likewise

  bool operator==(const augmentation&) const = default;

  /// Throws errc::invalid_argument if a range is empty, negative or not finite.
  void validate() const {
    const bool fine = area_low > 0 && area_low <= area_high && area_high <= 1 && ratio_low > 0 &&
                      ratio_low <= ratio_high && ratio_high <= 1000 && flip >= 0 && flip <= 1 && brightness >= 0 &&
                      brightness <= 100 && saturation >= 0 && saturation <= 100;
    if (!fine)
      throw error(errc::invalid_argument, "augmentation", "0 < area ≤ 1, 0 < ratio, a probability, jitters ≥ 0",
                  text("area ", area_low, " to ", area_high, ", ratio ", ratio_low, " to ", ratio_high, ", flip ", flip,
                       ", brightness ", brightness, ", saturation ", saturation));
  }
};

namespace detail {

inline double uniform_between(random_stream& random, double low, double high) {
  return low + (high - low) * random.uniform();
}

/// a + factor · (b − a), rounded to float after each step and then cut off: Pillow's Image.blend.
inline std::uint8_t blend(int a, int b, float factor) {
  const auto product = static_cast<float>(static_cast<double>(factor) * (b - a)); // through double: cannot be fused
  const auto sum = static_cast<float>(static_cast<double>(a) + static_cast<double>(product));
  return static_cast<std::uint8_t>(std::clamp(sum, 0.0f, 255.0f));
}

} // namespace detail

/// The part of a `height` × `width` picture that RandomResizedCrop takes: ten attempts at a random area and aspect
/// ratio that fit, then the largest centred part whose ratio is in range (torchvision's get_params).
inline window random_crop_window(int height, int width, const augmentation& ranges, random_stream& random) {
  const double area = static_cast<double>(height) * width;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * detail::uniform_between(random, ranges.area_low, ranges.area_high);
    const double ratio =
        std::exp(detail::uniform_between(random, std::log(ranges.ratio_low), std::log(ranges.ratio_high)));
    const double w = std::nearbyint(std::sqrt(target * ratio)), h = std::nearbyint(std::sqrt(target / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    window view{0, 0, static_cast<int>(h), static_cast<int>(w)};
    view.top = random.below(static_cast<std::uint32_t>(height - view.height + 1));
    view.left = random.below(static_cast<std::uint32_t>(width - view.width + 1));
    return view;
  }
  const double ratio = static_cast<double>(width) / height;
  const auto part = [](double side, int full) { return std::clamp(static_cast<int>(std::nearbyint(side)), 1, full); };
  window view{0, 0, height, width};
  if (ratio < ranges.ratio_low) view.height = part(width / ranges.ratio_low, height);
  if (ratio > ranges.ratio_high) view.width = part(height * ranges.ratio_high, width);
  view.top = (height - view.height) / 2;
  view.left = (width - view.width) / 2;
  return view;
}

/// Mirrors the picture left to right, in place.
inline void flip_horizontally(image& picture) {
  for (int y = 0; y < picture.height; ++y) {
    std::uint8_t* row = picture.row(y);
    for (std::ptrdiff_t left = 0, right = picture.width - 1; left < right; ++left, --right)
      std::swap_ranges(row + 3 * left, row + 3 * left + 3, row + 3 * right);
  }
}

/// Scales every value by `factor` ≥ 0, in place (Pillow's ImageEnhance.Brightness).
inline void adjust_brightness(image& picture, float factor) {
  std::array<std::uint8_t, 256> table;
  for (int v = 0; v < 256; ++v) table[static_cast<std::size_t>(v)] = detail::blend(0, v, factor);
  for (std::uint8_t& v : picture.pixels) v = table[v];
}

/// Moves every pixel away from its grey by `factor` ≥ 0, in place: 0 gives grey, 1 changes nothing
/// (ImageEnhance.Color).
inline void adjust_saturation(image& picture, float factor) {
  for (std::size_t i = 0; i < picture.pixels.size(); i += 3) {
    std::uint8_t* p = &picture.pixels[i];
    const int grey = (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16; // ITU-R 601, as Pillow's mode L
    for (int c = 0; c < 3; ++c) p[c] = detail::blend(grey, p[c], factor);
  }
}

/// A random r × r training view of the picture: crop, resize (Pillow's bilinear), flip, then brightness and saturation
/// in random order. Everything random comes from `random`; the same state gives the same bytes on machines whose
/// exp and log agree. Normalise the result with `preprocessing::normalise`. Throws errc::invalid_argument.
inline image augment(const image& picture, int r, random_stream& random, const augmentation& ranges = {}) {
  ranges.validate();
  if (picture.height < 1 || picture.width < 1 || r < 1)
    throw error(errc::invalid_argument, "augment", "a picture and a resolution of at least 1",
                text(picture.width, "×", picture.height, " and ", r));
  image view = crop(picture, random_crop_window(picture.height, picture.width, ranges, random));
  view = resize_pil_bilinear(view, r, r);
  if (random.chance(ranges.flip)) flip_horizontally(view);
  const auto factor = [&](double jitter) {
    return static_cast<float>(detail::uniform_between(random, std::max(0.0, 1 - jitter), 1 + jitter));
  };
  const float brightness = factor(ranges.brightness), saturation = factor(ranges.saturation);
  const bool brightness_first = random.chance(0.5);
  if (brightness_first) adjust_brightness(view, brightness);
  adjust_saturation(view, saturation);
  if (!brightness_first) adjust_brightness(view, brightness);
  return view;
}

} // namespace dynofa::data
