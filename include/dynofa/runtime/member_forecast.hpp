#pragma once
#include "dynofa/core/inline_vector.hpp"
#include "dynofa/runtime/policy.hpp"
#include "dynofa/runtime/slow_down_filter.hpp"
#include "dynofa/runtime/surprise_distribution.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>

namespace dynofa::runtime {

/// What a coordination knows of one of its members: the filter and the distribution of `forecast`, without decisions.
/// Of a fixed size and trivially copyable, so that it can lie in memory that processes share.
class member_forecast {
public:
  static constexpr std::size_t most_levels = 64;
  using filter_type = basic_slow_down_filter<inline_vector<own_factor, most_levels>>;

  member_forecast()
      : filter_{0} {}
  /// Throws unless `levels` is a front of at most 64.
  explicit member_forecast(std::span<const level_figures> levels, slow_down_options options = {})
      : filter_{(check(levels), levels.size()), options}
      , levels_(levels.begin(), levels.end()) {
    for (const level_figures& l : levels) log_latency_.push_back(std::log(l.latency_ms));
  }

  /// Takes one latency; `level` has to be one of the levels and the time above 0 and finite.
  slow_down_verdict observe(std::size_t level, double latency_ms) noexcept {
    const slow_down_verdict verdict = filter_.observe(level, std::log(latency_ms) - log_latency_[level]);
    if (verdict == slow_down_verdict::waits) { // an outlier's place is in the distribution, a step's is not
      if (waiting_ < waits_.size()) waits_[waiting_++] = filter_.last_surprise();
      return verdict;
    }
    if (verdict == slow_down_verdict::taken) {
      for (std::size_t i = 0; i < waiting_; ++i) surprises_.add(waits_[i]);
      surprises_.add(filter_.last_surprise());
      find_quantiles();
    }
    waiting_ = 0;
    return verdict;
  }

  /// What is wanted from now on. The least share of late images that counts as a miss of the *present* level is more by
  /// the part `keep_share` of it, as in `forecast`.
  void aim(double limit_ms, double share, double keep_share) noexcept {
    log_limit_ = limit_ms > 0 ? std::log(limit_ms) : -target::none;
    share_ = share;
    keep_share_ = share - keep_share * (1 - share);
    find_quantiles();
  }

  /// Logarithm of limit / latency, where the latency is the one that the wanted share of images stays below: in time
  /// from 0 upward. `present`: with the tolerance for the level that runs.
  double room(std::size_t level, bool present = false) const noexcept { return room_under(log_limit_, level, present); }
  double room_under(double log_limit, std::size_t level, bool present = false) const noexcept {
    const double spread = (present ? keep_quantile_ : quantile_) * filter_.deviation(level);
    return log_limit - log_latency_[level] - filter_.log_factor(level) - spread;
  }
  double share_in_time(std::size_t level) const noexcept {
    const double room = log_limit_ - log_latency_[level] - filter_.log_factor(level);
    return surprises_.share_below(room / filter_.deviation(level));
  }
  double expected_ms(std::size_t level) const noexcept {
    return std::exp(log_latency_[level] + filter_.log_factor(level));
  }
  /// Logarithm of the latencies' ratio on the undisturbed device.
  double log_ratio(std::size_t from, std::size_t to) const noexcept { return log_latency_[to] - log_latency_[from]; }

  /// As `slow_down_filter::expect`.
  void expect(double shift, double deviation) noexcept {
    filter_.expect(shift, deviation);
    waiting_ = 0;
  }

  std::span<const level_figures> levels() const noexcept { return {levels_.data(), levels_.size()}; }
  const filter_type& filter() const noexcept { return filter_; }
  bool has_limit() const noexcept { return log_limit_ != target::none; }
  double wanted_share() const noexcept { return share_; }

  /// Everything is within its bounds; to be asked of what lay in memory of others before anything else is.
  bool valid() const noexcept {
    if (levels_.empty() || levels_.size() > most_levels || log_latency_.size() != levels_.size()) return false;
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      const level_figures &l = levels_[i], &before = levels_[i > 0 ? i - 1 : 0];
      if (!(std::isfinite(l.latency_ms) && l.latency_ms > 0 && l.top1 >= 0 && l.top1 <= 100)) return false;
      if (!(std::isfinite(l.energy_mj) && l.energy_mj >= 0 && std::isfinite(log_latency_[i]))) return false;
      if (i > 0 && !(l.latency_ms > before.latency_ms && l.top1 > before.top1)) return false;
    }
    return filter_.valid(levels_.size()) && surprises_.valid() && waiting_ <= waits_.size() && share_ >= 0 &&
           share_ < 1 && !std::isnan(log_limit_) && std::isfinite(quantile_) && std::isfinite(keep_quantile_);
  }

private:
  static void check(std::span<const level_figures> levels) {
    validate(levels);
    if (levels.size() > most_levels)
      throw error(errc::invalid_argument, "levels", text("at most ", most_levels, " for a coordination"),
                  text(levels.size()));
  }
  void find_quantiles() noexcept {
    quantile_ = surprises_.quantile(share_);
    keep_quantile_ = surprises_.quantile(keep_share_);
  }

  filter_type filter_;
  surprise_distribution surprises_;
  inline_vector<level_figures, most_levels> levels_;
  inline_vector<double, most_levels> log_latency_;
  std::array<double, 8> waits_{};
  std::size_t waiting_ = 0;
  double log_limit_ = target::none, share_ = 0.95, keep_share_ = 0.935, quantile_ = 1.65, keep_quantile_ = 1.52;
};
static_assert(std::is_trivially_copyable_v<member_forecast>);

} // namespace dynofa::runtime
