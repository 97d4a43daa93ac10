#pragma once
#include "dynofa/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dynofa::runtime {

/// What the user wants of the coming image. Plain data: copy it, change it, hand it to the next `decide`.
///
/// Where not all can be met, energy gives way first, then accuracy, latency last (the order of ALERT).
struct target {
  static constexpr double none = std::numeric_limits<double>::infinity(); ///< no limit

  double latency_ms = none;  ///< no more than this …
  double percentile = 0.95;  ///< … for this share of images, 0.5 to 0.9999; only `forecast` can aim at a share
  double min_top1 = 0;       ///< percent; 0: any
  double deadline_ms = none; ///< time left for this very image, as after waiting in a queue; joins `latency_ms`
  double energy_mj = none;   ///< of one image, millijoules; heeded where the levels' energies are known

  /// The time the next image may take.
  double limit_ms() const { return std::min(latency_ms, deadline_ms); }
  friend bool operator==(const target&, const target&) = default;
};

/// Throws on a target that no policy may be given. A deadline of 0 or less is legal: the image is late already.
inline void validate(const target& t) {
  require_argument(t.latency_ms > 0, "target latency", "more than 0 ms", t.latency_ms, " ms");
  require_argument(t.energy_mj > 0, "target energy", "more than 0 mJ", t.energy_mj, " mJ");
  require_argument(t.percentile >= 0.5 && t.percentile <= 0.9999, "target percentile",
                   "a share of images of 0.5 to 0.9999", t.percentile);
  require_argument(t.min_top1 >= 0 && t.min_top1 <= 100, "target accuracy", "a top-1 accuracy of 0 to 100 %",
                   t.min_top1, " %");
  require_argument(!std::isnan(t.deadline_ms), "target deadline", "a time in ms", "not a number");
}

} // namespace dynofa::runtime
