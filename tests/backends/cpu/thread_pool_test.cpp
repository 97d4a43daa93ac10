// ctest: threads
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/execution.hpp"
#include "dynofa/backend/cpu/thread_pool.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include "support/no_more_threads.hpp"
#include "support/sentence.hpp"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <thread>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// The thread sanitizer ends a child process that starts threads, unless it is told otherwise.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; } // NOLINT: its name
#endif
#endif

namespace dynofa_test::backends_cpu_thread_pool {

using namespace dynofa;
using namespace dynofa::conformance;

TEST_CASE("every task runs once, on every turn, awake or asleep") {
  for (int threads : {2, 4}) {
    backend::cpu_detail::thread_pool pool{threads};
    std::vector<int> runs(static_cast<std::size_t>(threads)); // plain: each task has its own, the pool orders the rest
    for (int turn = 0; turn < 3000; ++turn) {
      pool.run([](void* context, int i) { ++(*static_cast<std::vector<int>*>(context))[static_cast<std::size_t>(i)]; },
               &runs);
      if (turn % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5)); // long enough to fall asleep
    }
    for (int n : runs) CHECK(n == 3000);
  }
  for (int i = 0; i < 20; ++i) backend::cpu_detail::thread_pool unused{3}; // starts and stops without work
}

TEST_CASE("the number of threads does not change the logits") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 11));
  const plan p = make_plan(d, varied_arch(d, 64, 2));
  const std::vector<float> image = normals(64 * 64 * 3, 12);
  const auto logits_of = [&](int threads) {
    const backend::cpu b{.threads = threads};
    const auto level = b.bind(b.pack(net), p, norms_of(*net, p));
    auto space = b.make_workspace(std::span(&p, 1));
    std::vector<float> logits(10, std::numeric_limits<float>::quiet_NaN());
    b.run(level, space, image, logits);
    return logits;
  };
  const std::vector<float> one = logits_of(1);
  CHECK(std::ranges::all_of(one, [](float v) { return std::isfinite(v); }));
  // sums for squeeze-excite may be taken in another order when rows are shared, so: equal to the last few bits
  for (int threads : {2, 3, 4}) CHECK(difference(logits_of(threads), one) < 1e-5);
  std::vector<float> other = one;
  other[3] += 0.01f;
  CHECK(difference(other, one) > 1e-5);
}

TEST_CASE("two user threads with a workspace each share one backend") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 13));
  const plan p = make_plan(d, varied_arch(d, 64, 1));
  for (int threads : {1, 2}) {
    const backend::cpu b{.threads = threads};
    const auto level = b.bind(b.pack(net), p, norms_of(*net, p));
    const std::vector<float> image = normals(64 * 64 * 3, 14);
    std::vector<float> results[3] = {std::vector<float>(10), std::vector<float>(10), std::vector<float>(10)};
    auto work = [&](std::vector<float>& logits) {
      auto space = b.make_workspace(std::span(&p, 1));
      for (int i = 0; i < 20; ++i) b.run(level, space, image, logits);
    };
    work(results[2]);
    std::thread first{work, std::ref(results[0])}, second{work, std::ref(results[1])};
    first.join(), second.join();
    for (int i : {0, 1}) CHECK(std::memcmp(results[i].data(), results[2].data(), 40) == 0);
  }
}

namespace {

struct shares {
  int thrower;
  std::atomic<int> ended{0};
};
void end_late_or_throw(shares& all, int i) {
  if (i == all.thrower) throw std::bad_alloc();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ++all.ended;
}

/// A new thread for every task.
const backend::executor new_threads{nullptr, [](void*, int tasks, void (*task)(void*, int), void* context) {
                                      std::vector<std::thread> threads;
                                      for (int i = 0; i < tasks; ++i) threads.emplace_back(task, context, i);
                                      for (std::thread& t : threads) t.join();
                                    }};

/// Whether `job` says so in a child process, within half a minute.
[[maybe_unused]] bool in_child(const std::function<bool()>& job) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    _exit(job() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

} // namespace

TEST_CASE("what a task throws reaches the caller when all have ended, and the threads go on") {
  for (const int threads : {2, 4})
    for (const int thrower : {0, threads - 1}) {
      backend::cpu_detail::thread_pool pool{threads};
      const auto task = [](void* context, int i) { end_late_or_throw(*static_cast<shares*>(context), i); };
      for (int turn = 0; turn < 3; ++turn) {
        shares all{thrower};
        CHECK_THROWS_AS(pool.run(task, &all), std::bad_alloc);
        CHECK(all.ended == threads - 1);
        shares good{-1};
        pool.run(task, &good);
        CHECK(good.ended == threads);
      }
      const backend::cpu_detail::execution given("", threads, new_threads, backend::cpu_detail::number_format::fp32);
      shares all{thrower};
      CHECK_THROWS_AS(given.parallel([&](int i) { end_late_or_throw(all, i); }), std::bad_alloc);
      CHECK(all.ended == threads - 1);
    }
}

#ifndef DYNOFA_EMULATED // qemu-user takes the memory of a stack that no machine has
TEST_CASE("a system that gives no thread is one sentence") {
  const support::no_more_threads scope;
  CHECK(support::sentence([] { (void)backend::cpu{.threads = 4}; }) == support::no_four_threads);
}
#endif

#ifndef DYNOFA_EMULATED // qemu-user takes the memory of a stack that no machine has
TEST_CASE("a child process after fork has threads of its own, even if an image was running") {
  const space_description d = every_block();
  const auto net = std::make_shared<const supernet>(random_supernet(d, 15));
  const plan p = make_plan(d, varied_arch(d, 64, 1));
  const std::vector<float> image = normals(64 * 64 * 3, 16);
  const backend::cpu b{.threads = 3};
  const auto level = b.bind(b.pack(net), p, norms_of(*net, p));
  auto space = b.make_workspace(std::span(&p, 1));
  std::vector<float> wanted(10);
  b.run(level, space, image, wanted);
  const auto as_before = [&] {
    std::vector<float> got(10);
    for (int i = 0; i < 3; ++i) b.run(level, space, image, got);
    return std::memcmp(got.data(), wanted.data(), 40) == 0;
  };
  CHECK(in_child([&] { return as_before() && in_child(as_before); }));

  std::atomic<bool> stop{false};
  std::thread other([&] { // holds the backend's lock nearly always
    auto own = b.make_workspace(std::span(&p, 1));
    std::vector<float> logits(10);
    while (!stop) b.run(level, own, image, logits);
  });
  for (int i = 0; i < 5; ++i) CHECK(in_child(as_before));
  stop = true;
  other.join();
  CHECK(as_before());

  auto pool = std::make_unique<backend::cpu_detail::thread_pool>(3);
  CHECK(in_child([&] { // never used there
    pool.reset();
    return true;
  }));
  CHECK(in_child([&] { // and a sentence while no thread can be had
    std::string said;
    {
      const support::no_more_threads scope;
      said = support::sentence(as_before);
    }
    return said == "threads: expected to start 3, got Resource temporarily unavailable" && as_before();
  }));
}
#endif

} // namespace dynofa_test::backends_cpu_thread_pool
