#pragma once
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/space/arch.hpp"

#include <cmath>
#include <string>
#include <vector>

namespace dynofa {

/// How often a level's first guess was right on labelled images.
struct measured_accuracy {
  int images = 0;   ///< 0: never measured
  int correct = 0;  ///< the label has the largest logit
  int correct5 = 0; ///< the label is among the five largest

  double top1() const { return images == 0 ? 0 : 100.0 * correct / images; }  ///< percent
  double top5() const { return images == 0 ? 0 : 100.0 * correct5 / images; } ///< percent

  /// The 95 % Wilson score interval of top-1, in percent: holds its width near 0 and 100 %, where ±1.96 σ does not.
  struct interval {
    double low = 0, high = 100;
  };
  interval top1_interval() const {
    if (images == 0) return {};
    const double z = 1.959964, n = images, p = correct / n;
    const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return {100 * (centre - half), 100 * (centre + half)};
  }
  friend bool operator==(const measured_accuracy&, const measured_accuracy&) = default;
};

/// What one image took on one device, batch 1.
struct measured_latency {
  std::string device; ///< what `backend.name()` and the profiler call it: "cpu avx512, 2 threads, AMD EPYC 9…"
  double median_ms = 0, p95_ms = 0, min_ms = 0;
  int images = 0; ///< that were timed
  friend bool operator==(const measured_latency&, const measured_latency&) = default;
};

/// One member of a family: an architecture, the statistics that make it work, and what was measured of it. Owns no
/// weights. An engine binds it with `engine.load(level.arch, level.statistics)`.
struct family_level {
  dynofa::arch arch;
  bn_statistics statistics;
  measured_accuracy accuracy;
  std::vector<measured_latency> latency; ///< one per device
  friend bool operator==(const family_level&, const family_level&) = default;
};

} // namespace dynofa
