#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/finite.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// What an int8 level knows of its activations. Inputs of 1×1 convolutions are unsigned bytes with one scale per tensor,
// inputs of depthwise convolutions with one per channel: these channels differ by two orders of magnitude, and a scale
// per channel costs nothing where the convolution is per channel too. The residual stream and the vectors of
// squeeze-excite and of the head stay floats.

namespace dynofa {

/// The lowest and highest value of every tensor, or channel, that a level keeps as bytes: concatenated in the order of
/// `byte_tensors`. Empty: nobody has recorded any, and the level runs in float formats only.
struct activation_ranges {
  std::vector<float> low, high;                              ///< low ≤ 0 ≤ high
  bool empty() const { return low.empty() && high.empty(); } ///< none were recorded
  friend bool operator==(const activation_ranges&, const activation_ranges&) = default;
};

/// A tensor inside a block that int8 levels keep as bytes.
struct byte_tensor {
  /// Where in its block.
  enum class place : std::uint8_t {
    input,     ///< of the block: what the expansion, or the 1×1 convolution before pooling, multiplies
    expanded,  ///< what the depthwise convolution multiplies; a range per channel
    ungated,   ///< the depthwise convolution's output before squeeze-excite, where there is one; a range per channel
    projected, ///< what the projection multiplies
  };
  std::size_t block = 0;      ///< of the plan
  place where = place::input; ///< see above
  std::size_t offset = 0;     ///< of its ranges
  int ranges = 1;             ///< one, or one per channel
};

/// Those of a plan, in the order in which they are met. Stem, the separable block behind it and what follows pooling
/// have none.
inline std::vector<byte_tensor> byte_tensors(const plan& p) {
  std::vector<byte_tensor> all;
  std::size_t offset = 0;
  const auto add = [&](std::size_t b, byte_tensor::place where, int ranges) {
    all.push_back({b, where, offset, ranges});
    offset += static_cast<std::size_t>(ranges);
  };
  for (std::size_t b = 0; b < p.blocks.size(); ++b) {
    const block& block = p.blocks[b];
    using enum byte_tensor::place;
    if (block.kind != block_kind::inverted_residual && block.kind != block_kind::final_expand) continue;
    add(b, input, 1);
    if (block.kind != block_kind::inverted_residual) continue;
    add(b, expanded, block.mid_channels);
    if (block.se_channels > 0) add(b, ungated, block.mid_channels);
    add(b, projected, 1);
  }
  return all;
}
/// How many ranges a plan has.
inline std::size_t range_count(const plan& p) {
  const auto all = byte_tensors(p);
  return all.empty() ? 0 : all.back().offset + static_cast<std::size_t>(all.back().ranges);
}

/// Ranges for timing an int8 level that nobody has calibrated: what it computes takes as long, and means nothing.
inline activation_ranges timing_ranges(const plan& p) {
  return {std::vector<float>(range_count(p), -4.f), std::vector<float>(range_count(p), 4.f)};
}

/// How floats of one range become bytes: code = round(x / step + zero), to even on ties, within 0 … 255. Zero has a
/// code of its own, so that padding and what ReLU cuts off are exact.
struct byte_code {
  float step = 0;    ///< the value of one code; 0 where everything is zero
  float inverse = 0; ///< 1 / step, or 0
  int zero = 0;      ///< the code of 0.0

  /// Of low ≤ 0 ≤ high. Narrower than a float can tell from zero, everything is zero.
  static byte_code of(float low, float high) {
    const float width = high - low;
    if (width < 1e-30f) return {};
    const float inverse = 255.f / width;
    return {width / 255.f, inverse, static_cast<int>(std::nearbyint(-low * inverse))};
  }
  /// Rounded to even, held within 0 … 255.
  std::uint8_t code(float x) const {
    const float at = std::nearbyint(std::fma(x, inverse, static_cast<float>(zero)));
    return static_cast<std::uint8_t>(at > 0.f ? std::min(at, 255.f) : 0.f); // NaN becomes 0
  }
  float value(int code) const { return static_cast<float>(code - zero) * step; } ///< that a code stands for; exact at 0
};

/// Throws errc::mismatch unless there are as many ranges as `p` has, errc::bad_file unless each holds zero and is
/// finite, its width too. No ranges at all are as good as all.
inline void check_ranges(const plan& p, const activation_ranges& r, std::string_view where) {
  if (r.empty()) return;
  const std::size_t wanted = range_count(p);
  if (r.low.size() != wanted || r.high.size() != wanted)
    throw error(errc::mismatch, where, text(wanted, " activation ranges for ", p.arch),
                text(r.low.size(), " lows and ", r.high.size(), " highs"));
  for (std::size_t i = 0; i < wanted; ++i)
    if (!(r.low[i] <= 0 && r.high[i] >= 0 && std::isfinite(r.high[i] - r.low[i])))
      throw error(errc::bad_file, text(where, ", activation range ", i), "low ≤ 0 ≤ high and a finite width",
                  text(shown(r.low[i]), " to ", shown(r.high[i])));
}

} // namespace dynofa
