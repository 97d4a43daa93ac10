// ctest: threads
#include "dynofa/core/random.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"

#include <doctest/doctest.h>

#include "families.hpp"
#include <atomic>
#include <cmath>
#include <optional>
#include <thread>
#include <vector>

namespace dynofa_test::runtime_coordinator {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

/// Two networks in turn; the one's latency grows with the other's.
void rounds(thread_coordinator::member& a, const target& of_a, thread_coordinator::member* b, const target& of_b, int n,
            double& ms_a, double& ms_b) {
  while (n-- > 0) {
    const std::size_t level = a.decide(of_a);
    ms_a = paper_six[level].latency_ms * (1 + (b ? 0.3 * ms_b / 41.16 : 0));
    a.observe(level, ms_a);
    if (!b) continue;
    const std::size_t other = b->decide(of_b);
    ms_b = paper_six[other].latency_ms * (1 + 0.3 * ms_a / 41.16);
    b->observe(other, ms_b);
  }
}

} // namespace

TEST_CASE("members share a device, and who leaves frees his part") {
  thread_coordinator device;
  CHECK(device.members() == 0);
  thread_coordinator::member a = device.join(paper_six, {.first = 5});
  double ms_a = 0, ms_b = 0;
  rounds(a, {.latency_ms = 85}, nullptr, {}, 50, ms_a, ms_b);
  CHECK(a.decide({.latency_ms = 85}) == 5);
  {
    thread_coordinator::member b = device.join(paper_six, {.first = 4});
    const thread_coordinator::member copy = b;
    CHECK(device.members() == 2);
    rounds(a, {.latency_ms = 85}, &b, {.latency_ms = 85}, 100, ms_a, ms_b);
    CHECK(ms_a < 85);
    CHECK(ms_b < 85);
    CHECK(a.decide({.latency_ms = 85}) < 5);
    CHECK(copy.levels().size() == 6);
  }
  CHECK(device.members() == 1);
  ms_b = 0;
  rounds(a, {.latency_ms = 85}, nullptr, {}, 50, ms_a, ms_b);
  CHECK(a.decide({.latency_ms = 85}) == 5);
  CHECK(thread_coordinator::member::name == "coordinated");
  int fields = 0;
  a.dump([&](std::string_view, double value) { fields += std::isfinite(value); });
  CHECK(fields == 8);
}

TEST_CASE("a member outlives its coordinator, a bad member is refused and takes no place") {
  std::optional<thread_coordinator::member> a;
  {
    thread_coordinator device;
    CHECK_THROWS_AS(device.join({}), error);
    CHECK_THROWS_AS(device.join(paper_six, {.weight = -1}), error);
    CHECK(device.members() == 0);
    a = device.join(paper_six);
  }
  a->observe(a->decide({.latency_ms = 50}), 42);
  CHECK(a->levels()[a->decide({.latency_ms = 50})].latency_ms <= 50);
  CHECK_THROWS_AS(thread_coordinator({.tie = -1}), error);
}

TEST_CASE("many threads: members come, run with changing targets, and go") {
  thread_coordinator device;
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        random_stream random(t, "coordinator_test");
        for (int life = 0; life < 20; ++life) {
          thread_coordinator::member m = device.join(paper_six, {.weight = 1 + random.uniform()});
          target wanted{.latency_ms = 80};
          for (int i = 0; i < 200; ++i) {
            if (random.chance(0.02)) wanted.latency_ms = 40 + 80 * random.uniform();
            const std::size_t level = m.decide(wanted);
            wrong += level >= paper_six.size();
            wrong += name(m.why()).empty();
            m.observe(level, paper_six[level].latency_ms * (1 + random.uniform()));
            if (i % 50 == 0) m.dump([&](std::string_view, double value) { wrong += !std::isfinite(value); });
          }
        }
      });
  }
  CHECK(wrong == 0);
  CHECK(device.members() == 0);
}

} // namespace dynofa_test::runtime_coordinator
