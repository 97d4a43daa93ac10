#pragma once
#include "dynofa/space/arch.hpp"

#include <cmath>
#include <cstddef>
#include <span>

namespace dynofa {

/// An architecture as numbers in which near means alike, for models that interpolate: per block three (present; kernel
/// and ratio in −1 … 1 over what its stage offers, 0 where the block is absent), and t, t², t³ of the resolution, where
/// t is its logarithm in −1 … 1 over the space. A choice between 3, 5 and 7 is one number here and three in
/// `feature_layout`, so what a 5 is worth is learned from 3 and 7 too. Where a space has them, one number more for each
/// width and one for a deep stem's depth.
class smooth_features {
public:
  /// Keeps a copy of the space.
  explicit smooth_features(const space_description& space)
      : space_{space}
      , low_{std::log(double(space.resolutions.min()))}
      , high_{std::log(double(space.resolutions.max()))} {}

  /// How many numbers an architecture becomes.
  std::size_t size() const { return 3 * space_.block_count() + 3 + space_.width_count() + space_.has_deep_stem(); }

  /// Writes size() numbers. Throws errc::invalid_arch for an architecture that the space does not contain.
  void operator()(const arch& given, std::span<float> out) const {
    if (!is_legal(space_, given)) validate(space_, given);
    const arch a = completed(space_, given);
    const auto scaled = [](decimal value, const auto& offered) {
      const auto low = decimal(offered.min()).thousandths, high = decimal(offered.max()).thousandths;
      return low == high ? 0.0f
                         : static_cast<float>(2 * (value.thousandths - low)) / static_cast<float>(high - low) - 1;
    };
    for (std::size_t b = 0; b < space_.block_count(); ++b) {
      const std::size_t s = space_.stage_of(b);
      const auto& stage = space_.stages[s];
      const bool active = b - space_.first_block(s) < space_.active_blocks(s, a.d[s]);
      out[3 * b] = active ? 1 : 0;
      out[3 * b + 1] = active ? scaled(a.ks[b], stage.kernels) : 0;
      out[3 * b + 2] = active ? scaled(a.e[b], stage.expands) : 0;
    }
    const double t = high_ > low_ ? 2 * (std::log(double(a.r)) - low_) / (high_ - low_) - 1 : 0;
    std::size_t at = 3 * space_.block_count();
    for (const double power : {t, t * t, t * t * t}) out[at++] = static_cast<float>(power);
    for (const auto w : a.w) out[at++] = scaled(space_.widths[w], space_.widths);
    if (space_.has_deep_stem()) out[at++] = scaled(a.d[0], space_.stages[0].depths);
  }

private:
  space_description space_;
  double low_, high_;
};

} // namespace dynofa
