#pragma once
#include "dynofa/model/ranges.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace dynofa {

/// How a range of bytes is chosen for values that were seen.
enum class range_rule {
  least_square_error, ///< clips what is rare if the finer steps of the rest are worth it
  min_max,            ///< clips nothing
  percentile,         ///< clips the same share of the values at either end
};

/// How often values between `low` ≤ 0 and `high` ≥ 0 were seen: bins of one width, and zeros for themselves. Half of
/// what follows a ReLU are zeros, which every range holds exactly; in a bin they would count as values beside zero.
struct range_histogram {
  static constexpr int bins = 512, zeros = bins, size = bins + 1; ///< of one width; where zeros are; counts in all
  float low = 0, high = 0;                                        ///< ends of the first and the last bin
  std::span<const std::uint64_t> counts;                          ///< `size` of them

  /// Bins per unit; 0 for widths that `byte_code` takes for zero.
  static float inverse_width(float low, float high) {
    return high - low < 1e-30f ? 0.f : static_cast<float>(bins) / (high - low);
  }
  /// Where x lies, given the bins' inverse width; of what is outside, or NaN, a bin at the end.
  static int bin_at(float x, float low, float inverse) {
    float at = (x - low) * inverse;
    at = at > 0.f ? at : 0.f; // so that NaN becomes 0
    return static_cast<int>(at < static_cast<float>(bins - 1) ? at : static_cast<float>(bins - 1));
  }
  /// Where x is counted.
  static int bin_of(float x, float low, float inverse) { return x == 0.f ? zeros : bin_at(x, low, inverse); }

  ///@{
  /// Four at once.
  using quad __attribute__((vector_size(16))) = float;
  using places __attribute__((vector_size(16))) = std::int32_t;
  ///@}
  /// The same for four, without a branch: which values are zero cannot be foretold. 1.1 ns a value, with branches 4.5.
  static places bins_of(quad x, quad low, quad inverse) {
    const quad zero = {}, last = zero + static_cast<float>(bins - 1);
    quad at = (x - low) * inverse;
    at = at > zero ? at : zero;
    at = at < last ? at : last;
    const places is_zero = x == zero;
    return (is_zero & zeros) | (~is_zero & __builtin_convertvector(at, places));
  }

  /// The lower end of a bin; `high` for the end of the last one.
  float edge(int bin) const { return bin == bins ? high : static_cast<float>(low + (double(high) - low) * bin / bins); }
  /// Values seen.
  std::uint64_t total() const {
    std::uint64_t n = 0;
    for (const std::uint64_t count : counts) n += count;
    return n;
  }
};

/// Sum of (value − the value that its byte stands for)². A bin's values are taken to lie at a quarter and at three
/// quarters of it: bins are half as wide as steps, and their centres alone would meet every step at the same places.
/// Within a tenth for densities that are smooth at the width of a bin; too large where most values crowd around zero.
inline double squared_error(const range_histogram& h, const byte_code& code) {
  const double width = (double(h.high) - h.low) / range_histogram::bins;
  double sum = 0;
  for (int bin = 0; bin < range_histogram::bins; ++bin) {
    const std::uint64_t count = h.counts[static_cast<std::size_t>(bin)];
    if (count == 0) continue;
    for (const double place : {0.25, 0.75}) {
      const auto x = static_cast<float>(h.low + width * (bin + place));
      const double error = x - code.value(code.code(x));
      sum += 0.5 * static_cast<double>(count) * error * error;
    }
  }
  return sum;
}

/// Of the seen range and 19 shrunken ones, both ends 1/20 … 19/20 nearer to zero, the one whose bytes have the least
/// squared error; of equal ones the widest.
inline std::pair<float, float> least_square_error_range(const range_histogram& h) {
  constexpr int steps = 20;
  std::pair<float, float> best{h.low, h.high};
  double least = squared_error(h, byte_code::of(h.low, h.high));
  for (int left = steps - 1; left > 0 && least > 0; --left) {
    const float part = static_cast<float>(left) / steps;
    const double error = squared_error(h, byte_code::of(h.low * part, h.high * part));
    if (error < least) least = error, best = {h.low * part, h.high * part};
  }
  return best;
}

/// From the (100 − p)-th to the p-th percentile, as wide as the bins in which they lie, and wide enough to hold zero.
/// What `byte_code` takes for zero is left as it is.
inline std::pair<float, float> percentile_range(const range_histogram& h, double p) {
  const float inverse = range_histogram::inverse_width(h.low, h.high);
  if (inverse == 0) return {h.low, h.high};
  const double cut = static_cast<double>(h.total()) * (100 - p) / 100;
  const int zero = range_histogram::bin_at(0, h.low, inverse);
  const auto count = [&](int bin) {
    return static_cast<double>(h.counts[static_cast<std::size_t>(bin)] +
                               (bin == zero ? h.counts[range_histogram::zeros] : 0));
  };
  int first = 0, last = range_histogram::bins - 1;
  for (double below = count(first); below <= cut && first < last; below += count(++first)) {
  }
  for (double above = count(last); above <= cut && last > first; above += count(--last)) {
  }
  return {std::min(0.f, h.edge(first)), std::max(0.f, h.edge(last + 1))};
}

} // namespace dynofa
