#pragma once
#include "dynofa/core/inline_vector.hpp"
#include "dynofa/runtime/latency_forecast.hpp"
#include "dynofa/runtime/policy.hpp"

#include <cmath>
#include <span>
#include <type_traits>

namespace dynofa::runtime {

/// A list with an entry per level, at most 64, in place.
template <class T>
using member_list = inline_vector<T, 64>;

/// What a coordination knows of one of its members: the forecast and what is wanted, without decisions. Of a fixed size
/// and trivially copyable, so that it can lie in memory that processes share.
class member_forecast : public latency_forecast<member_list> {
public:
  static constexpr std::size_t most_levels = member_list<double>::capacity; ///< levels of a member

  member_forecast() = default;
  /// Throws unless `levels` is a front of at most 64.
  explicit member_forecast(std::span<const level_figures> levels, slow_down_options options = {})
      : latency_forecast(few(levels), options) {}

  /// One more latency of the member; quantiles are found anew when it was taken.
  slow_down_verdict observe(std::size_t level, double latency_ms) noexcept {
    const slow_down_verdict verdict = latency_forecast::observe(level, latency_ms, log_limit_);
    if (verdict == slow_down_verdict::taken) find_quantiles();
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
  /// The same under another limit, given as a logarithm.
  double room_under(double log_limit, std::size_t level, bool present = false) const noexcept {
    return room_to(log_limit, level) - (present ? keep_quantile_ : quantile_) * filter().deviation(level);
  }
  /// Under the member's own limit; 0 … 1.
  double share_in_time(std::size_t level) const noexcept { return share_within(log_limit_, level); }

  /// As in `latency_forecast`.
  bool valid() const noexcept {
    return latency_forecast::valid(most_levels) && share_ >= 0 && share_ < 1 && !std::isnan(log_limit_) &&
           std::isfinite(quantile_) && std::isfinite(keep_quantile_);
  }

private:
  static std::span<const level_figures> few(std::span<const level_figures> levels) {
    require_argument(levels.size() <= most_levels, "levels", text("at most ", most_levels, " for a coordination"),
                     levels.size());
    return levels;
  }
  void find_quantiles() noexcept {
    quantile_ = surprises().quantile(share_);
    keep_quantile_ = surprises().quantile(keep_share_);
  }

  double log_limit_ = target::none, share_ = 0.95, keep_share_ = 0.935, quantile_ = 1.65, keep_quantile_ = 1.52;
};
static_assert(std::is_trivially_copyable_v<member_forecast>);

} // namespace dynofa::runtime
