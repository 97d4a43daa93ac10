#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/image.hpp"
#include "dynofa/data/resize.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace dynofa::data {

/// How a picture of any size becomes r × r.
enum class preprocessing_mode {
  imagenet_crop, ///< shorter side to ceil(r / crop_ratio) by Pillow's bilinear filter, then the centred r × r
  exact,         ///< bilinear interpolation in float to exactly r × r, whatever the shape was
};

/// As files spell it.
constexpr std::string_view name_of(preprocessing_mode mode) {
  return mode == preprocessing_mode::exact ? "exact" : "imagenet_crop";
}

/// What is done to a picture before a network sees it. It belongs to the weights: a network evaluated with another
/// preprocessing than it was trained with loses points of top-1.
struct preprocessing {
  preprocessing_mode mode = preprocessing_mode::imagenet_crop; ///< how its shape changes
  double crop_ratio = 0.875; ///< of mode imagenet_crop: the crop's share of the shorter side, in (0, 1]
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f}; ///< of R, G, B scaled to 0 … 1
  std::array<float, 3> std{0.229f, 0.224f, 0.225f};  ///< likewise, positive

  bool operator==(const preprocessing&) const = default;

  /// Throws errc::invalid_argument if a field is outside its range.
  void validate() const {
    const auto require = [](bool holds, const char* expected, double got) {
      if (!holds) throw error(errc::invalid_argument, "preprocessing", expected, text(got));
    };
    require(crop_ratio > 0 && crop_ratio <= 1, "a crop ratio in (0, 1]", crop_ratio);
    for (float m : mean) require(std::isfinite(m), "a finite mean", m);
    for (float s : std) require(std::isfinite(s) && s > 0, "a positive standard deviation", s);
  }

  /// The side to which mode imagenet_crop resizes the shorter side: 224 → 256, 176 → 202, 160 → 183.
  int resized_side(int r) const { return static_cast<int>(std::ceil(r / crop_ratio)); }

  /// The picture as a network's input: in [h,w,3] bytes → out [r,r,3], (v/255 − mean) / std.
  /// Throws errc::invalid_argument if `out` does not hold r·r·3 values or a field is out of range.
  void apply(const image& picture, int r, std::span<float> out) const {
    validate();
    if (picture.height < 1 || picture.width < 1 || r < 1 || r > 16'384)
      throw error(errc::invalid_argument, "preprocessing", "a picture and a resolution of 1 to 16384",
                  text(picture.width, "×", picture.height, " and ", r));
    if (mode == preprocessing_mode::exact && picture.height == r && picture.width == r) {
      normalise(picture, out);
    } else if (mode == preprocessing_mode::exact) {
      resize_exact_float(picture, r, out);
      normalise(out);
    } else {
      const double side = std::ceil(r / crop_ratio);
      if (side > 1e6)
        throw error(errc::invalid_argument, "preprocessing", "a crop ratio that is not tiny", text(crop_ratio));
      const auto size = shorter_side_size(picture.height, picture.width, resized_side(r));
      normalise(resize_pil_bilinear(picture, size, centre_window(size, r)), out);
    }
  }

  /// Only the last step, for a picture that has its final size already: out[i] = (v/255 − mean) / std.
  /// Throws errc::invalid_argument if `out` does not hold h·w·3 values.
  void normalise(const image& picture, std::span<float> out) const {
    if (out.size() != picture.pixels.size())
      throw error(errc::invalid_argument, "preprocessing",
                  text("room for ", picture.height, "×", picture.width, "×3 values"), text("room for ", out.size()));
    std::array<std::array<float, 3>, 256> table; // 768 divisions in place of one per value
    for (std::size_t v = 0; v < table.size(); ++v)
      for (std::size_t c = 0; c < 3; ++c) table[v][c] = normalised(static_cast<float>(v), c);
    for (std::size_t i = 0; i < out.size(); i += 3)
      for (std::size_t c = 0; c < 3; ++c) out[i + c] = table[picture.pixels[i + c]][c];
  }

  /// One line for people: "imagenet_crop 0.875, mean 0.485 0.456 0.406, std 0.229 0.224 0.225".
  std::string to_string() const {
    const auto triple = [](const std::array<float, 3>& v) { return text(v[0], " ", v[1], " ", v[2]); };
    const std::string crop = mode == preprocessing_mode::imagenet_crop ? text(" ", crop_ratio) : "";
    return text(name_of(mode), crop, ", mean ", triple(mean), ", std ", triple(std));
  }

private:
  /// Four pixels at a time, which compilers turn into divisions of four values.
  void normalise(std::span<float> values) const {
    constexpr std::size_t step = 12;
    float means[step], deviations[step];
    for (std::size_t j = 0; j < step; ++j) means[j] = mean[j % 3], deviations[j] = std[j % 3];
    std::size_t i = 0;
    for (; i + step <= values.size(); i += step)
      for (std::size_t j = 0; j < step; ++j) values[i + j] = (values[i + j] / 255.0f - means[j]) / deviations[j];
    for (; i < values.size(); ++i) values[i] = normalised(values[i], i % 3);
  }
  float normalised(float value, std::size_t channel) const { return (value / 255.0f - mean[channel]) / std[channel]; }
};

/// The evaluation rule of the ImageNet networks (once-for-all, torchvision): crop ratio 0.875, ImageNet's mean and std.
inline preprocessing imagenet_preprocessing() { return {}; }

/// The rule of the small-image network (64×64 training pictures): the whole picture to exactly r × r.
inline preprocessing exact_preprocessing() {
  preprocessing rule;
  rule.mode = preprocessing_mode::exact;
  return rule;
}

} // namespace dynofa::data
