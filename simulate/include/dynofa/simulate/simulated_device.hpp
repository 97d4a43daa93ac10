#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/runtime/policy.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dynofa::runtime {

/// A dynamic network on a simulated device, with a camera of its own.
struct device_member {
  std::vector<level_figures> levels; ///< a front
  double period_ms = 50; ///< an image comes every so often; one that comes while another is computed waits for it
  double weight = 1;     ///< priority
  double from_ms = 0, until_ms = target::none; ///< it is there meanwhile
  /// From `from_ms` on, `wanted` holds; the first entry has from_ms = 0.
  struct change {
    double from_ms = 0; ///< milliseconds of the run
    target wanted;      ///< from then on
  };
  std::vector<change> targets; ///< ascending in time
  std::vector<double> own;     ///< one factor per level that the table does not know; empty: 1

  /// What is wanted at a moment of the run.
  const target& wanted(double now_ms) const {
    std::size_t i = 0;
    while (i + 1 < targets.size() && targets[i + 1].from_ms <= now_ms) ++i;
    return targets[i].wanted;
  }
  bool there(double now_ms) const { return from_ms <= now_ms && now_ms < until_ms; } ///< at a moment of the run
};

/// A device that several networks share. An image of member m on level l takes
///
///     latency(m, l) · own(m, l) · slow_down(now) · (1 + contention · Σ load of the others) · noise,
///
/// where a member's load is the share of time that it computes: its last latency over its period, at most 1. Model
/// assumptions of ours: all members press each other alike; noise is log-normal, some images are outliers.
struct simulated_device {
  std::string name;                   ///< for tables
  std::vector<device_member> members; ///< numbered as here
  /// A change of the whole device.
  struct step {
    double from_ms = 0, slow_down = 1; ///< from when, and the factor on every latency
  };
  std::vector<step> slow_downs = {{}}; ///< the first has from_ms = 0
  double contention = 0.8;             ///< how much the load of the others slows one down; 0: not at all
  double noise = 0.02, outliers = 0;   ///< deviation of the logarithm; share of images that take 1.2 to 2.5 times
  double duration_ms = 60000;          ///< of the run
  std::uint64_t seed = 1;              ///< of noise and outliers

  /// The factor of the whole device at a moment of the run.
  double slow_down(double now_ms) const {
    std::size_t i = 0;
    while (i + 1 < slow_downs.size() && slow_downs[i + 1].from_ms <= now_ms) ++i;
    return slow_downs[i].slow_down;
  }
  /// What an image takes without others, slow-down and noise.
  double alone_ms(std::size_t m, std::size_t level) const {
    const device_member& d = members[m];
    return d.levels[level].latency_ms * (d.own.empty() ? 1 : d.own[level]);
  }
  /// Share of time that a member computes, 0 … 1.
  double load(std::size_t m, double latency_ms) const { return std::min(1.0, latency_ms / members[m].period_ms); }

  /// Everybody's latency without noise, once it no longer changes, if each runs on its level; 0 for who is not there.
  std::vector<double> settled_ms(const std::vector<std::size_t>& levels, double now_ms) const {
    std::vector<double> ms(members.size(), 0);
    for (int round = 0; round < 200; ++round) { // grows with every round, and is bounded, as loads are
      double moved = 0;
      std::vector<double> next(ms.size(), 0);
      for (std::size_t m = 0; m < ms.size(); ++m) {
        if (!members[m].there(now_ms)) continue;
        double others = 0;
        for (std::size_t i = 0; i < ms.size(); ++i)
          if (i != m) others += load(i, ms[i]);
        next[m] = alone_ms(m, levels[m]) * slow_down(now_ms) * (1 + contention * others);
        moved = std::max(moved, next[m] / std::max(ms[m], 1e-9) - 1);
      }
      ms = std::move(next);
      if (moved < 1e-6) break;
    }
    return ms;
  }
};

/// One image of a replay on a shared device.
struct shared_image {
  /// Milliseconds: when it began, what it took, the same without noise, what was allowed.
  double from_ms = 0, latency_ms = 0, quiet_ms = 0, limit_ms = 0; ///< quiet: without its noise
  std::size_t member = 0, level = 0;                              ///< whose image, and the level it ran on
  double top1 = 0;                                                ///< of the level, in percent
  reason why = reason::start;                                     ///< as the control said
};

/// Runs a device: members arrive, run image after image, and leave. `Control` offers `arrive(member)`, `leave(member)`,
/// `decide(member, target) → level`, `observe(member, level, ms)` and `why(member)`; `seen(shared_image)` is called at
/// the end of each image. Bit for bit the same for the same arguments.
template <class Control, class Seen>
void replay(const simulated_device& d, Control&& control, Seen&& seen) {
  struct runner {
    random_stream random;
    double next_ms; // when its image begins, or the one that runs ends
    bool running = false, arrived = false, left = false;
    double load = 0;
    shared_image image;
  };
  std::vector<runner> all;
  for (std::size_t m = 0; m < d.members.size(); ++m)
    all.push_back(
        {random_stream(d.seed, text("simulated_device/", m)), d.members[m].from_ms, false, false, false, 0, {}});
  while (true) {
    const auto r = std::min_element(all.begin(), all.end(), [](const runner& a, const runner& b) {
      return a.left != b.left ? b.left : a.next_ms < b.next_ms;
    });
    if (r == all.end() || r->left || r->next_ms >= d.duration_ms) return;
    const std::size_t m = static_cast<std::size_t>(r - all.begin());
    const device_member& who = d.members[m];
    const double now = r->next_ms;
    if (r->running) {
      r->running = false;
      control.observe(m, r->image.level, r->image.latency_ms);
      seen(std::as_const(r->image));
      r->next_ms = std::max(now, r->image.from_ms + who.period_ms);
      continue;
    }
    if (now >= who.until_ms) {
      r->left = true;
      r->load = 0;
      control.leave(m);
      continue;
    }
    if (!r->arrived) control.arrive(m);
    r->arrived = true;
    const target& wanted = who.wanted(now);
    const std::size_t level = control.decide(m, wanted);
    double others = 0;
    for (const runner& o : all)
      if (&o != &*r) others += o.load;
    const double quiet = d.alone_ms(m, level) * d.slow_down(now) * (1 + d.contention * others);
    double noise = std::exp(d.noise * r->random.normal());
    if (r->random.chance(d.outliers)) noise *= 1.2 + 1.3 * r->random.uniform();
    r->image = {now, quiet * noise, quiet, wanted.limit_ms(), m, level, who.levels[level].top1, control.why(m)};
    r->load = d.load(m, quiet);
    r->running = true;
    r->next_ms = now + r->image.latency_ms;
  }
}

/// Each member with a policy of its own that knows nothing of the others: what coordination is compared with.
template <runtime_policy Policy>
class uncoordinated {
public:
  /// One policy per member.
  explicit uncoordinated(const simulated_device& d) {
    for (const device_member& m : d.members) policies_.emplace_back(m.levels);
  }
  ///@{
  /// What `replay` asks of a control.
  void arrive(std::size_t /*member*/) {}
  void leave(std::size_t /*member*/) {}
  std::size_t decide(std::size_t m, const target& t) { return policies_[m].decide(t); }
  void observe(std::size_t m, std::size_t level, double ms) { policies_[m].observe(level, ms); }
  reason why(std::size_t m) const { return policies_[m].why(); }
  ///@}

private:
  std::vector<Policy> policies_;
};

/// What an oracle that knows the device would run at a moment.
struct shared_choice {
  std::vector<std::size_t> levels; ///< by member; 0 for who is not there
  double top1_sum = 0;             ///< of those who are there, weighted
  bool feasible = false;           ///< everybody in time; otherwise all are on their quickest level
};

/// Tries every tuple of levels: the most weighted top-1 among those where everybody's settled latency, `spare` (a
/// factor, as 1.03 for noise) times, is within its limit. Throws errc::invalid_argument for more than a million tuples.
inline shared_choice shared_oracle(const simulated_device& d, double now_ms, double spare = 1) {
  double tuples = 1;
  for (const device_member& m : d.members) tuples *= static_cast<double>(m.levels.size());
  if (tuples > 1e6) throw error(errc::invalid_argument, "shared oracle", "at most a million tuples", text(tuples));
  const std::size_t n = d.members.size();
  const auto worth = [&](const std::vector<std::size_t>& levels) {
    double sum = 0;
    for (std::size_t m = 0; m < n; ++m)
      if (d.members[m].there(now_ms)) sum += d.members[m].weight * d.members[m].levels[levels[m]].top1;
    return sum;
  };
  shared_choice best{std::vector<std::size_t>(n, 0), 0, false};
  best.top1_sum = worth(best.levels);
  std::vector<std::size_t> levels(n, 0);
  while (true) {
    if (const double sum = worth(levels); sum > best.top1_sum || !best.feasible) {
      const std::vector<double> ms = d.settled_ms(levels, now_ms);
      bool fits = true;
      for (std::size_t m = 0; m < n; ++m)
        fits &= !d.members[m].there(now_ms) || ms[m] * spare <= d.members[m].wanted(now_ms).limit_ms();
      if (fits) best = {levels, sum, true};
    }
    std::size_t m = 0;
    while (m < n && (!d.members[m].there(now_ms) || ++levels[m] == d.members[m].levels.size())) levels[m++] = 0;
    if (m == n) return best;
  }
}

/// Two networks (or more) on a device with a story drawn from a seed: the second arrives at 5 to 15 s, the device's
/// slow-down steps, limits change, some member leaves and is gone for the rest. Something happens every 5 to 10 s. The
/// limits are such that a quickest level can meet them at the moment of the draw, contention included, with 5 to 40 %
/// to spare, but a later step may make them unreachable: the oracle tells.
inline simulated_device generate_shared_device(std::uint64_t seed, const std::vector<level_figures>& levels,
                                               std::size_t members = 2) {
  random_stream random(seed, "simulated_device");
  const auto between = [&](double low, double high) { return low + (high - low) * random.uniform(); };
  simulated_device d;
  d.name = text("shared-", seed);
  d.seed = seed;
  d.duration_ms = 90000;
  d.contention = between(0.4, 1);
  d.noise = between(0.005, 0.03);
  d.outliers = random.chance(0.5) ? between(0, 0.01) : 0;
  for (std::size_t m = 0; m < members; ++m) {
    device_member who;
    const double speed = between(0.4, 1.2); // another family on the same device
    for (const level_figures& l : levels) {
      who.levels.push_back({l.latency_ms * speed, l.top1, l.energy_mj});
      who.own.push_back(std::exp(0.01 * random.normal()));
    }
    who.period_ms = who.levels.back().latency_ms * between(1.1, 2.5);
    who.from_ms = m == 0 ? 0 : between(5000, 15000);
    d.members.push_back(std::move(who));
  }
  const double range = levels.back().latency_ms / levels.front().latency_ms;
  std::vector<std::pair<double, int>> events; // when; what: −1 the slow-down, else whose limit
  for (double at = between(16000, 22000); at < d.duration_ms - 6000; at += between(5000, 10000))
    events.emplace_back(at,
                        random.chance(0.5) ? -1 : static_cast<int>(random.below(static_cast<std::uint32_t>(members))));
  for (const auto& [at, what] : events)
    if (what < 0) d.slow_downs.push_back({at, std::pow(range, between(0, 0.6))});
  const auto want = [&](std::size_t m, double at) {
    const std::vector<std::size_t> quickest(members, 0);
    simulated_device full = d; // as if all were there
    for (device_member& who : full.members) who.from_ms = 0;
    const double least = full.settled_ms(quickest, at)[m];
    d.members[m].targets.push_back({at, {.latency_ms = least * between(1.05, 1.4 * std::sqrt(range))}});
  };
  for (std::size_t m = 0; m < members; ++m) want(m, 0);
  for (const auto& [at, what] : events)
    if (what >= 0) want(static_cast<std::size_t>(what), at);
  if (random.chance(0.3)) d.members.back().until_ms = between(60000, 80000);
  return d;
}

} // namespace dynofa::runtime
