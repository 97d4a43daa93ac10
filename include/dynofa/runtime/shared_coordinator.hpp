#pragma once
#include "dynofa/runtime/coordination_segment.hpp"
#include "dynofa/runtime/coordinator.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa::runtime {

struct shared_coordinator_options {
  /// Of whoever makes the segment; who comes later takes what is there.
  coordination_options rule = {};
  /// A member in another domain of process numbers (a container) cannot be asked for: it counts as dead after so long
  /// without an image.
  std::int64_t silent_ms = 10000;
};

namespace detail {

/// A member's place in a segment, which it leaves with the last copy of the member.
struct shared_place {
  std::shared_ptr<segment_mapping> segment;
  std::vector<level_figures> levels;
  member_options how;
  process_identity self;
  std::int64_t silent_ms = 0;
  std::size_t number = 0, level = 0;
  std::uint64_t token = 0;
  reason why = reason::start;

  shared_place() = default;
  shared_place(const shared_place&) = delete;
  shared_place& operator=(const shared_place&) = delete;
  ~shared_place() {
    if (token == 0 || !at_home()) return;
    {
      const segment_lock lock(**segment);
      if (!lock || !mine()) return;
      (*segment)->owners[number] = {};
      (*segment)->rule.leave(number);
      if ((*segment)->rule.size() > 0) return;
    }
    const segment_mapping::file_lock closing(segment->file());
    const segment_lock lock(**segment);
    if (lock && (*segment)->rule.size() == 0 && !segment->removed()) segment->remove();
  }

  bool at_home() const noexcept { return getpid() == self.pid; } // not in a child process
  bool mine() const noexcept { return (*segment)->owners[number].token == token; }

  /// Takes a place; the lock is held. Throws errc::infeasible.
  void enter() {
    coordination_segment& s = **segment;
    const std::size_t m = s.rule.join(levels, how);
    number = m;
    token = s.next_token++;
    s.owners[m] = {.process = self, .token = token, .heartbeat_ms = monotonic_ms()};
  }

  void observe(std::size_t at, double latency_ms) noexcept {
    if (!at_home()) return;
    const segment_lock lock(**segment);
    if (lock && mine()) (*segment)->rule.observe(number, at, latency_ms);
  }
  std::size_t decide(const target& t) noexcept {
    if (!at_home()) return level;
    const std::int64_t now = monotonic_ms();
    bool due = false;
    {
      const segment_lock lock(**segment);
      if (!lock) return level;
      coordination_segment& s = **segment;
      if (!mine()) { // taken for dead, or lost with somebody's death inside the lock
        how.first = level;
        try {
          enter();
        } catch (...) { // full
          return level;
        }
      }
      s.owners[number].heartbeat_ms = now;
      level = std::min(s.rule.decide(number, t), levels.size() - 1);
      why = s.rule.why(number);
      due = now >= s.next_check_ms;
      if (due) s.next_check_ms = now + 100;
    }
    if (due) bury(*segment, silent_ms, 200);
    return level;
  }
  template <class F>
  void dump(F&& field) const {
    const segment_lock lock(**segment);
    if (lock && mine()) (*segment)->rule.dump(number, field);
  }
};

} // namespace detail

/// As `coordinator`, for dynamic networks in several processes of one user: the rule's state lies in shared memory
/// under a name.
///
///     shared_coordinator device("gpu0");
///     manager<Backend, shared_coordinator::member> camera(network, device.join(levels));
///
/// A member that dies, wherever, killed inside the lock as well, is noticed by the others within half a second of
/// images and its share is freed: each image leaves a time, who is silent is looked up in /proc (by number and start),
/// and the lock passes on from a dead owner, after which what was learnt is learnt anew. The segment goes with its last
/// member; one whose members were all killed is taken over by who comes next.
class shared_coordinator {
  using segment_mapping = detail::segment_mapping;
  using segment_lock = detail::segment_lock;

public:
  /// `name`: 1 to 64 of a–z, A–Z, 0–9, '-', '_', '.'; the file is /dev/shm/dynofa-NAME, readable for its user only.
  /// Throws errc::invalid_argument for another name, errc::io where the system refuses, and errc::bad_file for a
  /// segment that is not of this version, not of this user, open to others, or not sound.
  explicit shared_coordinator(std::string_view name, const shared_coordinator_options& options = {})
      : name_{checked(name)}
      , options_{(validate(options.rule), options)}
      , segment_{std::make_shared<segment_mapping>(name_, options.rule)} {}

  /// One network's part: a run-time policy. Copies are the same member, which leaves when the last of them is gone.
  /// For one thread at a time. In a child process after fork it stays on its last level.
  using member = detail::coordinated_member<detail::shared_place>;

  /// Throws errc::invalid_argument for a bad front or option, errc::infeasible if there are 16 living members already.
  member join(std::span<const level_figures> levels, const member_options& how = {}) {
    const auto p = std::make_shared<detail::shared_place>();
    p->levels.assign(levels.begin(), levels.end());
    p->how = how;
    p->self = this_process();
    p->silent_ms = options_.silent_ms;
    while (true) {
      p->segment = segment_;
      const segment_mapping::file_lock opening(p->segment->file());
      if (p->segment->removed()) { // its last member had left
        segment_ = std::make_shared<segment_mapping>(name_, options_.rule);
        continue;
      }
      detail::bury(*segment_, options_.silent_ms, 0);
      const segment_lock lock(**segment_);
      if (!lock) throw error(errc::io, "shared memory " + name_, "its lock within a second", "none");
      p->enter();
      return member(p);
    }
  }

  /// Members that live, as far as known.
  std::size_t members() const {
    detail::bury(*segment_, options_.silent_ms, 0);
    const segment_lock lock(**segment_);
    return lock ? (*segment_)->rule.size() : 0;
  }
  /// How often the lock was taken over from a process that died with it.
  std::uint64_t takeovers() const {
    const segment_lock lock(**segment_);
    return (*segment_)->takeovers;
  }

  /// Removes the segment of that name if no member of it lives; true if it is gone. Members leave by themselves: this
  /// is for what killed processes left behind. Throws as the constructor.
  static bool remove(std::string_view name) {
    const std::string full = checked(name);
    segment_mapping segment(full, {});
    detail::bury(segment, shared_coordinator_options{}.silent_ms, 0);
    const segment_mapping::file_lock closing(segment.file());
    const segment_lock lock(*segment);
    if (!lock || segment->rule.size() > 0) return false;
    if (!segment.removed()) segment.remove();
    return true;
  }

private:
  static std::string checked(std::string_view name) {
    constexpr auto good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    require_argument(!name.empty() && name.size() <= 64 && name.find_first_not_of(good) == name.npos,
                     "name of a shared coordinator", "1 to 64 of a-z A-Z 0-9 - _ .", name.size(), " characters");
    return text("dynofa-", name);
  }

  std::string name_;
  shared_coordinator_options options_;
  std::shared_ptr<segment_mapping> segment_;
};

static_assert(runtime_policy<shared_coordinator::member>);

} // namespace dynofa::runtime
