#pragma once
#include <chrono>

namespace dynofa::backend {

/// Milliseconds per call of `work`, by the host's clock: what `time_block` and `time_run` of a backend give whose
/// device has none of its own.
template <class Work>
double milliseconds_per_run(int repeats, Work work) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / repeats;
}

} // namespace dynofa::backend
