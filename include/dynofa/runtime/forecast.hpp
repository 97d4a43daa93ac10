#pragma once
#include "dynofa/runtime/latency_forecast.hpp"
#include "dynofa/runtime/lookup.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

namespace dynofa::runtime {

/// On the heap, of any number of levels.
template <class T>
using growing_list = std::vector<T>;

/// How careful a forecast is. Every default is explained where it stands.
struct forecast_options {
  slow_down_options filter = {}; ///< how the slow-down is followed
  /// A higher level is taken if it would be in time even this much slower (logarithm, 0.01: 1 %) … 0.01: one step of
  /// a family is 3 % and more.
  double raise_margin = 0.01;
  /// … or this many deviations of an image's noise, whichever is more. 0.7: the estimate itself wanders by 0.2.
  double raise_noise = 0.7;
  /// The present level stays while the foreseen share of late images is above the target's by no more than this part of
  /// it. 0.3: a share of 5 % counted over 256 images is uncertain by 1.4 %, a quarter of it.
  double keep_share = 0.3;
  /// Images in a row that have to ask for the raise. 4; those that confirmed a step have asked already.
  std::size_t raise_after = 4;
  /// What a raise has to be worth: the top-1 gained, summed over the images that asked, as a share of what the family
  /// spans. So a raise over most of the family waits for 4 images, one by a fiftieth of it for 38. 0.75: beside
  /// recorded co-runners 0.5 has 0.04 % more late images and 1 has 0.01 points less top-1; alone the switches are the
  /// same.
  double raise_price = 0.75;
  /// Images for which a level stays closed after a raise to it was taken back under the same slow-down; four times as
  /// many with every failure, up to `closed_most`. 1024 and 8192: a level on the edge is tried three times in 6000
  /// images, ever more rarely.
  std::size_t closed_first = 1024, closed_most = 8192; ///< images
  /// If even the quickest level misses the percentile, the best level whose share of images in time is this close to
  /// the quickest one's is run: outliers that are late on every level are no reason to give accuracy away. 0.01.
  double hopeless_share = 0.01;
};

/// Foresees every level's latency from one slow-down factor of the processor (`slow_down_filter`) and runs the most
/// accurate level that will be in time for the wanted share of images. One image corrects the forecast of all levels,
/// so one decision replaces the single steps of `reactive`. Made for one processor; make one per processor.
///
/// Cost: about 0.2 µs for `observe` and `decide` together with 10 levels; no allocation.
class forecast {
public:
  static constexpr std::string_view name = "forecast"; ///< in logs

  /// Allocates; throws errc::invalid_argument unless `levels` are a front.
  explicit forecast(std::span<const level_figures> levels, forecast_options options = {})
      : options_{options}
      , known_{levels, options.filter}
      , closed_(levels.size()) {
    require_argument(options.raise_margin >= 0 && options.raise_noise >= 0 && options.raise_price >= 0,
                     "forecast_options", "raise margins and price of at least 0", "less");
    require_argument(options.closed_first != 0 && options.closed_most >= options.closed_first,
                     "forecast_options::closed_first", "1 to closed_most images", options.closed_first);
    require_argument(options.hopeless_share >= 0 && options.hopeless_share < 0.5, "forecast_options::hopeless_share",
                     "0 to below 0.5", options.hopeless_share);
    for (closing& c : closed_) c.length = options.closed_first;
  }

  /// Any level's image is news, also one that still ran on an earlier decision's.
  void observe(std::size_t level, double latency_ms) noexcept {
    if (level >= levels().size() || !(latency_ms > 0) || !std::isfinite(latency_ms)) return;
    ++image_;
    fresh_ = true;
    stepped_ |= known_.observe(level, latency_ms, log_limit_) == slow_down_verdict::step;
  }

  ///@{
  /// As dynofa::runtime::runtime_policy asks.
  std::size_t decide(const target& t) noexcept {
    const bool changed = !started_ || t != target_;
    if (!changed && !fresh_) return level_;
    if (changed) {
      target_ = t;
      log_limit_ = t.limit_ms() > 0 ? std::log(t.limit_ms()) : -target::none;
      for (closing& c : closed_) c = {.length = options_.closed_first};
    }
    fresh_ = false;
    const bool quicker = stepped_ && filter().last_surprise() < 0, slower = stepped_ && !quicker;
    const std::size_t before = level_;
    if (changed) {
      level_ = best(0); // the past says nothing against any level
    } else if (slower) {
      level_ = std::min(level_, best(raise_margin())); // one more late image would be one too many
    } else {
      if (quicker) asked_ = options_.raise_after;
      level_ = move();
    }
    if (changed || slower) asked_ = 0;
    if (before != level_) {
      raised_ = !changed && level_ > before;
      raised_at_ = filter().log_slow_down();
    }
    why_ = unattainable_      ? reason::infeasible
           : !started_        ? reason::start
           : level_ == before ? reason::hold
           : changed          ? reason::target_changed
           : level_ < before  ? reason::too_slow
                              : reason::room;
    started_ = true;
    stepped_ = false;
    return level_;
  }

  /// The share of images that would be in time on `level` under the last target.
  double share_in_time(std::size_t level) const noexcept { return in_time(level, 0); }
  /// What the next image on `level` is expected to take, in ms (the median).
  double expected_ms(std::size_t level) const noexcept { return known_.expected_ms(level); }
  const slow_down_filter& filter() const noexcept { return known_.filter(); } ///< what is known of the slow-down

  std::span<const level_figures> levels() const noexcept { return known_.levels(); }
  reason why() const noexcept { return why_; }
  template <class F>
  void dump(F&& field) const {
    field("level", static_cast<double>(level_));
    field("slow_down", filter().slow_down());
    field("uncertainty", filter().uncertainty());
    field("noise", filter().noise());
    field("surprise", filter().last_surprise());
    field("steps", static_cast<double>(filter().steps()));
    field("expected_ms", expected_ms(level_));
    field("share_in_time", share_in_time(level_));
  }
  ///@}

private:
  struct closing {
    std::uint64_t until = 0; // image
    std::size_t length = 0;  // of the next closing, images
    double slow_down = 0;    // logarithm, when the level proved too slow: closed unless things are better now
  };

  double in_time(std::size_t level, double margin) const noexcept {
    return known_.share_within(log_limit_, level, margin);
  }
  bool closed(std::size_t level) const noexcept {
    const closing& c = closed_[level];
    return image_ < c.until && filter().log_slow_down() > c.slow_down - 2 * raise_margin();
  }
  bool spares_energy(std::size_t level, double margin) const noexcept {
    return levels()[level].energy_mj * std::exp(filter().log_slow_down() + margin) <= target_.energy_mj;
  }

  double raise_margin() const noexcept {
    return std::max(options_.raise_margin, options_.raise_noise * filter().noise());
  }

  /// The share that can be asked for: the target's, or what the quickest level reaches if that is less.
  double wanted_share() noexcept {
    const double most = in_time(0, 0);
    unattainable_ = most < target_.percentile;
    if (!unattainable_) return target_.percentile;
    return most < 0.5 ? 2 : most - options_.hopeless_share; // 2: nothing fits; late by as little as can be
  }

  /// The most accurate level that fits with `margin` to spare; energy gives way to the least accuracy.
  std::size_t best(double margin, bool keep = false) noexcept {
    if (log_limit_ == target::none) {
      bool fits = false;
      const std::size_t level = best_in_table(levels(), target_, filter().slow_down(), &fits);
      unattainable_ = !fits;
      return level;
    }
    const double wanted = wanted_share();
    std::size_t level = levels().size() - 1;
    const auto enough = [&] { // what runs already has to fit a little less well
      return keep && level == level_ ? wanted - options_.keep_share * (1 - target_.percentile) : wanted;
    };
    while (level > 0 && in_time(level, margin) < enough()) --level;
    if (target_.energy_mj != target::none)
      while (level > 0 && !spares_energy(level, margin) && levels()[level - 1].top1 >= target_.min_top1) --level;
    unattainable_ |= levels()[level].top1 < target_.min_top1;
    return level;
  }

  /// From the present level: down at once if it does not fit; up with margin, when it is worth it, and not to a closed
  /// level.
  std::size_t move() noexcept {
    const std::size_t fitting = best(0, true);
    if (fitting < level_) {
      if (raised_ && filter().log_slow_down() < raised_at_ + 2 * raise_margin()) { // same conditions: it was a mistake
        closing& c = closed_[level_];
        c.until = image_ + c.length;
        c.slow_down = filter().log_slow_down();
        c.length = std::min(4 * c.length, options_.closed_most);
      }
      asked_ = 0;
      return fitting;
    }
    const bool unattainable = unattainable_;
    std::size_t higher = fitting == level_ ? level_ : best(raise_margin());
    unattainable_ = unattainable;
    while (higher > level_ && closed(higher)) --higher;
    asked_ = higher > level_ ? asked_ + 1 : 0;
    if (asked_ < options_.raise_after) return level_;
    const double worth = (levels()[higher].top1 - levels()[level_].top1) * static_cast<double>(asked_);
    if (worth < options_.raise_price * (levels().back().top1 - levels().front().top1)) return level_;
    asked_ = 0;
    return higher;
  }

  forecast_options options_;
  latency_forecast<growing_list> known_;
  std::vector<closing> closed_;
  target target_;
  double log_limit_ = target::none;
  double raised_at_ = 0;
  std::uint64_t image_ = 0;
  std::size_t level_ = 0, asked_ = 0;
  reason why_ = reason::start;
  bool started_ = false, fresh_ = false, stepped_ = false, raised_ = false, unattainable_ = false;
};
static_assert(runtime_policy<forecast>);

} // namespace dynofa::runtime
