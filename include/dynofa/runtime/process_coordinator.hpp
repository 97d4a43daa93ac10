#pragma once
#include "dynofa/runtime/coordination_memory.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa::runtime {

/// How processes coordinate.
struct process_coordinator_options {
  /// Of whoever makes the segment; who comes later takes what is there.
  coordination_options rule = {};
  /// A member in another domain of process numbers (a container) cannot be asked for: it counts as dead after so long
  /// without an image.
  std::int64_t silent_ms = 10000;
};

namespace detail {

/// A member's place in a segment, which it leaves with the last copy of the member.
struct shared_place {
  std::string name;
  coordination_options rule;
  std::shared_ptr<segment_mapping> segment;
  std::vector<level_figures> levels;
  member_options how;
  process_identity self;
  std::int64_t silent_ms = 0;
  std::size_t number = 0, level = 0;
  std::uint64_t token = 0;
  reason why = reason::start;
  std::unique_ptr<coordination_rule> alone; ///< while the lock cannot be had: a rule with this member only

  shared_place() = default;
  shared_place(const shared_place&) = delete;
  shared_place& operator=(const shared_place&) = delete;
  ~shared_place() {
    if (token == 0 || !at_home()) return;
    const segment_lock lock(**segment, alone ? 0 : image_waits_ms);
    if (!lock) {
      (*segment)->left[number] = token;
    } else if (mine()) {
      (*segment)->owners[number] = {};
      (*segment)->rule.leave(number);
      if ((*segment)->rule.size() == 0) segment->remove();
    }
  }

  bool at_home() const noexcept { return getpid() == self.pid; } // not in a child process
  bool mine() const noexcept { return (*segment)->owners[number].token == token; }

  /// Takes a place, in another segment if the last member of this one has left. Throws errc::infeasible, errc::io if
  /// the lock cannot be had in time, and what making a segment throws.
  void enter(std::int64_t wait_ms) {
    while (true) {
      {
        const segment_lock lock(**segment, wait_ms);
        if (!lock) throw error(errc::io, "shared memory " + name, text("its lock within ", wait_ms, " ms"), "none");
        coordination_memory& s = **segment;
        if (s.gone == 0 && segment->is_named()) {
          rule = s.options;
          const std::size_t m = s.rule.join(levels, how);
          number = m;
          token = s.next_token++;
          s.owners[m] = {.process = self, .token = token, .heartbeat_ms = monotonic_ms()};
          return;
        }
      }
      segment = std::make_shared<segment_mapping>(name, rule);
    }
  }

  void observe(std::size_t at, double latency_ms) noexcept {
    if (!at_home()) return;
    const auto tell = [&](coordination_memory& s) {
      if (mine()) s.rule.observe(number, at, latency_ms);
    };
    if (!in_turn(tell) && alone) alone->observe(0, at, latency_ms);
  }
  std::size_t decide(const target& t) noexcept {
    if (!at_home()) return level;
    const std::int64_t now = monotonic_ms();
    bool due = false, still_here = false;
    const auto ask = [&](coordination_memory& s) {
      still_here = mine();
      if (!still_here) return;
      s.owners[number].heartbeat_ms = now;
      level = std::min(s.rule.decide(number, t), levels.size() - 1);
      why = s.rule.why(number);
      due = now >= s.next_check_ms;
      if (due) s.next_check_ms = now + 100;
    };
    if (in_turn(ask) && !still_here && come_back()) in_turn(ask);
    if (alone) {
      level = alone->decide(0, t);
      why = alone->why(0);
    }
    if (due) remove_dead(*segment, silent_ms, 200, 0);
    return level;
  }
  void dump(dumped_fields& fields) noexcept {
    const auto ask = [&](coordination_memory& s) {
      if (mine()) s.rule.dump(number, fields);
    };
    if (!in_turn(ask) && alone) alone->dump(0, fields);
  }

private:
  /// do_it(segment) with the lock held. False if it cannot be had: then this member goes on alone, and from now on
  /// takes the lock only if it is free.
  template <class DoIt>
  bool in_turn(DoIt&& do_it) noexcept {
    if (const segment_lock lock(**segment, alone ? 0 : image_waits_ms); lock) {
      do_it(**segment);
    } else {
      if (!alone) try {
          auto own = std::make_unique<coordination_rule>(rule);
          own->join(levels, {.weight = how.weight, .first = level});
          alone = std::move(own);
        } catch (...) { // no memory: the level stays
        }
      return false;
    }
    alone.reset();
    return true;
  }
  /// It was taken for dead, or lost with somebody's death inside the lock. False if there is no place for it now.
  bool come_back() noexcept {
    how.first = level;
    try {
      enter(image_waits_ms);
      return true;
    } catch (...) {
      return false;
    }
  }
};

} // namespace detail

/// As `thread_coordinator`, for dynamic networks in several processes of one user: the rule's state lies in shared
/// memory under a name.
///
///     process_coordinator device("gpu0");
///     manager<Backend, process_coordinator::member> camera(network, device.join(levels));
///
/// A member that dies, wherever, killed inside the lock as well, is noticed by the others within half a second of
/// images and its share is freed: each image leaves a time, who is silent is looked up in /proc (by number and start),
/// and the lock passes on from a dead owner, after which what was learnt is learnt anew. The segment goes with its last
/// member; one whose members were all killed is taken over by who comes next.
///
/// A process that is stopped inside the lock costs each other member one wait of 20 ms. Each then goes on by itself, by
/// the same rule with no other member, and takes part again with the first image that finds the lock free.
class process_coordinator {
  using segment_mapping = detail::segment_mapping;
  using segment_lock = detail::segment_lock;

public:
  /// `name`: 1 to 64 of a–z, A–Z, 0–9, '-', '_', '.'; the file is /dev/shm/dynofa-NAME, readable for its user only.
  /// Throws errc::invalid_argument for another name, errc::io where the system refuses, and errc::bad_file for a
  /// segment that is not of this version, not of this user, open to others, or not sound.
  explicit process_coordinator(std::string_view name, const process_coordinator_options& options = {})
      : name_{checked(name)}
      , options_{(validate(options.rule), options)}
      , now_{std::make_shared<current>()} {
    now_->segment = std::make_shared<segment_mapping>(name_, options.rule);
  }

  /// One network's part: a run-time policy. Copies are the same member, which leaves when the last of them is gone.
  /// For one thread at a time. In a child process after fork it stays on its last level.
  using member = detail::coordinated_member<detail::shared_place>;

  /// From any thread. Throws errc::invalid_argument for a bad front or option, errc::infeasible if there are 16 living
  /// members already, and errc::io if the lock cannot be had within a second.
  member join(std::span<const level_figures> levels, const member_options& how = {}) {
    const auto p = std::make_shared<detail::shared_place>();
    p->name = name_;
    p->rule = options_.rule;
    p->levels.assign(levels.begin(), levels.end());
    p->how = how;
    p->self = this_process();
    p->silent_ms = options_.silent_ms;
    p->segment = segment();
    detail::remove_dead(*p->segment, options_.silent_ms, 0, detail::image_waits_ms);
    p->enter(detail::joining_waits_ms);
    const std::lock_guard lock(now_->mutex);
    now_->segment = p->segment;
    return member(p);
  }

  /// Members that live, as far as known.
  std::size_t members() const {
    const auto s = segment();
    detail::remove_dead(*s, options_.silent_ms, 0);
    const segment_lock lock(**s);
    return lock ? (*s)->rule.size() : 0;
  }
  /// How often the lock was taken over from a process that died with it.
  std::uint64_t takeovers() const {
    const auto s = segment();
    const segment_lock lock(**s);
    return (*s)->takeovers;
  }

  /// Removes the segment of that name if no member of it lives; true if it is gone. Members leave by themselves: this
  /// is for what killed processes left behind. Throws as the constructor.
  static bool remove(std::string_view name) {
    const std::string full = checked(name);
    segment_mapping segment(full, {});
    detail::remove_dead(segment, process_coordinator_options{}.silent_ms, 0);
    const segment_lock lock(*segment);
    if (!lock || segment->rule.size() > 0) return false;
    segment.remove();
    return true;
  }

private:
  static std::string checked(std::string_view name) {
    constexpr auto good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    require_argument(!name.empty() && name.size() <= 64 && name.find_first_not_of(good) == name.npos,
                     "name of a shared coordinator", "1 to 64 of a-z A-Z 0-9 - _ .", name.size(), " characters");
    return text("dynofa-", name);
  }

  /// The segment that has the name, as far as known here; copies share it.
  struct current {
    std::mutex mutex;
    std::shared_ptr<segment_mapping> segment;
  };
  /// Another one if the last member of this one has left and others have come since.
  std::shared_ptr<segment_mapping> segment() const {
    const std::lock_guard lock(now_->mutex);
    if (!now_->segment->is_named() && now_->segment->is_name_taken())
      now_->segment = std::make_shared<segment_mapping>(name_, options_.rule);
    return now_->segment;
  }

  std::string name_;
  process_coordinator_options options_;
  std::shared_ptr<current> now_;
};

static_assert(runtime_policy<process_coordinator::member>);

} // namespace dynofa::runtime
