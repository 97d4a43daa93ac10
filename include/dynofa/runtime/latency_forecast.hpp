#pragma once
#include "dynofa/runtime/level_figures.hpp"
#include "dynofa/runtime/slow_down_filter.hpp"
#include "dynofa/runtime/step_evidence.hpp"
#include "dynofa/runtime/surprise_distribution.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

namespace dynofa::runtime {

/// What the latencies of one network tell of those to come: one slow-down factor of the processor for all levels
/// (`slow_down_filter`) and how images scatter around it. Forecasts only, no decisions. `List`: std::vector, or a list
/// of fixed size, with which all of it is trivially copyable.
template <template <class> class List>
class latency_forecast {
public:
  using filter_type = basic_slow_down_filter<List<own_factor>>; ///< one factor per level beside the common one

  latency_forecast()
      : filter_{0} {}
  /// Throws unless `levels` is a front.
  latency_forecast(std::span<const level_figures> levels, slow_down_options options)
      : filter_{(validate(levels), levels.size()), options}
      , levels_(levels.begin(), levels.end()) {
    for (const level_figures& l : levels) log_latency_.push_back(std::log(l.latency_ms));
  }

  /// Takes one latency; `level` has to be one of the levels and the time above 0 and finite. Slow images are believed
  /// the sooner if they are late, or as good as late: within two deviations of noise of the limit (a logarithm), as
  /// else noise that makes one of two images of a step just in time would cost a third.
  slow_down_verdict observe(std::size_t level, double latency_ms, double log_limit) noexcept {
    const double log_ms = std::log(latency_ms), slow_down = log_ms - log_latency_[level];
    const bool urgent = evidence_.observe(slow_down, filter_.log_factor(level), filter_.noise(),
                                          latency_ms - expected_ms(level), log_ms > log_limit - 2 * filter_.noise());
    const slow_down_verdict verdict = filter_.observe(level, slow_down, urgent);
    evidence_.learn(verdict);
    if (verdict == slow_down_verdict::waits) { // an outlier's place is in the distribution, a step's is not
      if (waiting_ < waits_.size()) waits_[waiting_++] = filter_.last_surprise();
      return verdict;
    }
    if (verdict == slow_down_verdict::taken) {
      for (std::size_t i = 0; i < waiting_; ++i) surprises_.add(waits_[i]);
      surprises_.add(filter_.last_surprise());
    }
    waiting_ = 0;
    return verdict;
  }
  /// As `slow_down_filter::expect`.
  void expect(double shift, double deviation) noexcept {
    filter_.expect(shift, deviation);
    waiting_ = 0;
  }

  /// Logarithm of limit / latency expected.
  double room_to(double log_limit, std::size_t level) const noexcept {
    return log_limit - log_latency_[level] - filter_.log_factor(level);
  }
  /// The share of images of a level that will be in time, were all slower by `margin` (logarithm).
  double share_within(double log_limit, std::size_t level, double margin = 0) const noexcept {
    return surprises_.share_below((room_to(log_limit, level) - margin) / filter_.deviation(level));
  }
  /// What the next image on `level` is expected to take, in ms (the median).
  double expected_ms(std::size_t level) const noexcept {
    return std::exp(log_latency_[level] + filter_.log_factor(level));
  }
  /// Logarithm of the latencies' ratio on the undisturbed device.
  double log_ratio(std::size_t from, std::size_t to) const noexcept { return log_latency_[to] - log_latency_[from]; }

  std::span<const level_figures> levels() const noexcept {
    return {levels_.data(), levels_.size()};
  }                                                                              ///< that it was made of
  const filter_type& filter() const noexcept { return filter_; }                 ///< what is known of the slow-down
  const surprise_distribution& surprises() const noexcept { return surprises_; } ///< what is known of the scatter

  /// Everything is within its bounds; to be asked of what lay in memory of others before anything else is.
  bool valid(std::size_t most_levels) const noexcept {
    if (levels_.empty() || levels_.size() > most_levels || log_latency_.size() != levels_.size()) return false;
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      const level_figures &l = levels_[i], &before = levels_[i > 0 ? i - 1 : 0];
      if (!(std::isfinite(l.latency_ms) && l.latency_ms > 0 && l.top1 >= 0 && l.top1 <= 100)) return false;
      if (!(std::isfinite(l.energy_mj) && l.energy_mj >= 0 && std::isfinite(log_latency_[i]))) return false;
      if (i > 0 && !(l.latency_ms > before.latency_ms && l.top1 > before.top1)) return false;
    }
    return filter_.valid(levels_.size()) && surprises_.valid() && evidence_.valid() && waiting_ <= waits_.size();
  }

private:
  filter_type filter_;
  step_evidence evidence_;
  surprise_distribution surprises_;
  List<level_figures> levels_;
  List<double> log_latency_;
  std::array<double, 8> waits_{};
  std::size_t waiting_ = 0;
};

} // namespace dynofa::runtime
