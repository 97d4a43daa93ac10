#pragma once
#include "dynofa/runtime/policy.hpp"
#include "dynofa/simulate/trace.hpp"

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <utility>

namespace dynofa::runtime {

/// How a policy, the oracle or a fixed level did on one trace or several.
struct replay_figures {
  std::size_t images = 0;       ///< replayed
  std::size_t late = 0;         ///< above the limit
  std::size_t unattainable = 0; ///< images that are late on every level; they are in `late` as well
  std::size_t switches = 0;     ///< images that ran on another level than the one before
  std::size_t longest_late = 0; ///< most images in a row that were late though some level would not have been
  double top1_sum = 0;          ///< percent, over all images

  /// 0 … 1.
  double late_share() const { return images == 0 ? 0 : static_cast<double>(late) / static_cast<double>(images); }
  double mean_top1() const { return images == 0 ? 0 : top1_sum / static_cast<double>(images); } ///< percent
  /// Per 1000 images.
  double switches_per_1000() const {
    return images == 0 ? 0 : 1000.0 * static_cast<double>(switches) / static_cast<double>(images);
  }
  /// Joins the figures of two traces; `longest_late` is the longer one.
  replay_figures& operator+=(const replay_figures& o) {
    images += o.images, late += o.late, unattainable += o.unattainable, switches += o.switches, top1_sum += o.top1_sum;
    longest_late = std::max(longest_late, o.longest_late);
    return *this;
  }
  friend bool operator==(const replay_figures&, const replay_figures&) = default;
};

/// One image of a replay, for whoever draws or writes it.
struct replayed_image {
  std::size_t image = 0, level = 0;              ///< its number in the trace, and the level it ran on
  double latency_ms = 0, limit_ms = 0, top1 = 0; ///< limit of its target; top-1 of the level in percent
  reason why = reason::start;                    ///< as the policy said
};

namespace detail {

/// Runs `choose(image, target) → level` and `seen(replayed_image)` over a trace and counts.
template <class Choose, class Seen>
replay_figures replay_with(const trace& t, Choose&& choose, Seen&& seen) {
  replay_figures f;
  std::size_t before = 0, change = 0, late_run = 0;
  for (std::size_t i = 0; i < t.images(); ++i) {
    while (change + 1 < t.targets.size() && t.targets[change + 1].from <= i) ++change;
    const target& wanted = t.targets[change].wanted;
    const double limit = wanted.limit_ms();
    const std::size_t level = choose(i, wanted);
    const double latency = t.latency_ms(level, i);
    bool unattainable = true;
    for (std::size_t l = 0; l < t.levels.size(); ++l) unattainable &= t.latency_ms(l, i) > limit;
    f.late += latency > limit;
    f.unattainable += unattainable;
    late_run = latency > limit && !unattainable ? late_run + 1 : 0;
    f.longest_late = std::max(f.longest_late, late_run);
    f.switches += i > 0 && level != before;
    f.top1_sum += t.levels[level].top1;
    ++f.images;
    before = level;
    seen(i, level, latency, limit);
  }
  return f;
}

} // namespace detail

/// What `policy` does on a trace, with a call of `seen(replayed_image)` per image.
template <runtime_policy Policy, class Seen>
replay_figures replay(const trace& t, Policy policy, Seen&& seen) {
  return detail::replay_with(
      t, [&](std::size_t, const target& wanted) { return policy.decide(wanted); },
      [&](std::size_t image, std::size_t level, double latency, double limit) {
        seen(replayed_image{image, level, latency, limit, t.levels[level].top1, policy.why()});
        policy.observe(level, latency);
      });
}
/// The same without a look at single images.
template <runtime_policy Policy>
replay_figures replay(const trace& t, Policy policy) {
  return replay(t, std::move(policy), [](const replayed_image&) {});
}

/// One level all the time.
inline replay_figures replay_level(const trace& t, std::size_t level) {
  return detail::replay_with(
      t, [&](std::size_t, const target&) { return level; }, [](auto...) {});
}

/// An oracle that knows every latency beforehand: the most accurate level in time; where none is, the most accurate of
/// all, as it is late either way. No policy has fewer late images, and none with as few has more top-1.
inline replay_figures replay_oracle(const trace& t) {
  return detail::replay_with(
      t,
      [&](std::size_t i, const target& wanted) {
        for (std::size_t l = t.levels.size(); l-- > 0;)
          if (t.latency_ms(l, i) <= wanted.limit_ms()) return l;
        return t.levels.size() - 1;
      },
      [](auto...) {});
}

/// The most accurate single level that is late no more often than `late` images, seen in hindsight; the quickest level
/// if none is so rarely late.
inline replay_figures best_static_level(const trace& t, std::size_t late) {
  for (std::size_t l = t.levels.size(); l-- > 1;)
    if (const replay_figures f = replay_level(t, l); f.late <= late) return f;
  return replay_level(t, 0);
}

/// A replay as CSV: image, level, latency_ms, limit_ms, top1, reason.
template <runtime_policy Policy>
replay_figures write_replay_csv(std::ostream& out, const trace& t, Policy policy) {
  out << "image,level,latency_ms,limit_ms,top1,reason\n";
  return replay(t, std::move(policy), [&](const replayed_image& r) {
    out << text(r.image, ',', r.level, ',', r.latency_ms, ',', r.limit_ms, ',', r.top1, ',', name(r.why), '\n');
  });
}

} // namespace dynofa::runtime
