// ctest: threads
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/thread_pool.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

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

} // namespace dynofa_test::backends_cpu_thread_pool
