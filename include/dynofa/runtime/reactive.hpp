#pragma once
#include "dynofa/runtime/lookup.hpp"

#include <boost/circular_buffer.hpp>

#include <limits>
#include <vector>

namespace dynofa::runtime {

/// The defaults are the paper's; comments name where its demo differs.
struct reactive_options {
  /// Images averaged. 10, as in the paper (§4.3); the reference demo takes 20.
  std::size_t window = 10;
  /// Images between a switch and the first average. 0; the reference demo lets 20 go by.
  std::size_t settle = 0;
  /// A level higher is tried when the average is below this share of the limit. 0.9: the next level of the paper's
  /// family takes 3 to 11 % more. The paper only says that accuracy is recovered; 0 never climbs for spare time.
  double raise_below = 0.9;
  /// Images for which a level that proved too slow is not tried again after a raise to it was taken back. 200: without
  /// it a family with wide steps goes up and down for ever.
  std::size_t pin = 200;
  /// As the reference demo: a latency above `filter_ms` is not seen (so an overload never is), a sum over fewer than
  /// `window` images is still divided by `window`, and it climbs only while top-1 is below `min_top1`.
  bool demo = false;
  double filter_ms = std::numeric_limits<double>::infinity(); ///< 90 in the reference demo

  /// What the reference's run.sh and its evaluation loop do. There every switch starts a new process; here none does.
  static reactive_options reference_demo() {
    return {.window = 20, .settle = 20, .raise_below = 0, .pin = 0, .demo = true, .filter_ms = 90};
  }
};

/// The paper's control of a shared device (§3.4, Fig. 7): the average of a sliding window against the constraint, one
/// level at a time; the table of latencies is not used. Every switch empties the window. An energy target is not
/// heeded. Cost: one addition per image.
class reactive {
public:
  static constexpr std::string_view name = "reactive"; ///< in logs

  /// Starts on the level that `lookup` gives, or on `first` where it is given.
  explicit reactive(std::span<const level_figures> levels, reactive_options options = {},
                    std::size_t first = std::numeric_limits<std::size_t>::max())
      : levels_(levels.begin(), levels.end())
      , options_{options}
      , level_{first}
      , pinned_(levels.size(), 0) {
    validate(levels);
    require_argument(options.window != 0 && options.window <= 65536, "reactive_options::window", "1 to 65536 images",
                     options.window);
    require_argument(options.raise_below >= 0 && options.raise_below < 1, "reactive_options::raise_below",
                     "0 to below 1", options.raise_below);
    given_first_ = first < levels.size();
    values_.set_capacity(options.window);
  }

  /// An image that still ran on another level than the last decision's is not counted.
  void observe(std::size_t level, double latency_ms) noexcept {
    if (level != level_ || !(latency_ms > 0)) return;
    for (std::size_t& images : pinned_) images -= images > 0;
    if (seen_++ < options_.settle || latency_ms >= options_.filter_ms) return;
    sum_ += latency_ms - (values_.full() ? values_.front() : 0);
    values_.push_back(latency_ms);
    fresh_ = true;
  }

  ///@{
  /// As dynofa::runtime::runtime_policy asks.
  std::size_t decide(const target& t) noexcept {
    if (!started_) {
      started_ = true;
      target_ = t;
      if (!given_first_) level_ = best_in_table(levels_, t, 1);
      why_ = reason::start;
      return level_;
    }
    if (t != target_) { // another constraint: what failed under the old one may be tried again
      if (t.latency_ms != target_.latency_ms || t.min_top1 != target_.min_top1) pinned_.assign(pinned_.size(), 0);
      target_ = t;
      fresh_ = true;
    }
    if (!fresh_) return level_;
    fresh_ = false;
    why_ = reason::hold;
    if (!values_.full() && !options_.demo) return level_;
    const double average = sum_ / static_cast<double>(values_.capacity()), limit = t.limit_ms();
    if (average > limit) {
      why_ = level_ > 0 ? reason::too_slow : reason::infeasible;
      if (level_ == 0) return level_;
      if (raised_) pinned_[level_] = options_.pin;
      go(level_ - 1, false);
    } else if (level_ + 1 < levels_.size() && pinned_[level_ + 1] == 0 && values_.full() &&
               (average < options_.raise_below * limit || (options_.demo && levels_[level_].top1 < t.min_top1))) {
      why_ = reason::room;
      go(level_ + 1, true);
    }
    return level_;
  }

  std::span<const level_figures> levels() const noexcept { return levels_; }
  reason why() const noexcept { return why_; }
  template <class F>
  void dump(F&& field) const {
    field("level", static_cast<double>(level_));
    const auto images = static_cast<double>(values_.size());
    field("window_images", images);
    field("average_ms", values_.empty() ? 0 : sum_ / (options_.demo ? static_cast<double>(options_.window) : images));
    field("pinned_images", level_ + 1 < levels_.size() ? static_cast<double>(pinned_[level_ + 1]) : 0);
  }
  ///@}

private:
  void go(std::size_t level, bool raised) noexcept {
    level_ = level;
    raised_ = raised;
    seen_ = 0;
    sum_ = 0;
    values_.clear();
  }

  std::vector<level_figures> levels_;
  reactive_options options_;
  std::size_t level_;
  std::vector<std::size_t> pinned_; // images for which a level is still closed
  boost::circular_buffer<double> values_;
  std::size_t seen_ = 0;
  double sum_ = 0;
  target target_;
  reason why_ = reason::start;
  bool started_ = false, fresh_ = false, raised_ = false, given_first_ = false;
};
static_assert(runtime_policy<reactive>);

} // namespace dynofa::runtime
