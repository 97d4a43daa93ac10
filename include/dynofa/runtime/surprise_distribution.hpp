#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace dynofa::runtime {

/// How surprises (deviations of images from their forecast, in units of the forecast's deviation) are distributed: the
/// latest `window` of them, counted, together with a Gaussian that weighs as much as `gauss` of them. So percentiles
/// hold on a machine where one image in fifteen takes half as long again, and there is an answer before anything is
/// seen.
class surprise_distribution {
public:
  static constexpr std::size_t window = 256; ///< surprises that are remembered
  static constexpr double gauss = 16;        ///< weight of the Gaussian, in surprises

  /// One more; the oldest goes when the window is full. Cost: a move within 256 numbers.
  void add(double surprise) noexcept {
    if (count_ == window) {
      const double old = ring_[next_];
      const auto place = std::lower_bound(sorted_.begin(), sorted_.begin() + window, old);
      std::copy(place + 1, sorted_.begin() + window, place);
      --count_;
    }
    ring_[next_] = surprise;
    next_ = (next_ + 1) % window;
    const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(count_);
    const auto place = std::upper_bound(sorted_.begin(), end, surprise);
    std::copy_backward(place, end, end + 1);
    *place = surprise;
    ++count_;
  }

  /// The share of images whose surprise is at most `x`.
  double share_below(double x) const noexcept {
    const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(count_);
    const auto below = static_cast<double>(std::upper_bound(sorted_.begin(), end, x) - sorted_.begin());
    const double normal = 0.5 * std::erfc(-x * 0.70710678118654752);
    return (below + gauss * normal) / (static_cast<double>(count_) + gauss);
  }

  /// The least x that a share of `p` stays below, 0.5 ≤ p < 1, to within 0.01. Cost: eleven of `share_below`.
  double quantile(double p) const noexcept {
    double low = -10, high = 10;
    while (high - low > 0.01) {
      const double middle = (low + high) / 2;
      (share_below(middle) >= p ? high : low) = middle;
    }
    return high;
  }

  std::size_t count() const noexcept { return count_; } ///< remembered now, at most `window`

  /// Everything in it is as `add` leaves it: what has to be asked of one that lay in memory of others.
  bool valid() const noexcept {
    if (count_ > window || next_ >= window || (count_ < window && next_ != count_)) return false;
    const auto finite = [](double x) { return std::isfinite(x); };
    const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(count_);
    if (!std::all_of(sorted_.begin(), end, finite) || !std::is_sorted(sorted_.begin(), end)) return false;
    return std::all_of(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(count_), [&](double x) {
      return finite(x) && x <= sorted_[count_ - 1]; // so that its place in `sorted_` is found
    });
  }

private:
  std::array<double, window> ring_{}, sorted_{};
  std::size_t next_ = 0, count_ = 0;
};

} // namespace dynofa::runtime
