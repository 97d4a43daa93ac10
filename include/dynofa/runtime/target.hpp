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
  static constexpr double none = std::numeric_limits<double>::infinity();

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
  const auto positive = [](double value, const char* what, const char* unit) {
    if (!(value > 0)) throw error(errc::invalid_argument, what, text("more than 0 ", unit), text(value, " ", unit));
  };
  positive(t.latency_ms, "target latency", "ms");
  positive(t.energy_mj, "target energy", "mJ");
  if (!(t.percentile >= 0.5 && t.percentile <= 0.9999))
    throw error(errc::invalid_argument, "target percentile", "a share of images of 0.5 to 0.9999", text(t.percentile));
  if (!(t.min_top1 >= 0 && t.min_top1 <= 100))
    throw error(errc::invalid_argument, "target accuracy", "a top-1 accuracy of 0 to 100 %", text(t.min_top1, " %"));
  if (std::isnan(t.deadline_ms)) throw error(errc::invalid_argument, "target deadline", "a time in ms", "not a number");
}

} // namespace dynofa::runtime
