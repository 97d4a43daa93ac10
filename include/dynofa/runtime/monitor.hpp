#pragma once
#include "dynofa/core/error.hpp"

#include <boost/circular_buffer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace dynofa::runtime {

/// What a monitor keeps and marks.
struct monitor_options {
  /// Images that the sliding window holds. 10, as in the paper (§4.3).
  std::size_t window = 10;
  /// First images of each level that are marked cold: their weights and code are not in the caches yet. 1: an
  /// assumption.
  std::size_t cold_images = 1;
  /// An image above this multiple of the median of its level's window is marked as an outlier. 1.5: far outside the
  /// noise of a quiet machine (some per cent), below the doubling that a second process on the core brings.
  double outlier_factor = 1.5;
};

/// Watches latencies: a sliding window over all images and one per level, with marks for cold starts and outliers.
///
/// Marked images stay in every window and figure: an overload looks like a run of outliers at first, and whoever drops
/// them (the reference drops everything above 90 ms) never sees it. Allocates in the constructor only; not thread-safe.
class latency_monitor {
public:
  /// One recorded image with its marks.
  struct sample {
    std::size_t level = 0;              ///< that ran
    double latency_ms = 0;              ///< as recorded
    bool cold = false, outlier = false; ///< see `monitor_options`
  };
  /// What is known of one level since the beginning.
  struct level_totals {
    std::uint64_t images = 0, cold = 0, outliers = 0; ///< counted
    double sum_ms = 0, min_ms = 0, max_ms = 0;        ///< 0 before the first image
    /// 0 before the first image.
    double mean_ms() const { return images == 0 ? 0 : sum_ms / static_cast<double>(images); }
  };

  /// Throws errc::invalid_argument for no levels or options out of range.
  explicit latency_monitor(std::size_t levels, monitor_options options = {})
      : options_{options} {
    require_argument(levels != 0, "monitor", "at least one level", "none");
    require_argument(options.window != 0 && options.window <= 65536, "monitor_options::window", "1 to 65536 images",
                     options.window);
    require_argument(options.outlier_factor > 1, "monitor_options::outlier_factor", "above 1", options.outlier_factor);
    totals_.resize(levels);
    windows_.assign(levels + 1, window(options.window));
    scratch_.resize(options.window);
  }

  /// Takes the latency of one image on `level`. A time that is no number or not above 0 is recorded as 0 and marked as
  /// an outlier: a broken clock shows. Cost: one selection over the window.
  sample record(std::size_t level, double latency_ms) noexcept {
    if (level >= totals_.size()) level = totals_.size() - 1;
    level_totals& of = totals_[level];
    const bool broken = !(latency_ms > 0) || !std::isfinite(latency_ms);
    if (broken) latency_ms = 0;
    last_ = {level, latency_ms, of.images < options_.cold_images, broken};
    if (const window& w = windows_[level]; w.size() >= std::min<std::size_t>(5, options_.window))
      last_.outlier |= latency_ms > options_.outlier_factor * rank(w, 0.5);
    of.min_ms = of.images == 0 ? latency_ms : std::min(of.min_ms, latency_ms);
    of.max_ms = std::max(of.max_ms, latency_ms);
    of.sum_ms += latency_ms;
    ++of.images;
    of.cold += last_.cold;
    of.outliers += last_.outlier;
    windows_[level].push_back(latency_ms);
    windows_.back().push_back(latency_ms);
    return last_;
  }

  std::size_t levels() const noexcept { return totals_.size(); } ///< that it was made for
  const sample& last() const noexcept { return last_; }          ///< the image recorded last
  /// Since the first image; throws std::out_of_range for no such level.
  const level_totals& totals(std::size_t level) const { return totals_.at(level); }

  /// Images in the window, of all levels together; the latest `window` at most.
  std::size_t size() const noexcept { return windows_.back().size(); }
  std::size_t size(std::size_t level) const { return of_level(level).size(); } ///< Of one level alone.
  /// Mean of the window in ms, 0 while it is empty.
  double mean_ms() const noexcept { return mean(windows_.back()); }
  double mean_ms(std::size_t level) const { return mean(of_level(level)); } ///< Of one level alone.
  /// The smallest latency in the window that a share of at least `p` of its images does not exceed (nearest rank), 0 <
  /// p ≤ 1.
  double percentile_ms(double p) noexcept { return rank(windows_.back(), p); }
  double percentile_ms(std::size_t level, double p) { return rank(of_level(level), p); } ///< Of one level alone.

private:
  using window = boost::circular_buffer<double>;

  const window& of_level(std::size_t level) const {
    static_cast<void>(totals_.at(level)); // throws
    return windows_[level];
  }
  static double mean(const window& w) noexcept {
    return w.empty() ? 0 : std::accumulate(w.begin(), w.end(), 0.0) / static_cast<double>(w.size());
  }
  double rank(const window& w, double p) noexcept {
    if (w.empty()) return 0;
    const auto end = std::copy(w.begin(), w.end(), scratch_.begin());
    const double wanted = std::ceil(std::clamp(p, 0.0, 1.0) * static_cast<double>(w.size()) - 1e-9);
    const auto nth = scratch_.begin() + static_cast<std::ptrdiff_t>(std::max(wanted, 1.0)) - 1;
    std::nth_element(scratch_.begin(), nth, end);
    return *nth;
  }

  monitor_options options_;
  std::vector<level_totals> totals_;
  std::vector<window> windows_; // one per level, then that of all
  std::vector<double> scratch_;
  sample last_;
};

} // namespace dynofa::runtime
