#pragma once
#include "dynofa/backend/cpu/after_fork.hpp"
#include "dynofa/backend/cpu/denormals.hpp"
#include "dynofa/backend/cpu/executor.hpp"
#include "dynofa/core/parallel_for.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// n − 1 workers and the caller. A worker that finds nothing to do spins for some tens of microseconds, which is longer
/// than the serial pieces of an image, and then sleeps in the kernel until the next image.
///
/// In a child process after fork, where no worker lives, the next `run` starts new ones.
class thread_pool {
public:
  /// Throws errc::device where the system gives no more threads.
  explicit thread_pool(int threads)
      : threads_{threads} {
    start();
  }
  ~thread_pool() { stop(); }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  /// task(context, i) for i in 0 … threads − 1, one on each thread. What the first task to fail threw is thrown here,
  /// after all have ended: they may use the caller's stack.
  void run(void (*task)(void*, int), void* context) {
    if (without_workers_) start();
    task_ = task;
    context_ = context;
    pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    publish();
    run_share(0);
    for (int spins = 0; pending_.load(std::memory_order_acquire) != 0; ++spins)
      if (spins < spin_limit)
        pause();
      else
        std::this_thread::yield();
    if (fault_) {
      failed_.store(false, std::memory_order_relaxed);
      std::rethrow_exception(std::exchange(fault_, nullptr));
    }
  }

private:
  static constexpr int spin_limit = 2000;

  void start() {
    try {
      for (int i = 1; i < threads_; ++i)
        dynofa::detail::start_thread(threads_, [&] { workers_.emplace_back([this, i] { work(i); }); });
    } catch (...) {
      stop();
      throw;
    }
    without_workers_ = false;
  }
  void stop() {
    stop_.store(true, std::memory_order_relaxed);
    publish();
    for (std::thread& w : workers_) w.join();
    forget_workers();
  }
  /// As before `start`.
  void forget_workers() {
    workers_.clear();
    epoch_ = 0, pending_ = 0, sleepers_ = 0, stop_ = false;
    without_workers_ = true;
  }
  /// Handles of threads that are not in this process can be neither joined nor destroyed.
  void leave_workers_to_parent() {
    static auto& of_parents = *new std::vector<std::vector<std::thread>>;
    of_parents.push_back(std::exchange(workers_, {}));
    forget_workers();
  }

  void run_share(int index) noexcept {
    try {
      task_(context_, index);
    } catch (...) {
      if (!failed_.exchange(true)) fault_ = std::current_exception();
    }
  }
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  void publish() {
    epoch_.fetch_add(1); // sequentially consistent, as the check for sleepers: one of the two sides sees the other
    if (sleepers_.load() > 0) epoch_.notify_all();
  }
  void work(int index) {
    const denormals_as_zero mode; // as the caller's while it runs an image (execution.hpp)
    for (std::uint32_t seen = 0;;) {
      int spins = 0;
      while (epoch_.load(std::memory_order_acquire) == seen) {
        if (++spins < spin_limit) {
          pause();
        } else {
          sleepers_.fetch_add(1);
          epoch_.wait(seen);
          sleepers_.fetch_sub(1);
        }
      }
      ++seen; // never misses one: the caller waits for all workers before it publishes the next
      if (stop_.load(std::memory_order_relaxed)) return;
      run_share(index);
      pending_.fetch_sub(1, std::memory_order_release);
    }
  }

  alignas(64) std::atomic<std::uint32_t> epoch_{0};
  alignas(64) std::atomic<int> pending_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false}, failed_{false};
  bool without_workers_ = true;
  void (*task_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::exception_ptr fault_; // of the task that set `failed_`
  int threads_;
  std::vector<std::thread> workers_;
  after_fork child_{[this] { leave_workers_to_parent(); }}; // last: nothing is told of a pool in the making
};

} // namespace dynofa::backend::cpu_detail
