#pragma once
#include "dynofa/runtime/member_forecast.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

namespace dynofa::runtime {

/// How careful a coordination is.
struct coordination_options {
  /// As in `forecast`, but a level's own factor is trusted less: what a change of others does would hide in it.
  slow_down_options filter = {.start_noise = 0.02, .level_deviation = 0.01};
  /// As in `forecast_options`: a raise has to be in time even this much slower (logarithm) …
  double raise_margin = 0.01;
  /// … or this many deviations of an image's noise, whichever is more.
  double raise_noise = 0.7;
  /// As in `forecast_options`: a member misses its target from (1 + this) times the allowed share of late images on.
  double keep_share = 0.3;
  /// Images of a member after a change before its forecast counts as evidence. 3: the first may have begun before the
  /// change, and two show a step of the slow-down.
  std::size_t evidence = 3;
  /// Images of each member, on average, that have to find room before a raise.
  std::size_t raise_after = 4;
  /// Images for which a raise that had to be taken back is not tried again; doubles up to `closed_most`.
  std::size_t closed_first = 1024, closed_most = 16384; ///< images
  /// Costs that differ by less than this part are a tie. 0.1: what is known of a table's latencies and accuracies.
  double tie = 0.1;
  /// A member that has run no image while the others ran this many is idle: not waited for, not lowered, not heard.
  std::size_t idle_after = 256;
};

/// What a network that joins may say.
struct member_options {
  /// Priority: a point of top-1 of this member is worth as much as `weight` points of a member of weight 1.
  double weight = 1;
  static constexpr std::size_t by_forecast = std::numeric_limits<std::size_t>::max(); ///< stands for no level
  /// The level to start with; by default what the forecast gives.
  std::size_t first = by_forecast;
};

/// Throws on options that no coordination may be given.
inline void validate(const coordination_options& o) {
  static_cast<void>(slow_down_filter(1, o.filter)); // throws
  require_argument(o.raise_margin >= 0 && o.raise_noise >= 0 && o.keep_share >= 0 && o.keep_share <= 1,
                   "coordination_options", "margins of at least 0, keep_share 0 to 1", "others");
  require_argument(o.tie >= 0 && o.tie < 1, "coordination_options::tie", "0 to below 1", o.tie);
  require_argument(o.evidence != 0 && o.closed_first != 0 && o.closed_most >= o.closed_first, "coordination_options",
                   "evidence and closings of at least 1 image", "0");
}

namespace detail {

/// What a `coordination_rule` remembers, and what can be asked of it. Trivially copyable. Flags are bytes, not bool:
/// any value of a byte is legal in memory that others wrote.
class member_table {
public:
  static constexpr std::size_t most_members = 16;

  member_table() = default;
  explicit member_table(const coordination_options& options)
      : options_{options} {
    validate(options);
  }

  bool here(std::size_t m) const noexcept { return m < most_members && members_[m].here; }
  std::size_t size() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(members_.begin(), members_.end(), [](const slot& s) { return s.here != 0; }));
  }
  std::size_t level(std::size_t m) const noexcept { return members_[m].level; }
  reason why(std::size_t m) const noexcept {
    const slot& s = members_[m];
    return here(m) && misses(m) && nobody_lower() ? reason::infeasible : s.why;
  }
  const member_forecast& forecast(std::size_t m) const noexcept { return members_[m].forecast; }
  /// Changes of levels that were ordered so far.
  std::uint64_t plans() const noexcept { return plans_; }

  /// What is worth logging of a member.
  template <class F>
  void dump(std::size_t m, F&& field) const {
    if (!here(m)) return;
    const slot& s = members_[m];
    const auto& filter = s.forecast.filter();
    field("level", static_cast<double>(s.level));
    field("members", static_cast<double>(size()));
    field("slow_down", filter.slow_down());
    field("uncertainty", filter.uncertainty());
    field("noise", filter.noise());
    field("expected_ms", s.forecast.expected_ms(s.level));
    field("share_in_time", s.forecast.share_in_time(s.level));
    field("plans", static_cast<double>(plans_));
  }

  /// All indices and figures are within bounds.
  bool valid() const noexcept {
    for (const slot& s : members_) {
      if (!s.here) continue;
      if (!s.forecast.valid()) return false;
      const std::size_t n = s.forecast.levels().size();
      if (s.level >= n || s.adopted >= n || !(s.weight > 0 && std::isfinite(s.weight))) return false;
      if (s.first != member_options::by_forecast && s.first >= n) return false;
    }
    for (const auto& row : influence_)
      for (const gain& g : row)
        if (!(g.value >= 0 && g.value <= 1 && g.variance >= 0 && g.variance < 10)) return false;
    return lesson_.of < most_members && raise_.of < most_members;
  }
  /// After somebody died in the middle of a call: members whose figures are sound stay and keep their levels, all else
  /// is learnt anew.
  void repair(const coordination_options& options = {}) noexcept {
    const std::array<slot, most_members> old = members_;
    *this = {};
    options_ = options;
    for (std::size_t m = 0; m < most_members; ++m) {
      const slot& s = old[m];
      if (!s.here || !s.forecast.valid() || s.level >= s.forecast.levels().size()) continue;
      if (!(s.weight > 0 && std::isfinite(s.weight))) continue;
      slot& sound = members_[m];
      sound.forecast = member_forecast(s.forecast.levels(), options.filter);
      sound.weight = s.weight;
      sound.level = sound.adopted = sound.first = s.level;
      sound.here = 1;
      sound.open_all(options.closed_first);
    }
  }

protected:
  using flag = std::uint8_t;
  struct closing {
    std::uint64_t until = 0; // image of the member
    std::size_t length = 0;  // of the next closing
    std::size_t by = 0;      // who missed
    double slow_down = 0;    // of that member before the raise, logarithm: closed unless things are better now
  };
  struct slot {
    void open_all(std::size_t length) noexcept {
      for (closing& c : closed) c = {.until = 0, .length = length, .by = 0, .slow_down = 0};
    }
    member_forecast forecast;
    target wanted;
    double weight = 1;
    std::size_t first = member_options::by_forecast;
    std::size_t level = 0, adopted = 0; // ordered, and what the last decision gave out
    std::uint64_t images = 0, seen_at = 0, lowered_at = 0;
    std::uint64_t began = 0;                      // epoch in which its last image began
    std::size_t since_change = 0, since_plan = 0; // its images begun after the last adoption; seen after the last plan
    std::uint64_t backoff_at = 0;                 // image of the last raise after which the device got slower at once
    std::size_t raise_backoff = 1;                // for how many images such a raise was closed
    reason why = reason::start, changed_why = reason::start;
    flag here = 0, started = 0, fresh = 0, unattainable = 0, changed_by_plan = 0;
    std::array<closing, member_forecast::most_levels> closed{};
  };
  struct gain { // d log(slow-down of one) / d log(latency of the other)
    double value = 0.5, variance = 0.35 * 0.35;
    double deviation() const noexcept { return std::sqrt(variance); }
    double most() const noexcept { return std::min(1.0, value + std::max(deviation(), 0.1)); }
  };
  struct lesson { // one member has changed its level: what do the others' slow-downs do?
    std::size_t of = 0;
    double change = 0; // of its latency, logarithm
    std::array<double, most_members> before{};
    std::array<flag, most_members> open{};
  };
  struct raised { // the last raise, as long as nothing else was changed
    std::size_t of = 0, from = 0, to = 0;
    std::uint64_t at = 0; // image of that member
    std::array<double, most_members> slow_down{};
    flag valid = 0;
  };
  struct plan {
    std::array<std::size_t, most_members> level{};
    std::array<double, most_members> shift{}; // of the slow-downs, logarithm
  };

  std::size_t count(std::size_t m) const noexcept { return members_[m].forecast.levels().size(); }
  bool active(std::size_t m) const noexcept {
    const slot& s = members_[m];
    return s.here && s.started && images_ - s.seen_at <= options_.idle_after;
  }
  /// Whether `is(i)` holds for some member that is heard.
  template <class Is>
  bool any_active(Is is) const noexcept {
    for (std::size_t i = 0; i < most_members; ++i)
      if (active(i) && is(i)) return true;
    return false;
  }
  bool knows(std::size_t m) const noexcept { return members_[m].since_change >= options_.evidence; }
  bool misses(std::size_t m) const noexcept { return members_[m].forecast.room(members_[m].level, true) < 0; }
  /// Of its present level, as a logarithm.
  double slow_down(std::size_t m) const noexcept { return members_[m].forecast.filter().log_factor(members_[m].level); }
  double margin(std::size_t m) const noexcept {
    return std::max(options_.raise_margin, options_.raise_noise * members_[m].forecast.filter().noise());
  }
  void aim(slot& s) noexcept {
    double share = s.wanted.percentile;
    if (s.unattainable) share = std::min(share, std::max(0.5, s.forecast.share_in_time(0) - 0.01));
    s.forecast.aim(s.wanted.latency_ms, share, options_.keep_share);
  }

  /// The lowest level with the wanted top-1, and the highest one that spares enough energy.
  std::size_t floor_of(std::size_t m) const noexcept {
    const auto levels = members_[m].forecast.levels();
    std::size_t l = 0;
    while (l + 1 < levels.size() && levels[l].top1 < members_[m].wanted.min_top1) ++l;
    return l;
  }
  std::size_t ceiling_of(std::size_t m) const noexcept {
    const slot& s = members_[m];
    const auto levels = s.forecast.levels();
    const std::size_t low = floor_of(m);
    if (s.wanted.latency_ms == target::none && s.wanted.min_top1 > 0) return low; // the quickest that is good enough
    std::size_t l = levels.size() - 1;
    if (s.wanted.energy_mj != target::none)
      while (l > low && levels[l].energy_mj * s.forecast.filter().slow_down() > s.wanted.energy_mj) --l;
    return l;
  }
  bool closed(std::size_t m, std::size_t level) const noexcept {
    const closing& c = members_[m].closed[level];
    if (members_[m].images >= c.until) return false;
    return !here(c.by) || slow_down(c.by) > c.slow_down - 2 * margin(c.by);
  }

  plan present() const noexcept {
    plan p;
    for (std::size_t i = 0; i < most_members; ++i) p.level[i] = members_[i].level;
    return p;
  }
  /// Room of member i under a plan.
  double room(const plan& p, std::size_t i, bool present) const noexcept {
    return members_[i].forecast.room(p.level[i], present && p.level[i] == members_[i].level) - p.shift[i];
  }
  /// Moves member j of a plan to `level`; `belief(i)` says how much of the change reaches member i.
  template <class Belief>
  void shift(plan& p, std::size_t j, std::size_t level, Belief belief) const noexcept {
    const double change = members_[j].forecast.log_ratio(p.level[j], level);
    p.level[j] = level;
    for (std::size_t i = 0; i < most_members; ++i)
      if (i != j && active(i)) {
        p.shift[i] += belief(i) * change;
        p.shift[j] += belief(i) * influence_[j][i].value * change; // and back: a slower neighbour is longer in the way
      }
  }
  bool in_need(const plan& p) const noexcept {
    return any_active([&](std::size_t i) { return in_need(p, i); });
  }
  bool in_need(const plan& p, std::size_t i) const noexcept { return active(i) && knows(i) && room(p, i, true) < 0; }
  /// All members but one have room under a plan, with a margin.
  bool bearable(const plan& p, std::size_t but = most_members) const noexcept {
    return !any_active([&](std::size_t i) { return i != but && room(p, i, false) < margin(i); });
  }
  bool nobody_lower() const noexcept {
    return !any_active([&](std::size_t j) { return members_[j].level > (misses(j) ? 0 : floor_of(j)); });
  }

  coordination_options options_;
  std::array<slot, most_members> members_{};
  std::array<std::array<gain, most_members>, most_members> influence_{}; // [on][of]
  lesson lesson_;
  raised raise_;
  std::uint64_t images_ = 0, epoch_ = 1, plans_ = 0;
  std::size_t attempts_ = 0, asked_ = 0;
};

} // namespace detail
} // namespace dynofa::runtime
