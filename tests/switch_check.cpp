#include "dynofa/backend/cpu.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/model/supernet_io.hpp"
#include "dynofa/runtime/dynamic_network.hpp"

#include "../benchmarks/paper_networks.hpp"
#include "../examples/support/co_runner.hpp"
#include "support/allocations.hpp"
#include "support/checks.hpp"
#include "support/help.hpp"
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

namespace {

constexpr const char* help = R"(switch_check FAMILY

What a switch of level costs on this CPU, one thread. 100 000 random switches with an image after every
twentieth (an image after each would take some minutes); the first image after a switch against the level's
steady ones, interleaved; memory of the levels against copies of them; and the three ways to another sub-network
of the paper's Table 1; then switches and first images with all levels in int8, and with every second one. Weights of the
others are stored lossless: answers are those of fp32. About a minute.)";

using namespace dynofa;
using clock_type = std::chrono::steady_clock;
using network = runtime::dynamic_network<backend::cpu>;

using support::check, support::fixed;

double microseconds(clock_type::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }
template <class F>
double time_us(F&& f) {
  const auto start = clock_type::now();
  f();
  return microseconds(clock_type::now() - start);
}
/// The value that a share `p` of the sorted ones does not exceed.
double rank(std::vector<double> v, double p) {
  std::sort(v.begin(), v.end());
  return v[std::min(v.size() - 1, static_cast<std::size_t>(p * static_cast<double>(v.size())))];
}
const backend::cpu lossless{.weights = "lossless"};
const auto half = [](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); };

void check_switches(network& net, std::vector<float>& logits) {
  constexpr std::size_t switches = 100'000, per_image = 20;
  random_stream random(1, "switches");
  std::vector<double> times(switches);
  for (std::size_t i = 0; i < net.size(); ++i) net.switch_to(i), net.run(half, logits);
  const long before = support::allocations.load();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < switches; ++i) {
    const std::size_t level = random.below(static_cast<std::uint32_t>(net.size()));
    times[i] = time_us([&] { net.switch_to(level); });
    if (i % per_image == 0) wrong += net.run(half, logits) != level;
  }
  const long allocated = support::allocations.load() - before;
  check(rank(times, 0.99) <= 20 && wrong == 0,
        text("100000 random switches, ", switches / per_image, " images between: median ", fixed(rank(times, 0.5), 3),
             " us, p99 ", fixed(rank(times, 0.99), 3), " us, most ", fixed(rank(times, 1), 1),
             " us, the watch included (wanted: p99 <= 20); images on another level than asked for: ", wrong));
  check(!SUPPORT_COUNTS_ALLOCATIONS || allocated == 0, text("allocations in them: ", allocated));
}

/// Rounds of: switch to a random other level, its first image, one more, then two steady ones. And the first image of
/// that level, which was not left, behind a pause as long as the level before took: what the machine does to the caches
/// of a program that waits. Levels of two formats do not share weights: what such a switch costs is printed, not
/// judged.
void check_first_images(network& net, std::vector<float>& logits, bool share_weights) {
  constexpr std::size_t rounds = 60;
  std::vector<std::vector<double>> first(net.size()), steady(net.size()), waited(net.size());
  random_stream random(2, "first images");
  double start_us = 0;
  const auto timed = [&](int, std::span<float>) { start_us = microseconds(clock_type::now().time_since_epoch()); };
  const auto image = [&] { // the run of the network alone; the image is the same one every time
    net.run(timed, logits);
    return microseconds(clock_type::now().time_since_epoch()) - start_us;
  };
  std::vector<std::size_t> order(net.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::size_t before = net.level();
  clock_type::duration previous{};
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
    if (order.front() == before) std::swap(order.front(), order.back());
    for (std::size_t level : order) {
      const auto begin = clock_type::now();
      net.switch_to(level);
      first[level].push_back(image());
      image();
      steady[level].push_back(image());
      steady[level].push_back(image());
      const auto end = clock_type::now();
      while (clock_type::now() - end < previous) {
      }
      waited[level].push_back(image());
      for (int i = 0; i < 3; ++i) image();
      previous = end - begin;
    }
    before = order.back();
  }
  double worst = 0;
  for (std::size_t i = 0; i < net.size(); ++i) {
    const double ratio = rank(first[i], 0.5) / rank(steady[i], 0.5);
    worst = std::max(worst, ratio);
    std::cout << "      level " << i << ": first image after a switch " << fixed(rank(first[i], 0.5) / 1000, 3)
              << " ms, steady " << fixed(rank(steady[i], 0.5) / 1000, 3) << " ms, ratio " << fixed(ratio, 3)
              << "; after a pause without a switch " << fixed(rank(waited[i], 0.5) / rank(steady[i], 0.5), 3) << '\n';
  }
  if (!share_weights) return;
  check(worst <= 1.10, text("first image after a switch, medians of ", rounds, ": at most ", fixed(worst, 3),
                            " times the level's steady median (wanted: <= 1.10)"));
}

/// Weights and levels of these plans, bound on one backend, against a copy of each plan: extracted as a file holds it,
/// in fp32; and on the same backend, with weights of its own. Returns the share of the extracted ones.
double compare_memory(const std::string& what, const char* weights, const supernet_ptr& net,
                      std::span<const plan> plans) {
  const backend::cpu device{.weights = weights};
  const auto bytes = [&](std::span<const plan> some) {
    const auto packed = device.pack(net, some);
    std::size_t sum = packed->bytes();
    for (const plan& p : some) sum += device.bind(packed, p, fold(*net, p, stored_statistics(*net, p))).bytes();
    return static_cast<double>(sum);
  };
  double extracted = 0, alone = 0;
  for (const plan& p : plans) {
    for (const auto& [key, values] : extract(*net, p)) extracted += static_cast<double>(values.bytes.size());
    alone += bytes(std::span(&p, 1));
  }
  const double ours = bytes(plans);
  const auto mb = [](double n) { return fixed(n / 1e6, 1) + " MB"; };
  std::cout << "      " << what << ", " << weights << ": " << mb(ours) << ", " << fixed(ours / extracted, 3)
            << " of extracted copies (" << mb(extracted) << "), " << fixed(ours / alone, 3)
            << " of each bound with weights of its own (" << mb(alone) << ")\n";
  return ours / extracted;
}

/// Eight levels of the family (all, where there are fewer), and eight of the paper's networks with 1000 classes.
void check_memory(const family& f) {
  const auto spread = [](const std::vector<plan>& all) {
    const std::size_t count = std::min<std::size_t>(8, all.size());
    std::vector<plan> some;
    for (std::size_t i = 0; i < count; ++i)
      some.push_back(all[i * (all.size() - 1) / std::max<std::size_t>(1, count - 1)]);
    return some;
  };
  std::vector<plan> ours, papers;
  for (const family_level& l : f.levels()) ours.push_back(make_plan(f.space(), l.arch));
  for (const bench::network& n : bench::paper_networks) papers.push_back(make_plan(ofa_w1_2::description, n.arch));
  std::sort(papers.begin(), papers.end(), [](const plan& a, const plan& b) { return a.macs() < b.macs(); });
  ours = spread(ours), papers = spread(papers);
  const std::string name = text(ours.size(), " levels");
  compare_memory(name, "fp32", f.net(), ours);
  const double share = compare_memory(name, "lossless", f.net(), ours);
  check(share <= 0.2, text("memory of ", name, ": ", fixed(share, 3), " of extracted copies (wanted: <= 1/5)"));
  const auto random = std::make_shared<const supernet>(random_supernet(ofa_w1_2::description, 1));
  const double of_paper = compare_memory("8 of the paper's networks, random weights", "fp32", random, papers);
  check(of_paper <= 0.2,
        text("memory of 8 of the paper's networks: ", fixed(of_paper, 3), " of extracted copies (wanted: <= 1/5)"));
}

/// The paper's Table 1: from one sub-network to the next by building it from the file, by copying it out of the
/// super-network in memory, and by a switch; each to the end of the first image.
void print_table_1(const family& f, const std::string& file, network& net, std::vector<float>& logits) {
  const std::size_t last = f.levels().size() - 1;
  const family_level& l = f.levels()[last];
  const std::vector<float> image(image_values(l.arch.r), 0.5f);
  std::vector<double> reload, copy, ours;
  for (int i = 0; i < 3; ++i)
    reload.push_back(time_us([&] {
      const family again = load_family(file);
      session one(lossless, again.net());
      auto level = one.load(again.levels()[last].arch, again.levels()[last].statistics);
      one.run(level, image, logits);
    }));
  for (int i = 0; i < 5; ++i) {
    copy.push_back(time_us([&] { extract(*f.net(), make_plan(f.space(), l.arch)); }));
    net.switch_to(0), net.run(half, logits);
    ours.push_back(time_us([&] { net.switch_to(last), net.run(half, logits); }));
  }
  const double steady = rank(
      [&] {
        std::vector<double> times;
        for (int i = 0; i < 20; ++i) times.push_back(time_us([&] { net.run(half, logits); }));
        return times;
      }(),
      0.5);
  std::cout << "      Table 1, to level " << last << " (an image takes " << fixed(steady / 1000, 2) << " ms):\n"
            << "        static: build it from the file, first image  " << fixed(rank(reload, 0.5) / 1000, 1) << " ms\n"
            << "        copy it out of the super-network in memory   " << fixed(rank(copy, 0.5) / 1000, 2)
            << " ms, without packing and image\n"
            << "        ours: switch and first image                 " << fixed(rank(ours, 0.5) / 1000, 2) << " ms\n";
}

/// The family with every `step`-th level in int8; ranges that were not recorded are made up, times do not depend on
/// them.
family in_bytes(const family& f, std::size_t step) {
  family mixed(f.net(), f.preprocessing(), f.classes());
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    family_level l = f.levels()[i];
    if (i % step == 0) {
      l.format = "int8";
      if (l.statistics.ranges.empty()) l.statistics.ranges = timing_ranges(make_plan(f.space(), l.arch));
    }
    mixed.add(std::move(l));
  }
  return mixed;
}

void run(const std::string& file) {
  support::pin_to(0);
  support::go_first();
  const family f = load_family(file);
  network net(lossless, f);
  std::cout << file << ": " << net.size() << " levels on " << device_name(net.backend()) << '\n';
  std::vector<float> logits(net.classes());
  check_switches(net, logits);
  check_first_images(net, logits, true);
  check_memory(f);
  print_table_1(f, file, net, logits);
  std::cout << "all levels in int8:\n";
  network bytes(lossless, in_bytes(f, 1));
  check_switches(bytes, logits);
  check_first_images(bytes, logits, true);
  std::cout << "every second level in int8:\n";
  network mixed(lossless, in_bytes(f, 2));
  check_switches(mixed, logits);
  check_first_images(mixed, logits, false);
}

} // namespace

int main(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  if (argc != 2) {
    std::cerr << "switch_check FAMILY\n";
    return 2;
  }
  return support::count_checks([&] { run(argv[1]); });
}
