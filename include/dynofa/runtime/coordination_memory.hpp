#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/runtime/coordination_rule.hpp"
#include "dynofa/runtime/process_identity.hpp"

#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <system_error>

namespace dynofa::runtime {

namespace detail {

/// How long whoever wants a segment's lock waits for it, in ms. It is held for microseconds. Longer means that its
/// owner does not get a core, or was stopped (SIGSTOP, a debugger), perhaps for hours.
inline constexpr std::int64_t joining_waits_ms = 1000, image_waits_ms = 20;

/// What lies in the shared memory. All under `mutex`, except the first three and `left`.
struct coordination_memory {
  static constexpr std::uint64_t right_magic = 0x31726f6f63796e64; // "dnycoor1"
  struct owner {
    process_identity process;
    std::uint64_t token = 0; // of this membership; 0: nobody
    std::int64_t heartbeat_ms = 0;
  };
  std::uint64_t magic = 0; // written last
  std::uint64_t version = 1, size = sizeof(coordination_memory);
  pthread_mutex_t mutex;
  std::uint64_t next_token = 1;
  std::int64_t next_check_ms = 0;
  std::uint64_t takeovers = 0;
  std::uint64_t gone = 0; // 1: its last member has left and its name is free; nobody enters any more
  std::array<owner, coordination_rule::most_members> owners;
  std::array<std::atomic<std::uint64_t>, coordination_rule::most_members>
      left{}; // tokens of those who left without the lock
  coordination_options options;
  coordination_rule rule;
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "processes share it");

/// Holds the lock of a segment. If its last owner died with it, the state is made sound first.
class segment_lock {
public:
  /// `wait_ms` 0: takes it if it is free.
  explicit segment_lock(coordination_memory& s, std::int64_t wait_ms = joining_waits_ms) noexcept
      : segment_{s}
      , held_{take(wait_ms)} {}
  segment_lock(const segment_lock&) = delete;
  segment_lock& operator=(const segment_lock&) = delete;
  ~segment_lock() {
    if (held_) pthread_mutex_unlock(&segment_.mutex);
  }
  /// False if it could not be had in time: somebody was stopped with it, or the memory is damaged.
  explicit operator bool() const noexcept { return held_; }

private:
  bool take(std::int64_t wait_ms) noexcept {
    const std::int64_t begin = monotonic_ms();
    for (int i = 0;; ++i) { // held for microseconds, so: look again rather than sleep in the kernel without a limit
      switch (pthread_mutex_trylock(&segment_.mutex)) {
      case 0: return true;
      case EOWNERDEAD:
        mend();
        pthread_mutex_consistent(&segment_.mutex);
        return true;
      case EBUSY: break;
      default: return false;
      }
      if (monotonic_ms() - begin >= wait_ms) return false;
      const timespec pause{0, 50000};
      if (i < 100)
        sched_yield();
      else
        nanosleep(&pause, nullptr);
    }
  }
  void mend() noexcept {
    ++segment_.takeovers;
    coordination_options options;
    try {
      validate(segment_.options);
      options = segment_.options;
    } catch (...) { // damaged: the defaults
    }
    segment_.options = options;
    segment_.rule.repair(options);
    for (std::size_t m = 0; m < segment_.owners.size(); ++m) { // in `join` and `leave` one of the two comes first
      coordination_memory::owner& o = segment_.owners[m];
      if (o.token == 0 && segment_.rule.here(m)) segment_.rule.leave(m);
      if (o.token != 0 && !segment_.rule.here(m)) o = {};
    }
  }

  coordination_memory& segment_;
  const bool held_;
};

/// A named segment, opened or made. It gets its name when it is ready, so nobody sees one in the making; it loses the
/// name under its own lock, together with the mark that keeps others from entering. No lock is needed besides.
class segment_mapping {
public:
  segment_mapping(const std::string& name, const coordination_options& options)
      : where_{"shared memory " + name}
      , path_{"/dev/shm/" + name} {
    for (int attempt = 0; attempt < 100; ++attempt)
      if (open_existing() || make(options)) return;
    throw error(errc::io, where_, "a segment that stays", "one that is removed again and again");
  }

  coordination_memory& operator*() const noexcept { return *static_cast<coordination_memory*>(memory_.get()); }
  coordination_memory* operator->() const noexcept { return &**this; }

  /// Whether anything has its name now.
  bool is_name_taken() const noexcept { return access(path_.c_str(), F_OK) == 0; }
  /// Whether its name stands for it: not if it is gone, or if somebody has removed the file by hand.
  bool is_named() const noexcept {
    struct stat mine {};
    struct stat named {};
    return fstat(file_.get(), &mine) == 0 && stat(path_.c_str(), &named) == 0 && mine.st_dev == named.st_dev &&
           mine.st_ino == named.st_ino;
  }
  /// Nobody enters from now on, and its name is free. The lock is held.
  void remove() noexcept {
    (*this)->gone = 1;
    if (is_named()) unlink(path_.c_str());
  }

private:
  error refused() const { return {errc::io, where_, "to open or make it", dynofa::detail::errno_text()}; }

  /// False if there is none of this name, or one that was about to go.
  bool open_existing() {
    file_ = dynofa::detail::descriptor{dynofa::detail::uninterrupted(
        [&] { return open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); })};
    if (file_.get() < 0 && errno == ENOENT) return false;
    struct stat facts {};
    if (file_.get() < 0 || fstat(file_.get(), &facts) != 0) throw refused();
    if (facts.st_uid != geteuid() || (facts.st_mode & 077) != 0)
      throw error(errc::bad_file, where_, "a segment of this user that nobody else may write to",
                  text("user ", facts.st_uid, ", mode ", in_base(8, facts.st_mode & 0777)));
    if (!S_ISREG(facts.st_mode) || facts.st_size != off_t{sizeof(coordination_memory)})
      throw error(errc::bad_file, where_, text("a coordination of ", sizeof(coordination_memory), " bytes"),
                  text(facts.st_size, " bytes: of another program or another version of dynofa"));
    map();
    coordination_memory& s = **this;
    if (s.magic != coordination_memory::right_magic || s.version != 1 || s.size != sizeof(coordination_memory))
      throw error(errc::bad_file, where_, "a coordination of this version", "something else");
    const segment_lock lock(s);
    if (!lock) throw error(errc::io, where_, "its lock within a second", "none");
    if (!s.rule.valid()) throw error(errc::bad_file, where_, "a sound state", "figures that cannot be");
    if (s.gone != 0) remove(); // whoever marked it may have died before its name was free
    return s.gone == 0;
  }

  /// False if another process was quicker.
  bool make(const coordination_options& options) {
    std::string name;           // until it has the right one
    std::string temporary_name; // of a file that a kill would leave behind
    file_ = dynofa::detail::descriptor{
        dynofa::detail::uninterrupted([] { return open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); })};
    if (file_.get() >= 0) {
      name = "/proc/self/fd/" + std::to_string(file_.get());
    } else { // not on every system
      auto made = dynofa::detail::make_beside(path_, 0600);
      file_ = std::move(made.first);
      if (file_.get() < 0) throw refused();
      name = temporary_name = made.second;
    }
    const struct unlinked {
      const std::string& name;
      ~unlinked() {
        if (!name.empty()) unlink(name.c_str());
      }
    } temporary{temporary_name};
    do errno = posix_fallocate(file_.get(), 0, sizeof(coordination_memory)); // a full disk shows here, not as SIGBUS
    while (errno == EINTR);
    if (errno != 0) throw refused();
    map();
    coordination_memory& s = *new (memory_.get()) coordination_memory{};
    s.options = options;
    s.rule = coordination_rule(options);
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s.mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    s.magic = coordination_memory::right_magic;
    if (linkat(AT_FDCWD, name.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
    if (errno != EEXIST) throw refused();
    return false;
  }

  void map() {
    void* const at = mmap(nullptr, sizeof(coordination_memory), PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (at == MAP_FAILED) throw refused();
    memory_ = std::shared_ptr<void>(at, [](void* mapped) { munmap(mapped, sizeof(coordination_memory)); });
  }

  std::string where_, path_;
  dynofa::detail::descriptor file_{-1};
  std::shared_ptr<void> memory_;
};

/// Members of processes that are gone leave, if they have been silent for `quiet_ms`; returns how many. The lock is not
/// held while /proc is read; nothing happens where it cannot be had within `wait_ms`.
inline std::size_t remove_dead(segment_mapping& segment, std::int64_t silent_ms, std::int64_t quiet_ms,
                               std::int64_t wait_ms = joining_waits_ms) noexcept {
  using owner = coordination_memory::owner;
  std::array<owner, coordination_rule::most_members> owners;
  {
    const segment_lock lock(*segment, wait_ms);
    if (!lock) return 0;
    owners = segment->owners;
  }
  const std::int64_t now = monotonic_ms();
  const std::uint64_t domain = this_process().pid_domain;
  std::size_t dead = 0;
  for (std::size_t m = 0; m < owners.size(); ++m) {
    const owner& o = owners[m];
    const std::int64_t silence = now - o.heartbeat_ms;
    if (o.token == 0) continue;
    if (segment->left[m] != o.token) {
      if (silence < quiet_ms) continue;
      if (o.process.pid_domain == domain ? alive(o.process) : silence < silent_ms) continue;
    }
    const segment_lock lock(*segment, wait_ms);
    if (!lock || segment->owners[m].token != o.token) continue;
    segment->owners[m] = {};
    segment->rule.leave(m);
    ++dead;
  }
  return dead;
}

} // namespace detail
} // namespace dynofa::runtime
