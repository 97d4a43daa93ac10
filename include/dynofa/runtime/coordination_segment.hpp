#pragma once
#include "dynofa/runtime/coordination.hpp"
#include "dynofa/runtime/process_identity.hpp"

#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>

#include <pthread.h>
#include <sched.h>
#include <sys/file.h>

#include <array>
#include <new>
#include <string>
#include <system_error>

namespace dynofa::runtime {

namespace detail {

/// What lies in the shared memory. All under `mutex`, except the first three.
struct coordination_segment {
  static constexpr std::uint64_t right_magic = 0x31726f6f63796e64; // "dnycoor1"
  struct owner {
    process_identity process;
    std::uint64_t token = 0; // of this membership; 0: nobody
    std::int64_t heartbeat_ms = 0;
  };
  std::uint64_t magic = 0; // written last
  std::uint64_t version = 1, size = sizeof(coordination_segment);
  pthread_mutex_t mutex;
  std::uint64_t next_token = 1;
  std::int64_t next_check_ms = 0;
  std::uint64_t takeovers = 0;
  std::array<owner, coordination::most_members> owners;
  coordination_options options;
  coordination rule;
};

/// Holds the lock of a segment. If its last owner died with it, the state is made sound first.
class segment_lock {
public:
  explicit segment_lock(coordination_segment& s) noexcept
      : segment_{s}
      , held_{take()} {}
  segment_lock(const segment_lock&) = delete;
  segment_lock& operator=(const segment_lock&) = delete;
  ~segment_lock() {
    if (held_) pthread_mutex_unlock(&segment_.mutex);
  }
  /// False after a second: somebody was stopped with the lock, or the memory is damaged.
  explicit operator bool() const noexcept { return held_; }

private:
  bool take() noexcept {
    std::int64_t give_up = 0;
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
      if (i < 100) {
        sched_yield();
        continue;
      }
      const std::int64_t now = monotonic_ms();
      if (give_up == 0) give_up = now + 1000;
      if (now > give_up) return false;
      const timespec pause{0, 50000};
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
      coordination_segment::owner& o = segment_.owners[m];
      if (o.token == 0 && segment_.rule.here(m)) segment_.rule.leave(m);
      if (o.token != 0 && !segment_.rule.here(m)) o = {};
    }
  }

  coordination_segment& segment_;
  const bool held_;
};

/// A named segment, opened or made; whoever is in here holds the file's lock, so that making and removing exclude each
/// other.
class segment_mapping {
public:
  segment_mapping(const std::string& name, const coordination_options& options)
      : name_{name} {
    namespace ipc = boost::interprocess;
    try {
      for (int attempt = 0; attempt < 100; ++attempt) {
        memory_ = ipc::shared_memory_object(ipc::open_or_create, name.c_str(), ipc::read_write, ipc::permissions(0600));
        const file_lock lock(file());
        if (removed()) continue; // between opening and locking
        map(options);
        return;
      }
    } catch (const ipc::interprocess_exception& e) {
      throw error(errc::io, "shared memory " + name, "to open or make it", e.what());
    }
    throw error(errc::io, "shared memory " + name, "a segment that stays", "one that is removed again and again");
  }

  class file_lock {
  public:
    explicit file_lock(int file)
        : file_{file} {
      while (flock(file_, LOCK_EX) != 0 && errno == EINTR) {
      }
    }
    file_lock(const file_lock&) = delete;
    file_lock& operator=(const file_lock&) = delete;
    ~file_lock() { flock(file_, LOCK_UN); }

  private:
    int file_;
  };

  coordination_segment& operator*() const noexcept {
    return *static_cast<coordination_segment*>(region_.get_address());
  }
  coordination_segment* operator->() const noexcept { return &**this; }
  int file() const noexcept { return memory_.get_mapping_handle().handle; }
  /// Its name is gone or stands for another segment.
  bool removed() const noexcept {
    struct stat facts {};
    return fstat(file(), &facts) == 0 && facts.st_nlink == 0;
  }
  void remove() noexcept { boost::interprocess::shared_memory_object::remove(name_.c_str()); }

private:
  void map(const coordination_options& options) {
    namespace ipc = boost::interprocess;
    const std::string where = "shared memory " + name_;
    struct stat facts {};
    if (fstat(file(), &facts) != 0)
      throw error(errc::io, where, "a look at it", std::generic_category().message(errno));
    if (facts.st_uid != geteuid() || (facts.st_mode & 077) != 0)
      throw error(errc::bad_file, where, "a segment of this user that nobody else may write to",
                  text("user ", facts.st_uid, ", mode ", in_base(8, facts.st_mode & 0777)));
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    if (size == 0) memory_.truncate(sizeof(coordination_segment));
    if (size != 0 && size != sizeof(coordination_segment))
      throw error(errc::bad_file, where, text("a coordination of ", sizeof(coordination_segment), " bytes"),
                  text(size, " bytes: of another program or another version of dynofa"));
    region_ = ipc::mapped_region(memory_, ipc::read_write);
    coordination_segment& s = **this;
    if (s.magic == 0 && is_blank()) { // ours, or its maker died before it was ready
      make(options);
      return;
    }
    if (s.magic != coordination_segment::right_magic || s.version != 1 || s.size != sizeof(coordination_segment))
      throw error(errc::bad_file, where, "a coordination of this version", "something else");
    const segment_lock lock(s);
    if (!lock) throw error(errc::bad_file, where, "a lock that can be had within a second", "one that cannot");
    if (!s.rule.valid()) throw error(errc::bad_file, where, "a sound state", "figures that cannot be");
  }
  /// Nothing, or the beginnings of `make`: whoever made it writes the magic number last.
  bool is_blank() const noexcept { return (*this)->version <= 1 && (*this)->next_token <= 1; }
  void make(const coordination_options& options) {
    coordination_segment& s = *new (region_.get_address()) coordination_segment{};
    s.options = options;
    s.rule = coordination(options);
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s.mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    s.magic = coordination_segment::right_magic;
  }

  std::string name_;
  boost::interprocess::shared_memory_object memory_;
  boost::interprocess::mapped_region region_;
};

/// Members of processes that are gone leave, if they have been silent for `quiet_ms`; returns how many. The lock is not
/// held while /proc is read.
inline std::size_t bury(segment_mapping& segment, std::int64_t silent_ms, std::int64_t quiet_ms) noexcept {
  using owner = coordination_segment::owner;
  std::array<owner, coordination::most_members> owners;
  {
    const segment_lock lock(*segment);
    if (!lock) return 0;
    owners = segment->owners;
  }
  const std::int64_t now = monotonic_ms();
  const std::uint64_t domain = this_process().pid_domain;
  std::size_t dead = 0;
  for (std::size_t m = 0; m < owners.size(); ++m) {
    const owner& o = owners[m];
    const std::int64_t silence = now - o.heartbeat_ms;
    if (o.token == 0 || silence < quiet_ms) continue;
    if (o.process.pid_domain == domain ? alive(o.process) : silence < silent_ms) continue;
    const segment_lock lock(*segment);
    if (!lock || segment->owners[m].token != o.token) continue;
    segment->owners[m] = {};
    segment->rule.leave(m);
    ++dead;
  }
  return dead;
}

} // namespace detail
} // namespace dynofa::runtime
