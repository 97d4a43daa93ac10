#pragma once
#include "dynofa/core/error.hpp"

#include <sched.h>
#include <sys/prctl.h>
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

/// Another process that wants the same core: `share` of every millisecond it multiplies small matrices and streams
/// through 16 MB, then it sleeps. It works in portions this small so that a slow-down is spread over images, as other
/// programs spread it; one that never sleeps takes the core for several milliseconds at a time. Lives as long as the
/// object, and no longer than this process.
class co_runner {
public:
  explicit co_runner(int core, double share = 0.5) {
    const pid_t parent = getpid();
    child_ = fork();
    if (child_ < 0)
      throw dynofa::error(dynofa::errc::device, "co-runner", "to start a process",
                          std::generic_category().message(errno));
    if (child_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    if (getppid() != parent) _exit(0);
    try {
      pin_to(core);
      work(share);
    } catch (...) {
    }
    _exit(1);
  }
  co_runner(const co_runner&) = delete;
  co_runner& operator=(const co_runner&) = delete;
  ~co_runner() {
    kill(child_, SIGKILL);
    while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

private:
  [[noreturn]] static void work(double share) {
    using clock = std::chrono::steady_clock;
    constexpr std::size_t n = 32;
    std::vector<float> a(n * n, 1), b(n * n, 0.5f), c(n * n), large(4 << 20, 1);
    std::size_t at = 0;
    const auto busy = std::chrono::duration_cast<clock::duration>(std::chrono::duration<double, std::milli>(share));
    for (auto period = clock::now();; period += std::chrono::milliseconds(1)) {
      while (clock::now() < period + busy) {
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < n; ++j)
            for (std::size_t k = 0; k < n; ++k) c[i * n + j] += a[i * n + k] * b[k * n + j];
        for (std::size_t i = 0; i < 16384; ++i) large[at + i] += c[i % (n * n)];
        at = (at + 16384) % large.size();
      }
      if (clock::now() > period + std::chrono::milliseconds(10)) period = clock::now(); // was held up: do not catch up
      std::this_thread::sleep_until(period + std::chrono::milliseconds(1));
    }
  }

  pid_t child_ = -1;
};

} // namespace support
