#pragma once
#include "dynofa/runtime/policy.hpp"

#include <vector>

namespace dynofa::runtime {

/// The level that the table offers for `t` if every latency and energy is `slow_down` times the table's; `*fits`
/// says whether latency and accuracy are met. Most accurate within the limit; without a limit the quickest level that
/// is accurate enough.
inline std::size_t best_in_table(std::span<const level_figures> levels, const target& t, double slow_down,
                                 bool* fits = nullptr) noexcept {
  const double limit = t.limit_ms();
  const bool cheapest = limit == target::none && t.min_top1 > 0;
  std::size_t in_time = 0, chosen = levels.size();
  for (std::size_t i = 0; i < levels.size() && levels[i].latency_ms * slow_down <= limit; ++i) {
    in_time = i + 1;
    if (levels[i].top1 < t.min_top1 || levels[i].energy_mj * slow_down > t.energy_mj) continue;
    if (cheapest && chosen != levels.size()) continue;
    chosen = i;
  }
  if (chosen == levels.size() && in_time > 0) { // energy gives way first: the least that is accurate enough
    for (std::size_t i = in_time; i-- > 0 && levels[i].top1 >= t.min_top1;) chosen = i;
  }
  if (fits) *fits = chosen != levels.size();
  if (chosen != levels.size()) return chosen;
  if (in_time > 0) return in_time - 1; // then accuracy: as much of it as there is time for
  return 0;                            // latency last
}

namespace detail {

/// What policies that do not look at latencies have in common.
class open_loop {
public:
  void observe(std::size_t /*level*/, double /*latency_ms*/) noexcept {}
  std::span<const level_figures> levels() const noexcept { return levels_; }
  reason why() const noexcept { return why_; }
  template <class F>
  void dump(F&& field) const {
    field("level", static_cast<double>(level_));
  }

protected:
  explicit open_loop(std::span<const level_figures> levels)
      : levels_(levels.begin(), levels.end()) {
    validate(levels);
  }
  std::size_t take(std::size_t level, bool fits) noexcept {
    why_ = !fits             ? reason::infeasible
           : !started_       ? reason::start
           : level == level_ ? reason::hold
                             : reason::target_changed;
    started_ = true;
    return level_ = level;
  }

private:
  std::vector<level_figures> levels_;
  std::size_t level_ = 0;
  reason why_ = reason::start;
  bool started_ = false;
};

} // namespace detail

/// The paper's control of a device that runs nothing else (§3.4, Fig. 6): constraints → level by the table measured at
/// design time. Open loop: does not look at latencies. Cost: one pass over the levels.
class lookup : public detail::open_loop {
public:
  static constexpr std::string_view name = "lookup"; ///< in logs

  /// Throws errc::invalid_argument unless `levels` are a front.
  explicit lookup(std::span<const level_figures> levels)
      : open_loop(levels) {}

  /// The level for target `t`: as the table says, whatever was observed.
  std::size_t decide(const target& t) noexcept {
    bool fits = false;
    const std::size_t level = best_in_table(levels(), t, 1, &fits);
    return take(level, fits);
  }
};
static_assert(runtime_policy<lookup>);

} // namespace dynofa::runtime
