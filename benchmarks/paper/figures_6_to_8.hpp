#pragma once
#include "dynofa/family/measure.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/lookup.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/reactive.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"

#include "story.hpp"
#include <array>
#include <thread>

// Figures 6 to 8: a trained family at run time, image by image, while its target changes, another process comes, or a
// second dynamic network.

namespace paper {

/// An image as the figures show it. Levels count from 0 in the library, and from 1 in the paper and in what is shown.
struct seen_image {
  double seconds, ms, limit_ms;
  std::size_t level;
  double top1;
  runtime::reason why;
  bool late() const { return ms > limit_ms; }
};
using trace = std::vector<seen_image>;

/// Runs images one after the other until so many seconds after `start`.
template <class Manager>
void run_until(Manager& m, double seconds, clock::time_point start, trace& seen) {
  std::vector<float> logits(m.network().classes());
  const auto levels = m.policy().levels();
  const auto prepare = [](int, std::span<float> image) { std::ranges::fill(image, 0.5f); };
  do {
    const runtime::image_record& r = m.run(prepare, logits);
    seen.push_back({ms_since(start) / 1000, r.latency_ms, r.wanted.limit_ms(), r.level, levels[r.level].top1, r.why});
  } while (ms_since(start) < 1000 * seconds && !report::interrupted());
  report::stop_if_interrupted("figures 6 to 8");
}

struct summary {
  std::size_t images = 0, late = 0, switches = 0;
  double top1 = 0;                 ///< on average
  std::size_t first = 0, last = 0; ///< levels
  std::size_t until_held = 0;      ///< images before the first four in a row that were in time
  double late_percent() const { return 100 * double(late) / double(images); }
};
inline summary summary_of(const trace& seen, double from, double until) {
  summary s;
  std::size_t in_time = 0, before = 0;
  bool held = false;
  for (const seen_image& i : seen) {
    if (i.seconds < from || i.seconds >= until) continue;
    if (s.images == 0) s.first = before = i.level;
    s.switches += i.level != before;
    before = s.last = i.level;
    ++s.images, s.late += i.late(), s.top1 += i.top1;
    in_time = i.late() ? 0 : in_time + 1;
    if (!held && in_time == 4) held = true, s.until_held = s.images - 4;
  }
  if (!held) s.until_held = s.images;
  if (s.images) s.top1 /= double(s.images);
  return s;
}

/// As many points as can be told apart: every k-th image, and every late one.
inline bool is_drawn(const trace& seen, std::size_t i) { return i % (1 + seen.size() / 350) == 0 || seen[i].late(); }
template <class Take>
void take_some(const trace& seen, Take take) {
  for (std::size_t i = 0; i < seen.size(); ++i)
    if (is_drawn(seen, i)) take(seen[i]);
}

/// What is drawn, and every image that ran on another level, or under another limit, than the one before: a GPU makes
/// tens of thousands.
inline csv_table table_of(const std::vector<std::pair<std::string, const trace*>>& networks) {
  csv_table table({"network", "seconds", "level", "top1", "latency_ms", "limit_ms", "reason"});
  for (const auto& [name, seen] : networks)
    for (std::size_t n = 0; n < seen->size(); ++n) {
      const seen_image &i = (*seen)[n], &before = (*seen)[n > 0 ? n - 1 : 0];
      if (is_drawn(*seen, n) || i.level != before.level || i.limit_ms != before.limit_ms)
        table.add(name, fixed(i.seconds, 4), i.level + 1, i.top1, fixed(i.ms, 4), fixed(i.limit_ms, 4),
                  runtime::name(i.why));
    }
  return table;
}

/// A value that changes now and then, as the corners of its steps.
template <class Value>
std::vector<std::array<double, 2>> corners(const trace& seen, Value value) {
  std::vector<std::array<double, 2>> points;
  for (const seen_image& i : seen) {
    const double v = value(i);
    if (!points.empty() && points.back()[1] != v) points.push_back({i.seconds, points.back()[1]});
    if (points.empty() || points.back()[1] != v) points.push_back({i.seconds, v});
  }
  if (!seen.empty()) points.push_back({seen.back().seconds, points.back()[1]});
  return points;
}

using look = report::series::look;

inline report::figure drawn(const trace& seen, std::size_t levels, std::string title) {
  report::figure f{std::move(title), "seconds", "ms per image", {}, 1000, 700, "top-1, %", {}};
  std::vector<report::series> by_level(levels);
  take_some(seen, [&](const seen_image& i) { by_level[i.level].points.push_back({i.seconds, i.ms}); });
  for (std::size_t i = 0; i < levels; ++i) {
    if (by_level[i].points.empty()) continue;
    by_level[i].title = text("level ", i + 1);
    f.all.push_back(std::move(by_level[i]));
  }
  f.all.push_back({"limit", corners(seen, [](const seen_image& i) { return i.limit_ms; }), look::dashed_line});
  f.below.push_back({"of the level", corners(seen, [](const seen_image& i) { return i.top1; }), look::line});
  return f;
}

/// Images of one level, one after the other.
template <class Network>
std::vector<double> latencies(Network& net, std::size_t level, int images) {
  std::vector<float> logits(net.classes());
  std::vector<double> ms;
  net.switch_to(level);
  for (int i = 0; i < images; ++i) ms.push_back(ms_of([&] { net.run([](int, std::span<float>) {}, logits); }));
  return ms;
}

/// The family on this device: its latencies here, and of its levels those that nothing beats here.
template <inference_backend Backend>
struct family_here {
  family f;
  std::vector<runtime::level_figures> levels;
  /// Every level of it has run.
  runtime::dynamic_network<Backend> network(const device<Backend>& on, packed_formats<Backend> weights = {}) const {
    runtime::dynamic_network<Backend> made(on.of_family(), f, std::move(weights));
    for (std::size_t i = 0; i < made.size(); ++i) (void)latencies(made, i, 10);
    return made;
  }
  double top_ms() const { return levels.back().latency_ms; }
};
template <inference_backend Backend>
family_here<Backend> measure_here(const story& s, const device<Backend>& on, family f) {
  const std::string name = remeasure_latencies(f, on.of_family(), s.quick ? 5 : 30);
  f.keep_front(name);
  const auto levels = runtime::dynamic_network(on.of_family(), f).figures(name);
  return {std::move(f), levels};
}

/// Nothing else runs, the target changes: the level comes out of the table.
template <inference_backend Backend>
void figure_6(story& s, const device<Backend>& on, const family_here<Backend>& here) {
  const auto& reported = s.published.at("reported");
  const double third = s.quick ? 0.3 : 2.5, papers_top = reported.at("figure_6_top_level_ms");
  runtime::manager m(here.network(on), runtime::lookup(here.levels), {.latency_ms = here.top_ms()});
  trace seen;
  std::string rows = "| the paper's limit | here | level | top-1 | images | late |\n|---|---|---|---|---|---|\n";
  const auto start = clock::now();
  for (const double papers : reported.at("figure_6_limits_ms")) {
    const double limit = papers / papers_top * here.top_ms(), from = ms_since(start) / 1000;
    m.set_target({.latency_ms = limit});
    run_until(m, from + third, start, seen);
    const summary part = summary_of(seen, from, 1e9);
    rows += text("| ", papers, " ms | ", fixed(limit), " ms | ", part.last + 1, " | ", fixed(part.top1), " | ",
                 part.images, " | ", fixed(part.late_percent(), 1), " % |\n");
  }
  const std::string stem = "figure_6_" + on.key;
  s.save(stem, table_of({{"A", &seen}}));
  s.show("figure 6", stem, drawn(seen, here.levels.size(), "Figure 6: the target changes; " + on.name));
  s.page.add("figure 6", text(on.name, ", ", here.levels.size(), " levels of ", fixed(here.levels.front().latency_ms),
                              " to ", fixed(here.top_ms()), " ms:\n\n", rows));
}

/// Another process comes in the middle third: by the paper's rule, and by ours.
template <inference_backend Backend, class Policy>
summary figure_7_by(story& s, const device<Backend>& on, const family_here<Backend>& here, double limit, Policy policy,
                    const std::string& rule) {
  const double third = s.quick ? 0.4 : 2.5;
  runtime::manager m(here.network(on), std::move(policy), {.latency_ms = limit});
  trace seen;
  const auto start = clock::now();
  run_until(m, third, start, seen);
  const double arrival = ms_since(start) / 1000;
  on.comes.start();
  run_until(m, 2 * third, start, seen);
  const double departure = ms_since(start) / 1000;
  on.comes.stop();
  run_until(m, 3 * third, start, seen);

  const std::string stem = text("figure_7_", on.key, "_", Policy::name);
  s.save(stem, table_of({{"A", &seen}}));
  s.show("figure 7", stem,
         drawn(seen, here.levels.size(),
               text("Figure 7, ", rule, ": another process from ", fixed(arrival, 1), " to ", fixed(departure, 1),
                    " s; ", on.name)));
  const summary alone = summary_of(seen, 0, arrival), beside = summary_of(seen, arrival, departure),
                after = summary_of(seen, departure, 1e9);
  s.page.add("figure 7", text("| ", rule,
                              " | images | level at the end | top-1 | late | switches | images until four in a row "
                              "were in time |\n|---|---|---|---|---|---|---|\n",
                              [&] {
                                std::string rows;
                                for (const auto& [what, part] : {std::pair<const char*, const summary&>{"alone", alone},
                                                                 {"beside it", beside},
                                                                 {"alone again", after}})
                                  rows += text("| ", what, " | ", part.images, " | ", part.last + 1, " | ",
                                               fixed(part.top1), " | ", fixed(part.late_percent(), 1), " % | ",
                                               part.switches, " | ", part.until_held, " |\n");
                                return rows;
                              }()));
  return beside;
}
template <inference_backend Backend>
void figure_7(story& s, const device<Backend>& on, const family_here<Backend>& here) {
  // A limit that the largest level holds alone and not beside the other process, where some smaller one does.
  auto net = here.network(on);
  const int images = s.quick ? 20 : 200;
  const double alone = median(latencies(net, net.size() - 1, images));
  on.comes.start();
  const double large = median(latencies(net, net.size() - 1, images)), small = median(latencies(net, 0, images));
  on.comes.stop();
  const double limit = std::max(1.2 * alone, std::sqrt(small * large));

  const summary papers = figure_7_by(s, on, here, limit, runtime::reactive(here.levels), "the paper's rule");
  const summary ours = figure_7_by(s, on, here, limit, runtime::forecast(here.levels), "our rule");
  s.page.add("figure 7", text(on.name, ", ", on.comes.what, "; the limit is ", fixed(limit),
                              " ms. Images until the target held again: ", papers.until_held, " by the paper's rule, ",
                              ours.until_held, " by ours.\n"));
}

/// A second dynamic network comes: cameras of their own, limits of their own, one rule for both.
template <inference_backend Backend>
void figure_8(story& s, const device<Backend>& on, const family_here<Backend>& here) {
  const double seconds = s.quick ? 1.5 : 12, arrival = seconds / 3, top = here.top_ms();
  const std::array<double, 2> period = {3 * top, 3.4 * top}, limit = {1.6 * top, 1.5 * top};
  runtime::thread_coordinator together;
  auto first = here.network(on), second = here.network(on, first.weights());
  std::array<trace, 2> seen;
  const auto start = clock::now();
  const auto camera = [&](std::size_t who, runtime::dynamic_network<Backend> net,
                          runtime::thread_coordinator::member member) {
    runtime::manager m(std::move(net), std::move(member), {.latency_ms = limit[who]});
    std::vector<float> logits(m.network().classes());
    for (auto next = clock::now(); ms_since(start) < 1000 * seconds && !report::interrupted();
         std::this_thread::sleep_until(next)) {
      const auto& r = m.run([](int, std::span<float> image) { std::ranges::fill(image, 0.5f); }, logits);
      seen[who].push_back(
          {ms_since(start) / 1000, r.latency_ms, limit[who], r.level, here.levels[r.level].top1, r.why});
      next = std::max(
          next + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double, std::milli>(period[who])),
          clock::now());
    }
  };
  {
    std::jthread a(camera, 0, std::move(first), together.join(here.levels));
    std::this_thread::sleep_until(start +
                                  std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(arrival)));
    std::jthread b(camera, 1, std::move(second), together.join(here.levels));
  }
  report::stop_if_interrupted("figure 8");
  report::figure f{
      "Figure 8: two dynamic networks; " + on.name, "seconds", "ms per image", {}, 1000, 700, "top-1, %", {}};
  std::string rows = "| | images | level before B came | at the end | top-1 | late | late in the last third | switches "
                     "|\n|---|---|---|---|---|---|---|---|\n";
  for (std::size_t who = 0; who < 2; ++who) {
    const std::string name = who == 0 ? "A" : "B";
    report::series images{name, {}};
    take_some(seen[who], [&](const seen_image& i) { images.points.push_back({i.seconds, i.ms}); });
    f.all.push_back(std::move(images));
    f.all.push_back(
        {"limit of " + name, corners(seen[who], [](const seen_image& i) { return i.limit_ms; }), look::dashed_line});
    f.below.push_back({name, corners(seen[who], [](const seen_image& i) { return i.top1; }), look::line});
    const summary before = summary_of(seen[who], 0, arrival), all = summary_of(seen[who], arrival, 1e9),
                  end = summary_of(seen[who], 2 * arrival, 1e9);
    rows += text("| ", name, ", limit ", fixed(limit[who]), " ms | ", all.images, " | ",
                 who == 0 ? text(before.last + 1) : "", " | ", end.last + 1, " | ", fixed(end.top1), " | ",
                 fixed(all.late_percent(), 1), " % | ", fixed(end.late_percent(), 1), " % | ", all.switches, " |\n");
  }
  const std::string stem = "figure_8_" + on.key;
  s.save(stem, table_of({{"A", &seen[0]}, {"B", &seen[1]}}));
  s.show("figure 8", stem, f);
  s.page.add("figure 8", text(on.name, "; from B's arrival after ", fixed(arrival, 1), " s on:\n\n", rows));
}

} // namespace paper
