// ctest: long
// ctest: threads
#include "dynofa/backend/cpu.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/process_coordinator.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

#include "made_up.hpp"
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace dynofa_test::runtime_stress {

// Everything at once, for DYNOFA_STRESS_SECONDS (600 unless given): two managers run images on one coordinator, their
// targets change from two threads, four threads switch a third network that runs, and processes that share a segment
// with a fourth are killed one after the other. Meant for the thread sanitizer.

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

double seconds() {
  const char* given = std::getenv("DYNOFA_STRESS_SECONDS");
  const double value = given ? std::atof(given) : 600;
  return value > 0 ? value : 600;
}
const auto grey = [](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); };

std::vector<level_figures> made_up_figures(const family& f) {
  return dynamic_network(made_up::backend{}, f).figures("made up");
}

} // namespace

TEST_CASE("managers, targets, switches and dying processes at once") {
  const family f = made_up::front(6);
  const std::vector<level_figures> levels = made_up_figures(f);
  const std::string name = text("stress-", getpid());
  // Before any thread: a process that makes the others, so that none is forked with threads running.
  const pid_t nursery = fork();
  if (nursery == 0) {
    random_stream random(1, "stress/nursery");
    while (true) {
      const pid_t child = fork();
      if (child == 0) {
        try {
          process_coordinator mine(name);
          auto m = mine.join(levels, {.weight = 2});
          while (true) {
            const std::size_t level = m.decide({.latency_ms = levels[3].latency_ms});
            m.observe(level, levels[level].latency_ms * (1 + 0.1 * random.uniform()));
            if (getppid() == 1) _exit(0);
          }
        } catch (const std::exception&) {
          _exit(1);
        }
      }
      std::this_thread::sleep_for(std::chrono::microseconds(2000 + random.below(30000)));
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }

  const auto end = std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                          std::chrono::duration<double>(seconds()));
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> images = 0, shared_images = 0, switches = 0, wrong = 0;
  {
    thread_coordinator device;
    using managed = manager<backend::cpu, thread_coordinator::member>;
    const auto weights = backend::cpu{}.pack(f.net());
    std::vector<std::unique_ptr<managed>> managers;
    for (int i = 0; i < 2; ++i)
      managers.push_back(std::make_unique<managed>(dynamic_network(backend::cpu{}, f, weights), device.join(levels),
                                                   target{.latency_ms = levels.back().latency_ms}));
    dynamic_network third(backend::cpu{}, f, weights);
    std::vector<std::jthread> threads;
    for (auto& m : managers) {
      threads.emplace_back([&, &m = *m] {
        std::vector<float> logits(m.network().classes());
        while (!stop) {
          const image_record& r = m.run(grey, logits);
          wrong += r.level >= levels.size();
          ++images;
        }
      });
      threads.emplace_back([&, &m = *m] {
        random_stream random(2, "stress/targets");
        while (!stop) {
          target t{.latency_ms = levels[random.below(6)].latency_ms * (0.5 + random.uniform())};
          if (random.chance(0.2)) t.min_top1 = 52;
          if (random.chance(0.2)) t.deadline_ms = t.latency_ms / 2;
          m.set_target(t);
          std::this_thread::sleep_for(std::chrono::microseconds(random.below(2000)));
        }
      });
    }
    threads.emplace_back([&] {
      std::vector<float> logits(third.classes());
      while (!stop) wrong += third.run(grey, logits) >= levels.size();
    });
    for (std::uint64_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        random_stream random(t, "stress/switches");
        while (!stop) {
          third.switch_to(random.below(6));
          ++switches;
          if (switches % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
      });
    threads.emplace_back([&] {
      random_stream random(3, "stress/shared");
      while (!stop) { // comes and goes as well
        process_coordinator mine(name);
        auto m = mine.join(levels);
        for (int i = 0; i < 2000 && !stop; ++i) {
          const std::size_t level = m.decide({.latency_ms = levels[3].latency_ms});
          wrong += level >= levels.size();
          m.observe(level, levels[level].latency_ms * (1 + random.uniform()));
          ++shared_images;
        }
      }
    });
    threads.emplace_back([&] { // members of the first coordinator that come and go
      random_stream random(4, "stress/guests");
      while (!stop) {
        auto guest = device.join(levels, {.weight = 0.5 + random.uniform()});
        for (int i = 0; i < 50; ++i) guest.observe(guest.decide({.latency_ms = levels[2].latency_ms}), 1 + i % 3);
        std::this_thread::sleep_for(std::chrono::milliseconds(random.below(20)));
      }
    });
    while (std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop = true;
    threads.clear();
    CHECK(device.members() == 2);
  }
  kill(nursery, SIGKILL); // its last child sees that it is gone and ends
  waitpid(nursery, nullptr, 0);
  CHECK(wrong == 0);
  CHECK(images > 100);
  CHECK(shared_images > 100);
  CHECK(switches > 1000);
  for (int i = 0; i < 500 && !process_coordinator::remove(name); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(access(("/dev/shm/dynofa-" + name).c_str(), F_OK) != 0);
  MESSAGE(images.load() << " images of two managers, " << shared_images.load() << " of a shared member, "
                        << switches.load() << " switches");
}

} // namespace dynofa_test::runtime_stress
