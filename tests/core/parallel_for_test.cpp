// ctest: threads
#include "dynofa/core/parallel_for.hpp"

#include <doctest/doctest.h>

#include "support/no_more_threads.hpp"
#include "support/sentence.hpp"
#include <chrono>
#include <stdexcept>

namespace dynofa_test::core_parallel_for {

using namespace dynofa;
using support::sentence;

TEST_CASE("every index once, however many threads") {
  for (int threads : {1, 2, 4, 100})
    for (std::size_t n : {0, 1, 3, 1000}) {
      std::vector<int> calls(n); // plain: each index is one thread's
      parallel_for(n, threads, [&](std::size_t i) { ++calls[i]; });
      CHECK(std::count(calls.begin(), calls.end(), 1) == static_cast<std::ptrdiff_t>(n));
    }
  CHECK(hardware_threads() >= 1);
  CHECK(sentence([] { parallel_for(1, 0, [](std::size_t) {}); }) == "threads: expected at least 1, got 0");
}

TEST_CASE("the fault of the lowest index is thrown when all have ended, and ends the loop") {
  for (int threads : {1, 2, 4})
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::atomic<int> begun{0}, ended{0};
      CHECK_THROWS_WITH_AS(parallel_for(100'000, threads,
                                        [&](std::size_t i) {
                                          ++begun;
                                          if (i == 9) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                                          ++ended;
                                          if (i >= 9) throw std::runtime_error(text("index ", i));
                                        }),
                           "index 9", std::runtime_error);
      CHECK(begun == ended);
      CHECK(begun < 10 + threads);
    }
}

#ifndef DYNOFA_EMULATED // qemu-user takes the memory of a stack that no machine has
TEST_CASE("a system that gives no thread is one sentence") {
  const support::no_more_threads scope;
  CHECK(sentence([] { parallel_for(1000, 4, [](std::size_t) {}); }) == support::no_four_threads);
}
#endif

} // namespace dynofa_test::core_parallel_for
