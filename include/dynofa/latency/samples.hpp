#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace dynofa {

/// A time with its unit; `.count()` gives the number.
using milliseconds = std::chrono::duration<double, std::milli>;

/// Times of one operation, in whole nanoseconds: exact in files, and far finer than any clock repeats.
using samples = std::vector<std::int64_t>;

/// A median and the interval that holds the true one with 95 % confidence, from order statistics: nothing is assumed of
/// the distribution, and the outliers of a busy machine do not widen it.
struct median_interval {
  double low = 0, median = 0, high = std::numeric_limits<double>::infinity(); ///< nanoseconds

  /// Half of the interval relative to the median; infinite below 6 samples, which promise nothing.
  double half_width() const {
    return std::isfinite(high) && median > 0 ? (high - low) / 2 / median : std::numeric_limits<double>::infinity();
  }
};

namespace detail {
/// The q-quantile of ascending values, linear between neighbours.
inline double quantile(const samples& ascending, double q) {
  const double place = q * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  const auto a = static_cast<double>(ascending[below]), b = static_cast<double>(ascending[above]);
  return a + (b - a) * (place - static_cast<double>(below));
}
} // namespace detail

/// All zeros and infinite width without samples. Cost: a sort.
inline median_interval find_median(samples s) {
  if (s.empty()) return {};
  std::sort(s.begin(), s.end());
  const double n = static_cast<double>(s.size()), half = 0.98 * std::sqrt(n); // 1.96 · √n / 2 ranks either side
  median_interval m;
  m.median = detail::quantile(s, 0.5);
  if (s.size() < 6) return m;
  m.low = static_cast<double>(s[static_cast<std::size_t>(std::max(0.0, std::floor(n / 2 - half)))]);
  m.high = static_cast<double>(s[static_cast<std::size_t>(std::min(n - 1, std::ceil(n / 2 + half)))]);
  return m;
}

} // namespace dynofa
