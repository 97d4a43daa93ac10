#pragma once
#include "dynofa/runtime/member_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

namespace dynofa::runtime {

/// The levels of several dynamic networks on one device, found together: a pure state machine without clock, thread or
/// allocation, trivially copyable. The paper shows such a case (Fig. 8) but gives no rule. This one is ours:
///
/// 1. Each member has a forecast (`member_forecast`). It *misses* if the forecast of its present level does.
/// 2. On a miss one member goes down one level: the one that costs the least weighted top-1 per millisecond that the
///    members in need gain. In a tie (10 %) it is the one at the highest level, of those the one that was lowered
///    longest ago. So Fig. 8's pair goes A, B, A, B …
/// 3. Then there is no change before the next evidence: the change has been adopted, and three images have shown
///    its effect. If one step cannot be enough, even if it helped all as much as it can, the further steps of the same
///    rule are taken at once. What a change of one member does to another is learnt (`influence`); the second attempt
///    believes what was learnt, from the third on members in need help themselves as far as they can.
/// 4. A member whose own target has changed is itself the cause: it goes to its level at once, down as far as its own
///    forecast says, up only as far as the others have room.
/// 5. Up goes one member at a time, and only if all members have room with a margin, after the raise as well: the one
///    that wins the most weighted top-1 per millisecond. It may take as many levels as this rule would give it by
///    turns.
/// 6. A raise after which a member misses, though the device got no slower otherwise, is taken back, and closed for
///    ever longer: no oscillation.
///    The same, for 64 images at first, if the device does get slower within 64 images of the raise: it comes and goes.
/// 7. A least top-1 gives way to the member's own latency only. The deadline of a single image lowers the level for
///    this image, nothing else.
///
/// Fair: nobody is lowered twice in a row while another's step costs the same, and as a front's top-1 per millisecond
/// falls with its levels, whoever stands high goes first. Cost: `observe` and `decide` together some 2 µs with two
/// members of ten levels; a change costs more, with the number of members squared.
class coordination_rule : public detail::member_table {
public:
  using member_table::member_table;

  /// Takes a member in and returns its number. Throws errc::invalid_argument for a bad front or option and
  /// errc::infeasible if there are 16 members already.
  std::size_t join(std::span<const level_figures> levels, const member_options& how = {}) {
    const member_forecast forecast(levels, options_.filter);
    require_argument(how.weight > 0 && std::isfinite(how.weight), "member weight", "a finite number above 0",
                     how.weight);
    require_argument(how.first == member_options::by_forecast || how.first < levels.size(), "first level",
                     text("a level below ", levels.size()), how.first);
    std::size_t m = 0;
    while (here(m)) ++m;
    if (m == most_members)
      throw error(errc::infeasible, "coordination", text("at most ", most_members, " members"), "one more");
    double sum = 0;
    std::size_t known = 0;
    for (const slot& s : members_)
      if (s.here && s.images > 0) sum += s.forecast.filter().log_slow_down(), ++known;
    members_[m] = slot{};
    slot& s = members_[m];
    s.forecast = forecast;
    if (known > 0) s.forecast.expect(sum / static_cast<double>(known), 0); // the device is known to the others
    s.weight = how.weight;
    s.first = how.first;
    s.here = true;
    s.seen_at = images_;
    for (closing& c : s.closed) c.length = options_.closed_first;
    for (std::size_t i = 0; i < most_members; ++i) influence_[i][m] = influence_[m][i] = {};
    conditions_changed(m);
    return m;
  }

  /// Gives the place of member `m` up; for the others that is a change. Does nothing for who is not there.
  void leave(std::size_t m) noexcept {
    if (!here(m)) return;
    members_[m].here = false;
    conditions_changed(m);
  }

  /// One image of member `m`.
  void observe(std::size_t m, std::size_t level, double latency_ms) noexcept {
    if (!here(m) || level >= count(m) || !(latency_ms > 0) || !std::isfinite(latency_ms)) return;
    slot& s = members_[m];
    ++images_, ++s.images, ++s.since_plan;
    s.seen_at = images_;
    s.fresh = true;
    if (s.forecast.observe(level, latency_ms) == slow_down_verdict::step) attempts_ = 0, lesson_.open[m] = false;
    if (s.unattainable && s.forecast.share_in_time(level) >= s.wanted.percentile) s.unattainable = false, aim(s);
    if (s.began == epoch_) ++s.since_change;
    if (lesson_.open[m] && s.since_change == options_.evidence + 1) learn(m);
  }

  /// The level that the next image of member `m` runs on.
  std::size_t decide(std::size_t m, const target& wanted) noexcept {
    if (!here(m)) return 0;
    slot& s = members_[m];
    target t = wanted;
    t.deadline_ms = target::none;
    const bool changed = !s.started || t != s.wanted;
    if (changed) {
      s.wanted = t;
      s.unattainable = false;
      aim(s);
      for (slot& other : members_) other.open_all(options_.closed_first);
      const std::size_t before = s.level;
      s.level = own_level(m);
      s.why = !s.started ? reason::start : s.level != before ? reason::target_changed : reason::hold;
      if (!s.started) s.adopted = s.level;
      s.started = true;
      raise_.valid = false;
      attempts_ = asked_ = 0;
    } else if (s.fresh) {
      s.why = reason::hold;
      move(m);
    }
    s.fresh = false;
    if (s.changed_by_plan) s.why = s.changed_why, s.changed_by_plan = false;
    if (s.level != s.adopted) adopt(m);
    s.began = epoch_;
    if (wanted.deadline_ms >= wanted.latency_ms) return s.level;
    std::size_t level = s.level; // for this image only
    const double limit = wanted.deadline_ms > 0 ? std::log(wanted.deadline_ms) : -target::none;
    while (level > 0 && s.forecast.room_under(limit, level) < 0) --level;
    return level;
  }

private:
  /// A member came or went: the others' next images decide what that does.
  void conditions_changed(std::size_t m) noexcept {
    for (std::size_t i = 0; i < most_members; ++i)
      if (i != m && members_[i].here) {
        members_[i].forecast.expect(0, 0.2);
        members_[i].open_all(options_.closed_first);
        if (members_[i].unattainable) members_[i].unattainable = false, aim(members_[i]);
      }
    attempts_ = asked_ = 0;
    raise_.valid = false;
    lesson_ = {};
    next_epoch();
  }
  void next_epoch() noexcept {
    ++epoch_;
    for (slot& s : members_) s.since_change = 0;
  }

  /// Where a member goes on its own account: for a target of its own that has changed, or at its start.
  std::size_t own_level(std::size_t m) const noexcept {
    const slot& s = members_[m];
    if (!s.started && s.first != member_options::by_forecast) return s.first;
    const std::size_t low = floor_of(m), high = ceiling_of(m);
    std::size_t l = high;
    while (l > 0 && s.forecast.room(l) < 0) --l;
    const auto others_bear = [&](std::size_t level) {
      plan p = present();
      shift_most(p, m, level);
      return bearable(p, m);
    };
    while (s.started && l > std::max(s.level, low) && !others_bear(l)) --l;
    return l;
  }
  /// Moves a member of a plan, with the most that others may feel of it.
  void shift_most(plan& p, std::size_t j, std::size_t level) const noexcept {
    shift(p, j, level, [&](std::size_t i) { return influence_[i][j].most(); });
  }

  void move(std::size_t m) noexcept {
    const auto waiting_for = [&](std::size_t i) { return members_[i].level != members_[i].adopted && i != m; };
    if (members_[m].since_plan < patience && any_active(waiting_for)) return;
    if (any_active([&](std::size_t i) { return knows(i) && misses(i); })) {
      asked_ = 0;
      if (!take_back()) lower();
    } else if (!any_active([&](std::size_t i) { return !knows(i); })) {
      attempts_ = 0;
      raise();
    }
  }

  /// What a member believes of another's steps down: all that may be at first, then what was learnt, then less.
  double belief(std::size_t i, std::size_t j) const noexcept {
    const gain& g = influence_[i][j];
    if (attempts_ == 0) return 1;
    return std::max(0.05, g.value * std::pow(0.5, static_cast<double>(attempts_ - 1)));
  }
  void lower() noexcept {
    plan p = present();
    while (in_need(p)) {
      const std::size_t j = cheapest(p);
      if (j == most_members) break;
      shift(p, j, p.level[j] - 1, [&](std::size_t i) { return belief(i, j); });
    }
    if (p.level != present().level)
      carry_out(p, reason::too_slow);
    else
      give_up();
    ++attempts_;
  }
  /// The member whose next step down costs the least weighted top-1 per ms that those in need gain; `most_members` if
  /// nobody can go lower.
  std::size_t cheapest(const plan& p) const noexcept {
    std::array<double, most_members> cost{};
    double least = target::none;
    const bool helps_itself = attempts_ >= 2;
    for (int pass = helps_itself ? 0 : 1; pass < 2 && least == target::none; ++pass)
      for (std::size_t j = 0; j < most_members; ++j) {
        cost[j] = target::none;
        const bool needy = in_need(p, j);
        if (!active(j) || p.level[j] <= (needy ? 0 : floor_of(j)) || (pass == 0 && !needy)) continue;
        const member_forecast& f = members_[j].forecast;
        const double change = f.log_ratio(p.level[j] - 1, p.level[j]);
        double gained = 0;
        for (std::size_t i = 0; i < most_members; ++i)
          if (in_need(p, i)) {
            const double share = i == j ? change : belief(i, j) * change;
            gained += members_[i].forecast.expected_ms(p.level[i]) * -std::expm1(-share);
          }
        if (!(gained > 0)) continue;
        cost[j] = members_[j].weight * (f.levels()[p.level[j]].top1 - f.levels()[p.level[j] - 1].top1) / gained;
        least = std::min(least, cost[j]);
      }
    std::size_t chosen = most_members;
    if (least == target::none) return chosen;
    const auto height = [&](std::size_t j) {
      return static_cast<double>(p.level[j] + 1) / static_cast<double>(count(j));
    };
    const auto lowered = [&](std::size_t j) { // within this plan: now
      return p.level[j] != members_[j].level ? plans_ + 1 : members_[j].lowered_at;
    };
    for (std::size_t j = 0; j < most_members; ++j) {
      if (!(cost[j] <= least * (1 + options_.tie))) continue;
      if (chosen == most_members || height(j) > height(chosen) ||
          (height(j) == height(chosen) && lowered(j) < lowered(chosen)))
        chosen = j;
    }
    return chosen;
  }
  /// Nobody can go lower, and still somebody misses. If most of its images are in time on the quickest level, outliers
  /// are the reason, and that share is what can be had.
  void give_up() noexcept {
    for (std::size_t i = 0; i < most_members; ++i) {
      slot& s = members_[i];
      if (!active(i) || !knows(i) || !misses(i) || s.unattainable || s.forecast.share_in_time(0) < 0.5) continue;
      s.unattainable = true;
      aim(s);
    }
  }

  bool take_back() noexcept {
    if (!raise_.valid) return false;
    const raised r = raise_;
    raise_.valid = false;
    slot& s = members_[r.of];
    if (!active(r.of) || s.level != r.to || r.from >= r.to) return false;
    plan p = present();
    std::size_t i = 0; // who misses
    while (i < most_members && !in_need(p, i)) ++i;
    if (i == most_members) return false;
    const auto close = [&](std::size_t level, std::size_t images) {
      s.closed[level] = {s.images + images, s.closed[level].length, i, r.slow_down[i]};
    };
    const double change = i == r.of ? 0 : s.forecast.log_ratio(r.from, r.to);
    if (slow_down(i) > r.slow_down[i] + change + 2 * margin(i)) { // the device got slower …
      if (s.images - r.at >= backoff_window) return false;
      s.raise_backoff = s.images - s.backoff_at < 8 * s.raise_backoff
                            ? std::min(2 * s.raise_backoff, options_.closed_most)
                            : backoff_window; // … right after: it may come and go
      s.backoff_at = s.images;
      close(r.from + 1, s.raise_backoff);
      return false;
    }
    const auto value = [&](std::size_t k) { return influence_[k][r.of].value; };
    do shift(p, r.of, p.level[r.of] - 1, value);
    while (p.level[r.of] > r.from && room(p, i, false) < 0);
    std::size_t& length = s.closed[p.level[r.of] + 1].length;
    close(p.level[r.of] + 1, length);
    length = std::min(2 * length, options_.closed_most);
    carry_out(p, reason::too_slow);
    return true;
  }

  void raise() noexcept {
    plan p = present();
    std::size_t first = most_members; // whose turn it is
    while (true) {
      double best = 0;
      std::size_t chosen = most_members;
      plan after = p;
      for (std::size_t j = 0; j < most_members; ++j) {
        if (!active(j) || p.level[j] >= ceiling_of(j) || closed(j, p.level[j] + 1)) continue;
        const auto levels = members_[j].forecast.levels();
        const auto &low = levels[p.level[j]], &high = levels[p.level[j] + 1];
        const double won = members_[j].weight * (high.top1 - low.top1) / (high.latency_ms - low.latency_ms);
        if (won <= best) continue;
        plan tried = p;
        shift_most(tried, j, p.level[j] + 1);
        if (bearable(tried)) best = won, chosen = j, after = tried;
      }
      if (chosen == most_members) break;
      if (first == most_members) first = chosen;
      p = after;
    }
    std::size_t members = 0;
    for (std::size_t i = 0; i < most_members; ++i) members += active(i);
    asked_ = first == most_members ? 0 : asked_ + 1;
    if (first == most_members || asked_ < options_.raise_after * members) return;
    asked_ = 0;
    plan only = present();
    only.level[first] = p.level[first];
    raise_ = {.of = first,
              .from = members_[first].level,
              .to = p.level[first],
              .at = members_[first].images,
              .slow_down = {},
              .valid = 1};
    for (std::size_t i = 0; i < most_members; ++i) raise_.slow_down[i] = members_[i].here ? slow_down(i) : 0;
    carry_out(only, reason::room);
  }

  void carry_out(const plan& p, reason why) noexcept {
    ++plans_;
    for (std::size_t i = 0; i < most_members; ++i) {
      slot& s = members_[i];
      s.since_plan = 0;
      if (!s.here || p.level[i] == s.level) continue;
      if (p.level[i] < s.level) s.lowered_at = plans_, raise_.valid = false;
      s.level = p.level[i];
      s.changed_by_plan = true;
      s.changed_why = why;
    }
  }

  /// Member m begins with another level: the others will feel it.
  void adopt(std::size_t m) noexcept {
    slot& s = members_[m];
    const double change = s.forecast.log_ratio(s.adopted, s.level);
    s.adopted = s.level;
    const bool alone =
        !any_active([&](std::size_t i) { return members_[i].level != members_[i].adopted || (i != m && !knows(i)); });
    lesson_ = {.of = m, .change = change, .before = {}, .open = {}};
    for (std::size_t i = 0; i < most_members; ++i) {
      if (i == m || !active(i)) continue;
      member_forecast& f = members_[i].forecast;
      lesson_.before[i] = slow_down(i);
      lesson_.open[i] = alone;
      const gain& g = influence_[i][m];
      f.expect(g.value * change, std::max(g.deviation(), 0.2) * std::abs(change));
    }
    next_epoch();
  }
  void learn(std::size_t i) noexcept {
    lesson_.open[i] = false;
    const auto& filter = members_[i].forecast.filter();
    gain& g = influence_[i][lesson_.of];
    const double x = lesson_.change, y = slow_down(i) - lesson_.before[i] - g.value * x;
    const double noise = filter.noise() * filter.noise() / 2 + 1e-4; // of two estimates, and a drift of 1 %
    g.variance = std::min(0.35 * 0.35, g.variance + 0.001);          // what was learnt fades
    const double k = g.variance * x / (g.variance * x * x + noise);
    g.value = std::clamp(g.value + k * y, 0.0, 1.0);
    g.variance *= 1 - k * x;
  }

  static constexpr std::size_t backoff_window = 64; // a device that gets slower this soon after a raise may do so again
  static constexpr std::size_t patience = 8;        // images for which a member waits for another's adoption
};
static_assert(std::is_trivially_copyable_v<coordination_rule>);

} // namespace dynofa::runtime
