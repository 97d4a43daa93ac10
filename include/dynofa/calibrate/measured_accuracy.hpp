#pragma once
#include <cmath>

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
    double low = 0, high = 100; ///< percent
  };
  /// 0 … 100 without images.
  interval top1_interval() const {
    if (images == 0) return {};
    const double z = 1.959964, n = images, p = correct / n;
    const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return {100 * (centre - half), 100 * (centre + half)};
  }
  friend bool operator==(const measured_accuracy&, const measured_accuracy&) = default;
};

} // namespace dynofa
