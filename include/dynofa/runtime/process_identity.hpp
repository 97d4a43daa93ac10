#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace dynofa::runtime {

/// Which process something belongs to, for others to see whether it still lives. A number alone is not enough: process
/// numbers are used again, and two containers have the same ones. Plain data, for shared memory.
struct process_identity {
  std::int64_t pid = 0;         ///< 0: nobody
  std::uint64_t start = 0;      ///< when it started, in the kernel's ticks since boot
  std::uint64_t pid_domain = 0; ///< inode of its namespace of process numbers
  friend bool operator==(const process_identity&, const process_identity&) = default;
};

/// Milliseconds of a clock that all processes of a machine share and nobody sets.
inline std::int64_t monotonic_ms() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

namespace detail {

/// State letter and start time of a process from /proc; false where that cannot be read. Does not allocate.
inline bool read_process_stat(std::int64_t pid, char& state, std::uint64_t& start) noexcept {
  char path[48], content[1024];
  std::snprintf(path, sizeof path, "/proc/%lld/stat", static_cast<long long>(pid));
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t length = read(file, content, sizeof content - 1);
  close(file);
  if (length <= 0) return false;
  content[length] = '\0';
  const char* at = std::strrchr(content, ')'); // the name before it may hold anything
  if (!at || at[1] != ' ' || at[2] == '\0') return false;
  state = at[2];
  at += 2;
  for (int field = 3; field < 22; ++field) { // starttime is the 22nd
    at = std::strchr(at, ' ');
    if (!at) return false;
    ++at;
  }
  start = std::strtoull(at, nullptr, 10);
  return true;
}

} // namespace detail

/// This process. Cost: two system files; keep the result.
inline process_identity this_process() noexcept {
  process_identity self{.pid = getpid(), .start = 0, .pid_domain = 0};
  char state = 0;
  detail::read_process_stat(self.pid, state, self.start);
  struct stat domain {};
  if (stat("/proc/self/ns/pid", &domain) == 0) self.pid_domain = domain.st_ino;
  return self;
}

/// Whether a process of the same domain runs; a zombie does not. What cannot be found out counts as alive. Cost: a
/// system call for who is gone, else one small file, some 10 µs.
inline bool alive(const process_identity& who) noexcept {
  if (who.pid <= 0 || who.pid > 0x7fffffff) return false;
  if (kill(static_cast<pid_t>(who.pid), 0) != 0 && errno == ESRCH) return false;
  char state = 0;
  std::uint64_t start = 0;
  if (!detail::read_process_stat(who.pid, state, start)) return true;
  return state != 'Z' && state != 'X' && (who.start == 0 || who.start == start);
}

} // namespace dynofa::runtime
