#pragma once
#include "dynofa/space/arch.hpp"

#include <cmath>
#include <cstddef>
#include <span>

namespace dynofa {

/// An architecture as numbers in which near means alike, for models that interpolate: per block three (present; kernel
/// and ratio in −1 … 1 over what its stage offers, 0 where the block is absent), and t, t², t³ of the resolution, where
/// t is its logarithm in −1 … 1 over the space. A choice between 3, 5 and 7 is one number here and three in
/// `feature_layout`, so what a 5 is worth is learned from 3 and 7 too.
class smooth_features {
public:
  explicit smooth_features(const space_description& space)
      : space_{space}
      , low_{std::log(double(space.resolutions.min()))}
      , high_{std::log(double(space.resolutions.max()))} {}

  std::size_t size() const { return 3 * space_.block_count() + 3; }

  /// Writes size() numbers. Throws errc::invalid_arch for an architecture that the space does not contain.
  void operator()(const arch& given, std::span<float> out) const {
    if (!is_legal(space_, given)) validate(space_, given);
    const arch a = with_all_depths(space_, given);
    const auto scaled = [](decimal value, const auto& offered) {
      const auto low = decimal(offered.min()).thousandths, high = decimal(offered.max()).thousandths;
      return low == high ? 0.0f
                         : static_cast<float>(2 * (value.thousandths - low)) / static_cast<float>(high - low) - 1;
    };
    for (std::size_t b = 0; b < a.ks.size(); ++b) {
      const auto& stage = space_.stages[space_.stage_of(b)];
      const bool active = b - space_.first_block(space_.stage_of(b)) < a.d[space_.stage_of(b)];
      out[3 * b] = active ? 1 : 0;
      out[3 * b + 1] = active ? scaled(a.ks[b], stage.kernels) : 0;
      out[3 * b + 2] = active ? scaled(a.e[b], stage.expands) : 0;
    }
    const double t = high_ > low_ ? 2 * (std::log(double(a.r)) - low_) / (high_ - low_) - 1 : 0;
    out[3 * a.ks.size()] = static_cast<float>(t);
    out[3 * a.ks.size() + 1] = static_cast<float>(t * t);
    out[3 * a.ks.size() + 2] = static_cast<float>(t * t * t);
  }

private:
  space_description space_;
  double low_, high_;
};

} // namespace dynofa
