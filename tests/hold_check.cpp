#include "dynofa/backend/cpu.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/reactive.hpp"

#include "../examples/support/co_runner.hpp"
#include "runtime/made_up.hpp"
#include "support/checks.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

namespace {

constexpr const char* help = R"(hold_check FAMILY [CORE]

Holds a target on this CPU while another process comes to the same core and goes, ten times. The target is 1.4
times what the most accurate level takes alone, so that level runs until then. Counts the images from the first
late one to the first in time again. Also: switches while nothing happens, and what the manager adds to an
image. Close everything else first; about one minute.)";

using namespace dynofa;
using namespace dynofa::runtime;
using clock_type = std::chrono::steady_clock;

using support::check, support::fixed;
double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}
const auto ready = [](int, std::span<float>) {}; // the image lies there already

struct disturbance {
  std::size_t to_recover = 0; ///< images from the first late one to the first in time, both counted; 0: none was late
  std::size_t late_after = 0; ///< of the images that follow, up to the end of the co-runner
  std::size_t after = 0;
  std::size_t to_return = 0;      ///< images until the former level runs again
  std::vector<double> slow_downs; ///< of the images beside the co-runner, against the level's table
};

constexpr std::size_t alone = 150, beside = 150, most_after = 400;

template <class Policy>
disturbance disturb(const family& f, std::span<const level_figures> levels, double limit,
                    const support::co_runner& other) {
  manager m(dynamic_network(backend::cpu{}, f), Policy(levels), {.latency_ms = limit});
  std::vector<float> logits(m.network().classes());
  for (std::size_t i = 0; i < alone; ++i) m.run(ready, logits);
  const std::size_t before = m.last().level;
  disturbance d;
  other.start();
  bool late = false, recovered = false;
  for (std::size_t i = 0; i < beside; ++i) {
    const image_record& r = m.run(ready, logits);
    d.slow_downs.push_back(r.latency_ms / levels[r.level].latency_ms);
    if (recovered) {
      ++d.after;
      d.late_after += r.late();
    } else if (late |= r.late(); late) {
      ++d.to_recover;
      recovered = !r.late();
    }
  }
  other.stop();
  while (m.last().level < before && d.to_return < most_after) m.run(ready, logits), ++d.to_return;
  return d;
}

template <class Policy>
std::vector<disturbance> disturb_often(const family& f, std::span<const level_figures> levels, double limit,
                                       const support::co_runner& other) {
  std::vector<disturbance> all;
  for (int repeat = 0; repeat < 10; ++repeat) all.push_back(disturb<Policy>(f, levels, limit, other));
  std::cout << "      " << std::left << std::setw(9) << std::string(Policy::name) << std::right
            << " images to recover:";
  for (const auto& d : all) std::cout << ' ' << d.to_recover;
  std::vector<double> slow_downs, returns;
  std::size_t late = 0, after = 0;
  for (const auto& d : all) {
    slow_downs.push_back(median(d.slow_downs)), returns.push_back(static_cast<double>(d.to_return));
    late += d.late_after, after += d.after;
  }
  std::cout << "; then late "
            << fixed(100.0 * static_cast<double>(late) / static_cast<double>(std::max<std::size_t>(after, 1)), 1)
            << " %; slowed down " << fixed(median(slow_downs), 2) << " times; back on the former level after "
            << median(returns) << " images\n";
  const auto worst = std::max_element(
      all.begin(), all.end(), [](const disturbance& a, const disturbance& b) { return a.to_recover < b.to_recover; });
  std::cout << "      its worst: slowed down";
  for (std::size_t i = 0; i < std::min<std::size_t>(worst->to_recover + 2, 8); ++i)
    std::cout << ' ' << fixed(worst->slow_downs[i]);
  std::cout << " times by the first images beside the other process\n";
  return all;
}

/// The same around a network that takes no time.
double warm_overhead_us() {
  const family f = made_up::front(10);
  dynamic_network net(made_up::backend{}, f);
  const forecast policy(net.figures("made up"));
  manager m(std::move(net), policy, {.latency_ms = 1});
  std::vector<float> logits(m.network().classes());
  std::vector<double> times;
  for (int i = 0; i < 20'000; ++i) {
    const auto start = clock_type::now();
    m.run(ready, logits);
    times.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - start).count());
  }
  return median(times);
}

void run(const std::string& file, int core) {
  support::pin_to(core);
  const support::co_runner other(core);
  const bool first = support::go_first();
  family f = load_family(file);
  const std::string device = remeasure_latencies(f, backend::cpu{}, 40);
  f.keep_front(device);
  const auto levels = dynamic_network(backend::cpu{}, f).figures(device);
  const double limit = 1.4 * levels.back().latency_ms;
  std::cout << file << ": " << levels.size() << " levels of " << fixed(levels.front().latency_ms, 2) << " to "
            << fixed(levels.back().latency_ms, 2) << " ms on " << device << "; target " << fixed(limit, 2)
            << " ms; the other process has " << (other.real_time() ? "real-time" : "ordinary") << " priority, this one "
            << (first ? "goes before all other ordinary ones\n" : "has no more than others\n");

  const auto held = disturb_often<forecast>(f, levels, limit, other);
  std::vector<double> counts;
  for (const auto& d : held) counts.push_back(static_cast<double>(d.to_recover));
  std::sort(counts.begin(), counts.end());
  check(counts.front() > 0 && counts.back() <= 3,
        text("forecast, a process comes to the core, 10 times: in time again with image ", median(counts),
             " (median), ", counts.back(), " (worst), counted from the first late one (wanted: <= 3)"));
  disturb_often<reactive>(f, levels, limit, other); // for comparison

  manager m(dynamic_network(backend::cpu{}, f), forecast(levels), {.latency_ms = limit});
  std::vector<float> logits(m.network().classes());
  std::vector<double> overhead;
  std::size_t switches = 0, outliers = 0;
  constexpr std::size_t settle = 200, images = 3000;
  for (std::size_t i = 0; i < settle + images; ++i) {
    const auto start = clock_type::now();
    const image_record& r = m.run(ready, logits);
    overhead.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - start).count() -
                       1000 * r.latency_ms);
    switches += i >= settle && r.switched, outliers += i >= settle && r.outlier;
  }
  check(1000 * switches <= images, text("alone: ", switches, " switches in ", images, " images, of which ", outliers,
                                        " were disturbed to 1.5 times their window's median (wanted: <= 1 in 1000)"));
  std::cout << "      an image takes " << fixed(median(overhead), 2)
            << " us longer than its network, median: the network has emptied the caches of what the manager needs\n";
  const double warm = warm_overhead_us();
  check(warm <= 2,
        text("the manager adds ", fixed(warm, 2),
             " us to an image with forecast, 10 levels, log and state, median, in the caches (wanted: <= 2)"));
}

} // namespace

int main(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  if (argc < 2 || argc > 3) {
    std::cerr << "hold_check FAMILY [CORE]\n";
    return 2;
  }
  return support::count_checks(
      [&] { run(argv[1], argc == 3 ? static_cast<int>(report::read_number("CORE", argv[2], 0, 1023)) : 0); });
}
