#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/data/frame.hpp"
#include "dynofa/data/frame_to_rgb.hpp"
#include "dynofa/data/preprocess.hpp"
#include "dynofa/data/quick_resize.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa::data {

/// How a frame is resized.
enum class resizing : std::uint8_t {
  exact, ///< by the rule that the network was trained with, bit for bit
  quick, ///< by the same rule with at most eight rows and eight columns of the frame for a pixel
};

/// For people: "quick".
constexpr std::string_view name_of(resizing how) { return how == resizing::exact ? "exact" : "quick"; }

/// Frames as a network's input, with what one frame leaves kept for the next: taps and buffers, for up to
/// `most_kept` combinations of layout, size and resolution. No copy of the frame is made.
///
///     data::frame_preprocessor prepare(family.preprocessing(), data::resizing::quick);
///     prepare.apply(data::nv12_view{luma, chroma, 640, 480}, r, input);
///
/// A value; one frame at a time, so each thread has its own.
class frame_preprocessor {
public:
  static constexpr std::size_t most_kept = 32; ///< combinations

  /// Throws errc::invalid_argument if a field of the rule is out of range.
  explicit frame_preprocessor(const preprocessing& rule, resizing how = resizing::exact)
      : rule_{rule}
      , how_{how} {
    rule.validate();
  }

  const preprocessing& rule() const noexcept { return rule_; } ///< as it was given
  resizing how() const noexcept { return how_; }               ///< as it was given

  /// The frame → out [r,r,3], (v/255 − mean) / std. Exact: the bits that `preprocessing::apply` gives for
  /// `to_image(f)`. Quick: near them (docs/guide/frames.md says how near). `out` and the frame do not overlap.
  ///
  /// Allocates for a combination of layout, size and resolution that is new, or that was given up for `most_kept`
  /// others since. Throws errc::invalid_argument for a resolution outside 1 … 16384, if `out` does not hold r·r·3
  /// values, and for floats outside their range, of those that are read; then part of `out` is written.
  void apply(const frame& f, int r, std::span<float> out) {
    const auto start = std::chrono::steady_clock::now();
    if (r >= 1 && r <= 16'384 && out.size() != image_values(r)) // another r is the plan's to refuse
      throw error(errc::invalid_argument, "preprocessing", text("room for ", r, "×", r, "×3 values"),
                  text("room for ", out.size()));
    kept& plan = plan_of({f.layout(), f.width(), f.height(), r});
    if (plan.quick)
      plan.quick->apply(f, out);
    else
      plan.exact->apply(detail::rgb_rows(f, plan.exact->columns(), row_), out);
    last_ms_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  /// Allocates what frames of this kind will need at `r`, so that the first one allocates nothing either. Throws
  /// errc::invalid_argument for a side below 1 and a resolution outside 1 … 16384.
  void prepare(pixel_layout layout, int width, int height, int r) { plan_of({layout, width, height, r}); }

  /// Milliseconds that the last `apply` took; 0 before the first.
  double last_ms() const noexcept { return last_ms_; }

private:
  struct combination {
    pixel_layout layout;
    int width, height, r;
    bool operator==(const combination&) const = default;
  };
  struct kept {
    combination of;
    std::uint64_t last_used;
    std::optional<preprocessing_plan> exact; // one of the two
    std::optional<detail::quick_resizer> quick;
  };

  kept& plan_of(const combination& wanted) {
    ++uses_;
    const auto found = std::find_if(plans_.begin(), plans_.end(), [&](const kept& plan) { return plan.of == wanted; });
    if (found != plans_.end()) {
      found->last_used = uses_;
      return *found;
    }
    rule_.validate(wanted.height, wanted.width, wanted.r);
    kept made{wanted, uses_, {}, {}};
    if (how_ == resizing::quick)
      made.quick.emplace(rule_, wanted.layout, wanted.height, wanted.width, wanted.r);
    else
      made.exact.emplace(rule_, wanted.height, wanted.width, wanted.r);
    if (made.exact && wanted.layout != pixel_layout::rgb) {
      const auto columns = made.exact->columns();
      const int read = columns.back().first + columns.back().count - columns.front().first;
      row_.resize(std::max(row_.size(), static_cast<std::size_t>(read) * 3));
    }
    if (plans_.size() < most_kept) return plans_.emplace_back(std::move(made));
    return *std::min_element(plans_.begin(), plans_.end(),
                             [](const kept& a, const kept& b) { return a.last_used < b.last_used; }) = std::move(made);
  }

  preprocessing rule_;
  resizing how_;
  std::vector<kept> plans_;
  std::vector<std::uint8_t> row_; // of the frame, as RGB
  std::uint64_t uses_ = 0;
  double last_ms_ = 0;
};

} // namespace dynofa::data
