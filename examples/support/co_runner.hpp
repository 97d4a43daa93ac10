#pragma once
#include "dynofa/core/error.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace support {

/// This thread, and the threads and processes it starts from now on, run on one core only.
inline void pin_to(int core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(core), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0)
    throw dynofa::error(dynofa::errc::device, "core", dynofa::text("to run on core ", core),
                        std::generic_category().message(errno));
}

/// Puts this process before all others of ordinary priority, where that is allowed, so that what else runs on the
/// machine does not enter a measurement. Returns whether it was.
inline bool go_first() { return setpriority(PRIO_PROCESS, 0, -20) == 0; }

/// Another process on the same core, which takes `share` of its time: in every quarter of a millisecond it multiplies
/// matrices and streams through 16 MB, then sleeps. Where it may, it runs with real-time priority, as a camera's or a
/// motor's control would: it takes its share when it wants it, and images are slowed down evenly. Where it may not, the
/// scheduler gives it several milliseconds at a time, which images feel as single blows.
///
/// Waits after it was made, until `start`; lives as long as the object, and no longer than this process. Make it before
/// anything large: what a process writes to after a fork has to be copied first, and images would wait for that.
class co_runner {
public:
  explicit co_runner(int core, double share = 0.5) {
    const pid_t parent = getpid();
    child_ = fork();
    if (child_ < 0)
      throw dynofa::error(dynofa::errc::device, "co-runner", "to start a process",
                          std::generic_category().message(errno));
    if (child_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() == parent) work(core, share);
      _exit(1);
    }
    int status = 0;
    while (waitpid(child_, &status, WUNTRACED) < 0 && errno == EINTR) {
    }
    if (!WIFSTOPPED(status)) throw dynofa::error(dynofa::errc::device, "co-runner", "a process", "one that has ended");
  }
  co_runner(const co_runner&) = delete;
  co_runner& operator=(const co_runner&) = delete;
  ~co_runner() {
    kill(child_, SIGKILL);
    while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  void start() const { kill(child_, SIGCONT); }
  void stop() const { kill(child_, SIGSTOP); }
  bool real_time() const { return sched_getscheduler(child_) == SCHED_FIFO; }

private:
  static void work(int core, double share) {
    using clock = std::chrono::steady_clock;
    constexpr std::size_t n = 16, portion = 4096;
    constexpr auto period = std::chrono::microseconds(250);
    const auto busy = std::chrono::duration_cast<clock::duration>(share * period);
    std::vector<float> a(n * n, 1), b(n * n, 0.5f), c(n * n), large(4 << 20, 1);
    pin_to(core);
    const sched_param lowest{.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &lowest);
    raise(SIGSTOP);
    std::size_t at = 0;
    for (auto begin = clock::now();; begin += period) {
      if (clock::now() > begin + 4 * period) begin = clock::now(); // was held up: does not catch up
      while (clock::now() < begin + busy) {
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < n; ++j)
            for (std::size_t k = 0; k < n; ++k) c[i * n + j] += a[i * n + k] * b[k * n + j];
        for (std::size_t i = 0; i < portion; ++i) large[at + i] += c[i % (n * n)];
        at = (at + portion) % large.size();
      }
      std::this_thread::sleep_until(begin + period);
    }
  }

  pid_t child_ = -1;
};

} // namespace support
