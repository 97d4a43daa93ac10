#pragma once
#include "dynofa/runtime/lookup.hpp"

#include <vector>

namespace dynofa::runtime {

/// How finely, and how much of, the time left is used.
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
class slack : public detail::open_loop {
public:
  static constexpr std::string_view name = "slack"; ///< in logs

  /// Throws errc::invalid_argument unless `levels` are a front and the options in range.
  explicit slack(std::span<const level_figures> levels, slack_options options = {})
      : open_loop(levels)
      , options_{options} {
    require_argument(options.buckets != 0 && options.buckets <= 65536, "slack_options::buckets", "1 to 65536",
                     options.buckets);
    require_argument(options.usable > 0 && options.usable <= 1, "slack_options::usable", "above 0, at most 1",
                     options.usable);
    low_ = levels.front().latency_ms;
    width_ = (levels.back().latency_ms - low_) / static_cast<double>(options.buckets);
    for (std::size_t b = 0, level = 0; b <= options.buckets; ++b) { // bucket b: slack of low + b·width and more
      const double edge = b == options.buckets ? levels.back().latency_ms : low_ + static_cast<double>(b) * width_;
      while (level + 1 < levels.size() && levels[level + 1].latency_ms <= edge) ++level;
      table_.push_back(level);
    }
  }

  /// The level for target `t`: by the time left alone.
  std::size_t decide(const target& t) noexcept {
    const double slack_ms = t.limit_ms() * options_.usable;
    const bool late = !(slack_ms >= low_);
    const std::size_t level = late ? 0
                              : !(slack_ms < levels().back().latency_ms)
                                  ? levels().size() - 1
                                  : table_[static_cast<std::size_t>((slack_ms - low_) / width_)];
    return take(level, !late && levels()[level].top1 >= t.min_top1);
  }

private:
  std::vector<std::size_t> table_;
  slack_options options_;
  double low_ = 0, width_ = 0;
};
static_assert(runtime_policy<slack>);

} // namespace dynofa::runtime
