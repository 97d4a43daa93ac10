#include "dynofa/runtime/coordination_rule.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/simulate/simulated_device.hpp"

#include "support/checks.hpp"
#include "support/help.hpp"
#include "support/level_tables.hpp"
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

constexpr const char* help = R"(coordinate_check [--seeds A:B] [--members N]

Several dynamic networks on one simulated device, from seeds; share_check does it for real. The parameters of
`coordination_rule` were chosen on seeds 1 to 30; 101 to 200 and 5001 to 5100 were looked at before the last change,
51001 to 51060 after it.)";

using support::check, support::fixed;
const std::vector<support::level_table> families = support::level_tables();

/// A coordination as the control of a simulated device.
struct coordinated {
  explicit coordinated(const simulated_device& d)
      : device{d}
      , number(d.members.size()) {}
  void arrive(std::size_t m) {
    const device_member& who = device.members[m];
    number[m] = rule.join(who.levels, {.weight = who.weight, .first = m < first.size() ? first[m] : by_forecast});
  }
  void leave(std::size_t m) { rule.leave(number[m]); }
  std::size_t decide(std::size_t m, const target& t) { return rule.decide(number[m], t); }
  void observe(std::size_t m, std::size_t level, double ms) { rule.observe(number[m], level, ms); }
  reason why(std::size_t m) const { return rule.why(number[m]); }

  static constexpr std::size_t by_forecast = member_options::by_forecast;
  const simulated_device& device;
  coordination_rule rule;
  std::vector<std::size_t> number, first;
};

/// Fig. 8 from its starting point: A runs alone at level 6, B arrives at level 5, A and B are too slow for their limits
/// now; A goes 6 → 5, still too slow, then B 5 → 4, and both are in time. (Levels counted from 1, as there.)
void check_figure_8() {
  simulated_device d;
  d.contention = 0.5;
  d.noise = 0.01;
  d.duration_ms = 20000;
  for (int m = 0; m < 2; ++m) {
    device_member who;
    who.levels = families[0].levels;
    who.period_ms = 100;
    who.from_ms = m == 0 ? 0 : 5000;
    d.members.push_back(who);
  }
  const std::vector<double> after = d.settled_ms({4, 3}, 6000);
  for (std::size_t m = 0; m < 2; ++m) d.members[m].targets = {{0, {.latency_ms = (m == 0 ? 1.09 : 1.12) * after[m]}}};
  std::map<std::string, int> stories;
  std::size_t late = 0, images = 0;
  double settled = 0;
  for (d.seed = 1; d.seed <= 20; ++d.seed) {
    coordinated control(d);
    control.first = {5, 4};
    std::vector<std::size_t> level = {99, 99};
    std::string story;
    replay(d, control, [&](const shared_image& i) {
      if (level[i.member] != i.level && level[i.member] != 99) {
        story += text(story.empty() ? "" : ", ", i.member == 0 ? "A " : "B ", level[i.member] + 1, " to ", i.level + 1);
        settled = std::max(settled, i.from_ms - 5000);
      }
      level[i.member] = i.level;
      if (i.from_ms < 6000) return;
      ++images;
      late += i.latency_ms > i.limit_ms;
    });
    ++stories[story];
  }
  for (const auto& [story, times] : stories) std::cout << "      " << times << " times: " << story << '\n';
  check(stories["A 6 to 5, B 5 to 4"] == 20 && settled <= 1000 && 20 * late <= images,
        text("figure 8, 20 seeds: A 6 to 5, B 5 to 4 in all, at the latest ", fixed(settled, 0),
             " ms after B's arrival; from 1 s after it ", late, " of ", images, " images late"));
}

struct figures {
  std::size_t images = 0, late = 0, switches = 0; // of segments in which all can be in time, from 1 s on
  std::size_t segments = 0, feasible = 0, not_met = 0;
  double top1 = 0, oracle_top1 = 0; // sums over those images
  double slowest_ms = 0;            // until everybody's level was in time and stayed so
};

/// Replays and judges each segment between two events in which an oracle gets everybody in time.
template <class Control>
void judge(const simulated_device& d, Control&& control, figures& f, std::ostream* bad) {
  constexpr double grace_ms = 1000;
  std::set<double> events = {0, d.duration_ms};
  for (const auto& s : d.slow_downs) events.insert(s.from_ms);
  for (const device_member& m : d.members) {
    events.insert(m.from_ms);
    if (m.until_ms < d.duration_ms) events.insert(m.until_ms);
    for (const auto& t : m.targets)
      if (t.from_ms > m.from_ms) events.insert(t.from_ms);
  }
  std::vector<shared_image> images;
  replay(d, control, [&](const shared_image& i) { images.push_back(i); });
  for (auto from = events.begin(); std::next(from) != events.end(); ++from) {
    const double begin = *from, end = *std::next(from);
    if (end - begin < 2 * grace_ms) continue;
    ++f.segments;
    // 95 % of the images in time, and 2 % for what nobody can know of a level beforehand.
    const shared_choice best = shared_oracle(d, begin, 1.02 * std::exp(1.645 * d.noise));
    if (!best.feasible) continue;
    ++f.feasible;
    const shared_choice oracle = shared_oracle(d, begin, std::exp(1.645 * d.noise));
    std::vector<std::size_t> late(d.members.size(), 0), count = late, before(d.members.size(), 99);
    double met_ms = 0;
    for (const shared_image& i : images) {
      if (i.from_ms < begin || i.from_ms >= end) continue;
      if (i.quiet_ms > i.limit_ms) met_ms = i.from_ms + i.latency_ms - begin;
      if (i.from_ms < begin + grace_ms) continue;
      ++count[i.member], ++f.images;
      late[i.member] += i.latency_ms > i.limit_ms;
      f.late += i.latency_ms > i.limit_ms;
      f.switches += before[i.member] != 99 && before[i.member] != i.level;
      before[i.member] = i.level;
      f.top1 += i.top1;
      f.oracle_top1 += d.members[i.member].levels[oracle.levels[i.member]].top1;
    }
    bool met = true;
    for (std::size_t m = 0; m < count.size(); ++m) { // 5 % and the scatter of a count of this size
      const double n = static_cast<double>(count[m]), allowed = 0.05 * n + 2 * std::sqrt(0.05 * 0.95 * n) + 1;
      met &= static_cast<double>(late[m]) <= allowed;
    }
    f.not_met += !met;
    if (met_ms < end - begin - 200) f.slowest_ms = std::max(f.slowest_ms, met_ms);
    if (!met && bad) {
      *bad << "      " << d.name << ", " << begin / 1000 << " to " << end / 1000 << " s: late";
      for (std::size_t m = 0; m < count.size(); ++m) *bad << ' ' << late[m] << " of " << count[m];
      *bad << "; the oracle runs";
      for (std::size_t l : best.levels) *bad << ' ' << l;
      *bad << '\n';
    }
  }
}

void print_row(const char* what, const figures& f) {
  const double n = static_cast<double>(f.images);
  std::cout << "      " << std::left << std::setw(16) << what << std::right << "late "
            << fixed(100 * static_cast<double>(f.late) / n) << " %, top-1 " << fixed(f.top1 / n, 3) << ", regret "
            << fixed((f.oracle_top1 - f.top1) / n, 3) << ", switches "
            << fixed(1000 * static_cast<double>(f.switches) / n, 1) << " per 1000 images, not met " << f.not_met
            << " of " << f.feasible << " segments\n";
}

void check_stories(support::seed_range seeds, std::size_t members) {
  for (const auto& [name, levels] : families) {
    figures ours, alone;
    for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
      const simulated_device d = generate_shared_device(seed, levels, members);
      judge(d, coordinated(d), ours, &std::cout);
      judge(d, uncoordinated<forecast>(d), alone, nullptr);
    }
    print_row("coordinated", ours);
    print_row("each by itself", alone);
    const double n = static_cast<double>(ours.images);
    check(ours.not_met == 0 && ours.feasible > 0,
          text(name, ", seeds ", seeds.first, " to ", seeds.last, ", ", members,
               " networks: all targets met from 1 s after each event on in ", ours.feasible - ours.not_met, " of the ",
               ours.feasible, " segments in which the oracle meets them (of ", ours.segments, "); late ",
               fixed(100 * static_cast<double>(ours.late) / n), " %"));
    check(ours.oracle_top1 - ours.top1 <= 1.0 * n,
          text(name, ": mean top-1 ", fixed(ours.top1 / n, 3), ", regret to the oracle ",
               fixed((ours.oracle_top1 - ours.top1) / n, 3)));
  }
}

/// Constant conditions: at most one switch per 1000 images once settled.
void check_calm(support::seed_range seeds, std::size_t members, double outliers) {
  for (const auto& [name, levels] : families) {
    std::size_t bad = 0, runs = 0, total = 0, all = 0;
    double most = 0;
    for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
      simulated_device d = generate_shared_device(seed, levels, members);
      double longest = 0;
      for (device_member& m : d.members) {
        m.from_ms = 0, m.until_ms = target::none;
        m.targets.resize(1);
        longest = std::max(longest, m.period_ms);
      }
      d.slow_downs.resize(1);
      d.outliers = outliers;
      d.duration_ms = 5000 * longest; // 5000 images of the slower one
      std::size_t switches = 0, images = 0;
      std::vector<std::size_t> level(members), seen(members, 0);
      replay(d, coordinated(d), [&](const shared_image& i) {
        if (++seen[i.member] > 1000) ++images, switches += i.level != level[i.member];
        level[i.member] = i.level;
      });
      const double rate = 1000 * static_cast<double>(switches) / static_cast<double>(images);
      most = std::max(most, rate);
      bad += rate > 1;
      ++runs;
      total += switches, all += images;
    }
    check(outliers > 0 ? total * 1000 <= all : bad == 0,
          text(name, ", ", members, " networks, constant conditions, ", 100 * outliers,
               " % outliers: ", fixed(1000 * static_cast<double>(total) / static_cast<double>(all), 3),
               " switches per 1000 images on average, ", fixed(most, 2), " in the worst of ", runs, " runs"));
  }
}

void run(int argc, char** argv) {
  support::seed_range seeds;
  std::size_t members = 2;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (i + 1 == argc) throw error(errc::invalid_argument, option, "a value after it", "none");
    const std::string value = argv[++i];
    if (option == "--seeds") {
      seeds = support::read_seeds(value);
    } else if (option == "--members") {
      members = static_cast<std::size_t>(report::read_number(option, value, 1, 4)); // for the oracle's sake
    } else {
      throw error(errc::invalid_argument, "options", "--seeds or --members", option);
    }
  }
  check_figure_8();
  check_stories(seeds, members);
  check_calm(seeds, members, 0);
  check_calm(seeds, members, 0.01);
}

} // namespace

int main(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  return support::count_checks([&] { run(argc, argv); });
}
