#pragma once
#include "dynofa/runtime/image_record.hpp"

#include <boost/circular_buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa::runtime {

namespace detail {
/// Letters, digits and underscores: what goes into JSON and CSV as it is.
inline bool is_word(std::string_view name) noexcept {
  constexpr auto plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  return !name.empty() && name.size() <= 100 && name.find_first_not_of(plain) == name.npos;
}
} // namespace detail

/// The latest images of one policy, in a ring that never grows: `add` allocates nothing and writes no file. Whoever
/// keeps a log empties it between images (`run_log_io.hpp`); what was overwritten before is counted as lost and leaves
/// a gap in the numbers of images. Not thread-safe.
class run_log {
public:
  /// Of a policy of that name whose `dump` gives figures of those names. Throws errc::invalid_argument for a capacity
  /// of 0, more than `image_record::most_state` names, or names that are not letters, digits and underscores.
  run_log(std::string policy, std::vector<std::string> state_names, std::size_t capacity)
      : policy_{std::move(policy)}
      , state_names_{std::move(state_names)} {
    require_argument(capacity != 0, "run log", "room for at least one image", "none");
    require_argument(state_names_.size() <= image_record::most_state, "run log",
                     text("at most ", image_record::most_state, " figures of state"), state_names_.size());
    require_word(policy_);
    for (const std::string& name : state_names_) require_word(name);
    ring_.set_capacity(capacity);
  }
  /// Of `policy`, with its levels and the figures that it dumps; those beyond `image_record::most_state` are left out.
  template <runtime_policy Policy>
  run_log(const Policy& policy, std::size_t capacity)
      : run_log(std::string(std::string_view(Policy::name)), names_of(policy), capacity) {
    const auto levels = policy.levels();
    levels_.assign(levels.begin(), levels.end());
  }

  /// Takes a record; over the oldest one where there is no room.
  void add(const image_record& r) noexcept {
    lost_ += full();
    ring_.push_back(r);
  }
  void clear() noexcept { ring_.clear(); } ///< removes the images; the rest stays

  ///@{
  /// Counted in images.
  std::size_t size() const noexcept { return ring_.size(); }
  std::size_t capacity() const noexcept { return ring_.capacity(); }
  bool full() const noexcept { return ring_.full(); }
  ///@}
  std::uint64_t lost() const noexcept { return lost_; } ///< images overwritten before anyone cleared the log
  /// The i-th image, the oldest first; i < size().
  const image_record& operator[](std::size_t i) const noexcept { return ring_[i]; }

  const std::string& policy() const { return policy_; } ///< its name; empty where nobody said
  /// What the figures in `image_record::state` are called.
  const std::vector<std::string>& state_names() const { return state_names_; }
  /// What the policy chose among; empty where nobody said.
  const std::vector<level_figures>& levels() const { return levels_; }
  /// Throws errc::invalid_argument unless they are a front.
  void set_levels(std::vector<level_figures> levels) {
    validate(levels);
    levels_ = std::move(levels);
  }

private:
  static void require_word(const std::string& name) {
    require_argument(detail::is_word(name), "run log", "names of letters, digits and underscores",
                     "\"" + name.substr(0, 100) + "\"");
  }
  template <class Policy>
  static std::vector<std::string> names_of(const Policy& policy) {
    std::vector<std::string> names;
    policy.dump([&](std::string_view name, double) {
      if (names.size() < image_record::most_state) names.emplace_back(name);
    });
    return names;
  }

  std::string policy_;
  std::vector<std::string> state_names_;
  std::vector<level_figures> levels_;
  boost::circular_buffer<image_record> ring_;
  std::uint64_t lost_ = 0;
};

/// Where a replay decided otherwise than the log.
struct log_difference {
  std::uint64_t image = 0; ///< its number in the log
  ///@{
  /// What the log says, and what the replay decided.
  std::size_t logged_level = 0, replayed_level = 0;
  reason logged_why = reason::start, replayed_why = reason::start;
  ///@}
};

/// Feeds a log's targets and latencies to `policy`, a new one of the same kind and options, and gives the first image
/// that it decides otherwise: none, for every log of a manager, since policies know nothing but what is logged and
/// numbers are written exactly. Throws errc::mismatch for the log of another policy and for one that does not begin at
/// image 0 or has a gap: what a policy learnt from lost images is lost.
template <runtime_policy Policy>
std::optional<log_difference> replay_log(const run_log& log, Policy policy) {
  if (log.policy() != std::string_view(Policy::name))
    throw error(errc::mismatch, "replay", text("a log of ", std::string_view(Policy::name)), "one of " + log.policy());
  for (std::size_t i = 0; i < log.size(); ++i) {
    const image_record& r = log[i];
    if (r.image != i) throw error(errc::mismatch, "replay", text("image ", i, " as the next"), text("image ", r.image));
    const std::size_t level = policy.decide(r.wanted);
    if (level != r.level || policy.why() != r.why) return log_difference{r.image, r.level, level, r.why, policy.why()};
    policy.observe(r.level, r.latency_ms);
  }
  return std::nullopt;
}

} // namespace dynofa::runtime
