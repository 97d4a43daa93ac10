#pragma once
#include <pthread.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// While it lives, `repair` is called in every child process that `fork` makes, before `fork` returns there: the other
/// threads are gone, what they were doing stays half done, and locks that they held are held for ever.
class after_fork {
public:
  explicit after_fork(std::function<void()> repair)
      : repair_{std::move(repair)} {
    const std::lock_guard lock(known().mutex);
    known().all.push_back(this);
  }
  ~after_fork() {
    const std::lock_guard lock(known().mutex);
    std::erase(known().all, this);
  }
  after_fork(const after_fork&) = delete;
  after_fork& operator=(const after_fork&) = delete;

private:
  struct registry {
    std::mutex mutex;
    std::vector<after_fork*> all;
  };
  /// Never destroyed: static objects may be told as well.
  static registry& known() {
    static registry& one = *[] {
      if (pthread_atfork([] { known().mutex.lock(); }, [] { known().mutex.unlock(); },
                         [] {
                           for (after_fork* each : known().all) each->repair_();
                           known().mutex.unlock();
                         }) != 0)
        throw std::bad_alloc();
      return new registry;
    }();
    return one;
  }

  std::function<void()> repair_;
};

} // namespace dynofa::backend::cpu_detail
