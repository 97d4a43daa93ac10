#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/data/image.hpp"
#include "dynofa/data/resize.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
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

  /// Throws errc::invalid_argument if a field, a side of a picture or a resolution is out of range.
  void validate(int height, int width, int r) const {
    validate();
    if (height < 1 || width < 1 || r < 1 || r > 16'384)
      throw error(errc::invalid_argument, "preprocessing", "a picture and a resolution of 1 to 16384",
                  text(width, "×", height, " and ", r));
    if (mode == preprocessing_mode::imagenet_crop && std::ceil(r / crop_ratio) > 1e6)
      throw error(errc::invalid_argument, "preprocessing", "a crop ratio that is not tiny", text(crop_ratio));
  }

  /// The size that mode imagenet_crop resizes a picture to before it crops it.
  image_size resized_size(int height, int width, int r) const {
    return shorter_side_size(height, width, resized_side(r));
  }

  /// The picture as a network's input: in [h,w,3] bytes → out [r,r,3], (v/255 − mean) / std.
  /// Throws errc::invalid_argument if `out` does not hold r·r·3 values or a field is out of range. Whoever has many
  /// pictures of one size makes a `preprocessing_plan`, or a `frame_preprocessor`, which allocate once.
  void apply(const image& picture, int r, std::span<float> out) const;

  /// Only the last step, for a picture that has its final size already: out[i] = (v/255 − mean) / std.
  /// Throws errc::invalid_argument if `out` does not hold h·w·3 values.
  void normalise(const image& picture, std::span<float> out) const {
    if (out.size() != picture.pixels.size())
      throw error(errc::invalid_argument, "preprocessing",
                  text("room for ", picture.height, "×", picture.width, "×3 values"), text("room for ", out.size()));
    normalise(picture.pixels, byte_values(), out.data());
  }

  /// One line for people: "imagenet_crop 0.875, mean 0.485 0.456 0.406, std 0.229 0.224 0.225".
  std::string to_string() const {
    const auto triple = [](const std::array<float, 3>& v) { return text(v[0], " ", v[1], " ", v[2]); };
    const std::string crop = mode == preprocessing_mode::imagenet_crop ? text(" ", crop_ratio) : "";
    return text(name_of(mode), crop, ", mean ", triple(mean), ", std ", triple(std));
  }

private:
  friend class preprocessing_plan; ///< normalises as this does

  /// What each byte of each channel becomes: 768 divisions in place of one per value.
  using byte_table = std::array<std::array<float, 3>, 256>;
  byte_table byte_values() const {
    byte_table table;
    for (std::size_t v = 0; v < table.size(); ++v)
      for (std::size_t c = 0; c < 3; ++c) table[v][c] = normalised(static_cast<float>(v), c);
    return table;
  }
  static void normalise(std::span<const std::uint8_t> pixels, const byte_table& table, float* out) {
    for (std::size_t i = 0; i < pixels.size(); i += 3)
      for (std::size_t c = 0; c < 3; ++c) out[i + c] = table[pixels[i + c]][c];
  }

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

/// A rule made ready for pictures of one size and one resolution: taps and buffers, so that a picture allocates
/// nothing. The picture is given row by row and need not lie in an `image`. A value; one picture at a time.
class preprocessing_plan {
public:
  /// Throws errc::invalid_argument if a field of the rule, a side or the resolution is out of range.
  preprocessing_plan(const preprocessing& rule, int height, int width, int r)
      : rule_{rule}
      , r_{r}
      , whole_{column_run{0, width}} {
    rule.validate(height, width, r);
    if (rule.mode == preprocessing_mode::exact) {
      if (height != r || width != r) exact_.emplace(height, width, r);
    } else {
      const auto size = rule.resized_size(height, width, r);
      pil_.emplace(height, width, size, centre_window(size, r));
    }
    if (!exact_) table_ = rule.byte_values();
  }

  /// The columns of a row that it reads: what the crop leaves and the filter sees, in ascending runs.
  std::span<const column_run> columns() const {
    return pil_ ? pil_->columns() : exact_ ? exact_->columns() : std::span<const column_run>(whole_);
  }

  /// `row(y)`: the first of the RGB bytes of these columns of the picture's row `y`, good until the next call; asked
  /// for from top to bottom, only rows that the result depends on. → out [r,r,3], the bits of `preprocessing::apply`.
  /// Throws errc::invalid_argument if `out` does not hold r·r·3 values.
  template <class Rows>
  void apply(Rows&& row, std::span<float> out) {
    if (out.size() != image_values(r_))
      throw error(errc::invalid_argument, "preprocessing", text("room for ", r_, "×", r_, "×3 values"),
                  text("room for ", out.size()));
    const std::size_t width = static_cast<std::size_t>(r_) * 3;
    const auto finish = [&](int y, std::span<const std::uint8_t> bytes) {
      preprocessing::normalise(bytes, table_, out.data() + static_cast<std::size_t>(y) * width);
    };
    if (exact_) {
      exact_->run(row, out);
      rule_.normalise(out);
    } else if (pil_) {
      pil_->run(row, finish);
    } else {
      for (int y = 0; y < r_; ++y) finish(y, {row(y), width});
    }
  }

private:
  preprocessing rule_;
  int r_;
  std::array<column_run, 1> whole_;
  std::optional<detail::pil_resizer> pil_;
  std::optional<detail::exact_resizer> exact_; // neither: the picture has its size already
  preprocessing::byte_table table_{};
};

inline void preprocessing::apply(const image& picture, int r, std::span<float> out) const {
  preprocessing_plan plan(*this, picture.height, picture.width, r);
  plan.apply([&](int y) { return picture.row(y) + std::ptrdiff_t{3} * plan.columns()[0].first; }, out);
}

/// The evaluation rule of the ImageNet networks (once-for-all, torchvision): crop ratio 0.875, ImageNet's mean and std.
inline preprocessing imagenet_preprocessing() { return {}; }

/// The rule of the small-image network (64×64 training pictures): the whole picture to exactly r × r.
inline preprocessing exact_preprocessing() {
  preprocessing rule;
  rule.mode = preprocessing_mode::exact;
  return rule;
}

} // namespace dynofa::data
