#include "dynofa/backend/cpu.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/process_coordinator.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"

#include "../examples/support/co_runner.hpp"
#include "support/checks.hpp"
#include "support/help.hpp"
#include "support/random_family.hpp"
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr const char* help = R"(share_check [FAMILY [CORE]]

Two dynamic networks on one core of this CPU, for real: in two threads, coordinated and each by itself, and in
two processes of which one is killed at a random moment, five times. Each has a camera that gives an image every
3 and 3.4 times what the most accurate level takes alone; the limit is 1.5 times that, so alone the most
accurate level is in time, and beside another one it is not. Without a family random weights run. Close
everything else first; about a minute and a half.)";

using namespace dynofa;
using namespace dynofa::runtime;
using clock_type = std::chrono::steady_clock;
using milliseconds = std::chrono::duration<double, std::milli>;

using support::check, support::fixed;
const auto ready = [](int, std::span<float>) {}; // the image lies there already

struct image {
  double at_ms, latency_ms;
  std::size_t level;
};
struct scene {
  const family& f;
  std::vector<level_figures> levels;
  int core;
  double top_ms = levels.back().latency_ms, limit_ms = 1.5 * top_ms;

  /// An image per period from `from` to `until` (ms from `start` on), each given to `seen(manager, image)`.
  template <class Policy, class Seen>
  void camera(Policy policy, clock_type::time_point start, double from, double until, double period, Seen seen) const {
    support::pin_to(core);
    manager m(dynamic_network(backend::cpu{}, f), std::move(policy), {.latency_ms = limit_ms});
    std::vector<float> logits(m.network().classes());
    auto next = start + std::chrono::duration_cast<clock_type::duration>(milliseconds(from));
    std::this_thread::sleep_until(next);
    while (milliseconds(next - start).count() < until) {
      const image_record& r = m.run(ready, logits);
      seen(m, image{milliseconds(clock_type::now() - start).count(), r.latency_ms, r.level});
      next = std::max(next + std::chrono::duration_cast<clock_type::duration>(milliseconds(period)), clock_type::now());
      std::this_thread::sleep_until(next);
    }
  }
};

struct pair_figures {
  std::size_t images = 0, late = 0, switches = 0;
  double level_sum = 0, back_ms = 0; // until four images in a row were in time
};

/// A alone for 4 s, then B comes; judged from 1 s after that on.
template <class Join>
std::array<pair_figures, 2> in_threads(const scene& s, Join join) {
  constexpr double arrival = 4000, end = 16000;
  std::array<pair_figures, 2> result;
  std::array<std::vector<image>, 2> images;
  {
    const auto start = clock_type::now() + std::chrono::milliseconds(300);
    std::vector<std::jthread> threads;
    for (std::size_t m = 0; m < 2; ++m)
      threads.emplace_back([&, m] {
        if (m == 1) std::this_thread::sleep_until(start + std::chrono::milliseconds(3500)); // joins when it arrives
        s.camera(join(), start, m == 0 ? 0 : arrival, end, s.top_ms * (m == 0 ? 3 : 3.4),
                 [&](auto&, const image& i) { images[m].push_back(i); });
      });
  }
  for (std::size_t m = 0; m < 2; ++m) {
    int in_time = 0;
    std::size_t before = images[m].front().level;
    for (const image& i : images[m]) {
      if (i.at_ms < arrival) continue;
      const bool late = i.latency_ms > s.limit_ms;
      in_time = late ? 0 : in_time + 1;
      if (in_time == 4 && result[m].back_ms == 0) result[m].back_ms = i.at_ms - arrival;
      if (i.at_ms > arrival + 1000) {
        ++result[m].images;
        result[m].late += late;
        result[m].switches += i.level != before;
        result[m].level_sum += static_cast<double>(i.level);
      }
      before = i.level;
    }
  }
  return result;
}

void print(const char* what, const std::array<pair_figures, 2>& both) {
  for (std::size_t m = 0; m < 2; ++m) {
    const pair_figures& f = both[m];
    const double n = static_cast<double>(f.images);
    std::cout << "      " << what << (m == 0 ? ", A: " : ", B: ") << "four in time after " << fixed(f.back_ms, 0)
              << " ms; from 1 s on late " << f.late << " of " << f.images << " images, mean level "
              << fixed(f.level_sum / n, 2) << ", " << f.switches << " switches\n";
  }
}

void check_threads(const scene& s) {
  std::cout << "two threads on core " << s.core << "; B comes after 4 s\n";
  thread_coordinator device;
  const auto together = in_threads(s, [&] { return device.join(s.levels); });
  print("coordinated   ", together);
  print("each by itself", in_threads(s, [&] { return forecast(s.levels); }));
  bool met = true;
  std::size_t late = 0, images = 0;
  for (const pair_figures& f : together) {
    met &= 10 * f.late <= f.images && f.back_ms <= 1000;
    late += f.late, images += f.images;
  }
  check(met, text("both targets (95 % in time) met within 1 s of B's arrival, and then at most 10 % late: ", late,
                  " of ", images));
}

void check_processes(const scene& s) {
  std::cout << "two processes on core " << s.core << "; B is killed\n";
  random_stream random(1, "share_check");
  const std::string name = text("share-check-", getpid());
  for (int repeat = 0; repeat < 5; ++repeat) {
    process_coordinator device(name);
    const double arrival = 4000, death = arrival + 1500 + 2500 * random.uniform(), end = death + 6000;
    const auto start = clock_type::now() + std::chrono::milliseconds(200);
    const pid_t child = fork();
    if (child == 0) {
      std::this_thread::sleep_until(start + std::chrono::milliseconds(3700)); // joins when it arrives
      process_coordinator mine(name);
      s.camera(mine.join(s.levels), start, arrival, 1e9, s.top_ms * 3.4, [](auto&, const image&) {});
      _exit(0);
    }
    std::jthread killer([&] {
      std::this_thread::sleep_until(start + std::chrono::duration_cast<clock_type::duration>(milliseconds(death)));
      kill(child, SIGKILL);
    });
    double noticed = 0;
    std::size_t most_members = 0;
    struct mean {
      double sum = 0, n = 0;
      void add(std::size_t level) { sum += static_cast<double>(level), ++n; }
      double value() const { return sum / n; }
    } alone, beside, after;
    s.camera(device.join(s.levels), start, 0, end, s.top_ms * 3, [&](auto& m, const image& i) {
      double members = 0;
      m.policy().dump([&](std::string_view field, double value) {
        if (field == "members") members = value;
      });
      most_members = std::max(most_members, static_cast<std::size_t>(members));
      if (i.at_ms > 1000 && i.at_ms < arrival - 500) alone.add(i.level);
      if (i.at_ms > arrival + 500 && i.at_ms < death) beside.add(i.level);
      if (i.at_ms > death + 3000) after.add(i.level);
      if (i.at_ms > death && members == 1 && noticed == 0) noticed = i.at_ms - death;
    });
    killer.join();
    waitpid(child, nullptr, 0);
    check(most_members == 2 && noticed > 0 && noticed <= 1000 && after.value() > alone.value() - 0.5,
          text("B killed ", fixed(death - arrival, 0), " ms after its arrival: noticed after ", fixed(noticed, 0),
               " ms; A's mean level alone ", fixed(alone.value()), ", beside B ", fixed(beside.value()),
               ", from 3 s after its death on ", fixed(after.value())));
  }
}

void run(family f, int core) {
  support::pin_to(core);
  const std::string device = remeasure_latencies(f, backend::cpu{}, 30);
  f.keep_front(device);
  const scene s{f, dynamic_network(backend::cpu{}, f).figures(device), core};
  std::cout << s.levels.size() << " levels of " << fixed(s.levels.front().latency_ms, 2) << " to " << fixed(s.top_ms, 2)
            << " ms on " << device << "; limit " << fixed(s.limit_ms, 2) << " ms\n";
  check_processes(s);
  check_threads(s);
}

} // namespace

int main(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  if (argc > 3) {
    std::cerr << "share_check [FAMILY [CORE]]\n";
    return 2;
  }
  return support::count_checks([&] {
    run(argc > 1 ? load_family(argv[1]) : support::random_family(),
        argc > 2 ? static_cast<int>(report::read_number("CORE", argv[2], 0, 1023)) : 0);
  });
}
