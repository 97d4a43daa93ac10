#pragma once
#include "dynofa/backend/cpu/executor.hpp"
#include "dynofa/core/error.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// n − 1 workers and the caller. A worker that finds nothing to do spins for some tens of microseconds, which is longer
/// than the serial pieces of an image, and then sleeps in the kernel until the next image.
class thread_pool {
public:
  /// Throws errc::device where the system gives no more threads.
  explicit thread_pool(int threads) {
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error& e) {
      stop();
      throw error(errc::device, "threads", text("to start ", threads), e.code().message());
    }
  }
  ~thread_pool() { stop(); }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  /// task(context, i) for i in 0 … threads − 1, one on each thread.
  void run(void (*task)(void*, int), void* context) {
    task_ = task;
    context_ = context;
    pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    publish();
    task(context, 0);
    for (int spins = 0; pending_.load(std::memory_order_acquire) != 0; ++spins)
      if (spins < spin_limit)
        pause();
      else
        std::this_thread::yield();
  }

private:
  static constexpr int spin_limit = 2000;

  void stop() {
    stop_.store(true, std::memory_order_relaxed);
    publish();
    for (std::thread& w : workers_) w.join();
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
      task_(context_, index);
      pending_.fetch_sub(1, std::memory_order_release);
    }
  }

  alignas(64) std::atomic<std::uint32_t> epoch_{0};
  alignas(64) std::atomic<int> pending_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  void (*task_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::vector<std::thread> workers_;
};

} // namespace dynofa::backend::cpu_detail
