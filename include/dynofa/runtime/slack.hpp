#pragma once
#include "dynofa/runtime/lookup.hpp"

#include <cmath>
#include <vector>

namespace dynofa::runtime {

struct slack_options {
  /// Buckets that the range of latencies is cut into. 64: a bucket of the paper's six networks is 0.3 ms wide, below
  /// the noise of any device, at 512 bytes of table.
  std::size_t buckets = 64;
  /// Share of the slack that may be planned away, 0 to 1. 1: all, as in SlackFit. Less leaves room for noise.
  double usable = 1;
};

/// SlackFit of SuperServe for single images: time left → bucket → level; one table index per decision. Open loop: meant
/// for requests from a queue, whose `target::deadline_ms` is the time left; a busy spell eats slack and so brings
/// quicker levels. The level is always
/// the most accurate that has the time; energy is not heeded.
class slack {
public:
  static constexpr std::string_view name = "slack";

  explicit slack(std::span<const level_figures> levels, slack_options options = {})
      : levels_(levels.begin(), levels.end())
      , options_{options} {
    validate(levels);
    if (options.buckets == 0 || options.buckets > 65536)
      throw error(errc::invalid_argument, "slack_options::buckets", "1 to 65536", text(options.buckets));
    if (!(options.usable > 0 && options.usable <= 1))
      throw error(errc::invalid_argument, "slack_options::usable", "above 0, at most 1", text(options.usable));
    low_ = levels_.front().latency_ms;
    width_ = (levels_.back().latency_ms - low_) / static_cast<double>(options.buckets);
    for (std::size_t b = 0, level = 0; b <= options.buckets; ++b) { // bucket b: slack of low + b·width and more
      const double edge = b == options.buckets ? levels_.back().latency_ms : low_ + static_cast<double>(b) * width_;
      while (level + 1 < levels_.size() && levels_[level + 1].latency_ms <= edge) ++level;
      table_.push_back(level);
    }
  }

  void observe(std::size_t /*level*/, double /*latency_ms*/) noexcept {}
  std::size_t decide(const target& t) noexcept {
    const double slack_ms = t.limit_ms() * options_.usable;
    const std::size_t before = level_;
    const bool late = !(slack_ms >= low_);
    if (late)
      level_ = 0;
    else if (!(slack_ms < levels_.back().latency_ms))
      level_ = levels_.size() - 1;
    else
      level_ = table_[static_cast<std::size_t>((slack_ms - low_) / width_)];
    why_ = late || levels_[level_].top1 < t.min_top1 ? reason::infeasible
           : !started_                               ? reason::start
           : level_ == before                        ? reason::hold
                                                     : reason::target_changed;
    started_ = true;
    return level_;
  }

  std::span<const level_figures> levels() const noexcept { return levels_; }
  reason why() const noexcept { return why_; }
  template <class F>
  void dump(F&& field) const {
    field("level", static_cast<double>(level_));
  }

private:
  std::vector<level_figures> levels_;
  std::vector<std::size_t> table_;
  slack_options options_;
  double low_ = 0, width_ = 0;
  std::size_t level_ = 0;
  reason why_ = reason::start;
  bool started_ = false;
};
static_assert(runtime_policy<slack>);

} // namespace dynofa::runtime
