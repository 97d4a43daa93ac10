#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/hardware_threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace dynofa {

namespace detail {

/// `start()` makes a thread of the `wanted` ones. Throws errc::device where the system gives none, or no memory for it.
template <class Start>
void start_thread(int wanted, Start&& start) {
  const auto refused = [&](const std::string& why) {
    return error(errc::device, "threads", text("to start ", wanted), why);
  };
  try {
    start();
  } catch (const std::system_error& e) {
    throw refused(e.code().message());
  } catch (const std::bad_alloc&) {
    throw refused("no memory for one more");
  }
}

} // namespace detail

/// f(i) for every i below `n`, on `threads` threads, the caller's among them; indices are taken in ascending order.
///
/// Once a call throws, no further index is taken, and what the lowest index threw is thrown here when every thread has
/// ended: the same fault however many threads. Throws errc::invalid_argument for less than 1 thread, errc::device where
/// the system gives no more.
template <class F>
void parallel_for(std::size_t n, int threads, F&& f) {
  if (threads < 1) throw error(errc::invalid_argument, "threads", "at least 1", text(threads));
  std::atomic<std::size_t> next{0};
  std::mutex mutex; // guards what follows
  std::size_t first_fault = n;
  std::exception_ptr fault;
  const auto work = [&] {
    // Indices are taken in order, so all below a faulty one are already someone's and will be finished.
    for (std::size_t i; (i = next++) < n;) try {
        f(i);
      } catch (...) {
        next = n;
        const std::lock_guard lock(mutex);
        if (i < first_fault) first_fault = i, fault = std::current_exception();
      }
  };
  std::exception_ptr refused;
  {
    std::vector<std::jthread> others; // join at the end of this block
    try {
      for (int t = 1; t < threads && static_cast<std::size_t>(t) < n; ++t)
        detail::start_thread(threads, [&] { others.emplace_back(work); });
    } catch (...) {
      next = n;
      refused = std::current_exception();
    }
    work();
  }
  if (fault) std::rethrow_exception(fault);
  if (refused) std::rethrow_exception(refused);
}

} // namespace dynofa
