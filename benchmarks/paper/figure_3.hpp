#pragma once
#include "dynofa/accuracy/data.hpp"
#include "dynofa/core/pareto_front.hpp"
#include "dynofa/family/family.hpp"

#include "story.hpp"

// Figure 3: accuracy and latency of many sub-networks, and the front that a family is taken from. Of our own
// super-network, since here accuracies were measured and not predicted.

namespace paper {

template <inference_backend Backend>
void figure_3(story& s, device<Backend>& on, const family& f) {
  struct point {
    arch a;
    double top1;
    bool of_family;
    std::vector<double> ms = {};
  };
  std::vector<point> points;
  for (const family_level& l : f.levels()) points.push_back({l.arch, l.accuracy.top1(), true});
  const auto measured = load_accuracy_data(s.family_file.parent_path() / "tinyimagenet_accuracy.jsonl", &f.space());
  const std::size_t every = s.quick ? 20 : 1;
  for (std::size_t i = 0; i < measured.size(); i += every)
    if (!f.find(measured[i].arch)) points.push_back({measured[i].arch, 100 * measured[i].accuracy, false});

  session runner(on.of_family(), f.net());
  report::progress bar(std::cerr, "figure 3, " + on.key);
  const int rounds = s.quick ? 1 : 3; // in turn: whatever else the machine does falls on all alike
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < points.size(); ++i) {
      point& p = points[i];
      auto level = runner.load(p.a);
      runner.prepare();
      const std::vector<float> image(level->plan.image_values(), 0.5f);
      std::vector<float> logits(level->plan.logit_values());
      for (int run = 0; run < 9; ++run) {
        const double ms = ms_of([&] { runner.run(level, image, logits); });
        if (run >= 4) p.ms.push_back(ms);
      }
      if (!bar(std::size_t(round) * points.size() + i + 1, std::size_t(rounds) * points.size()))
        report::stop_if_interrupted("figure 3");
    }

  using look = report::series::look;
  csv_table table({"set", "latency_ms", "top1", "on_front", "arch"});
  report::series all{"sub-networks whose accuracy was measured", {}}, front{"front", {}, look::line},
      levels{"the family", {}, look::markers};
  const auto on_front = front_of_indices(
      points.size(), [&](std::size_t i) { return median(points[i].ms); },
      [&](std::size_t i) { return points[i].top1; });
  std::size_t of_family = 0;
  for (std::size_t i : on_front) {
    front.points.push_back({median(points[i].ms), points[i].top1});
    of_family += points[i].of_family;
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const point& p = points[i];
    (p.of_family ? levels : all).points.push_back({median(p.ms), p.top1});
    table.add(p.of_family ? "family" : "measured", median(p.ms), p.top1, std::ranges::count(on_front, i), p.a);
  }
  const std::string stem = "figure_3_" + on.key;
  s.save(stem, table);
  s.show("figure 3", stem,
         {text("Figure 3: sub-networks and their front on ", on.name),
          "ms per image",
          "top-1 on Tiny ImageNet, %",
          {all, front, levels}});
  s.page.add("figure 3",
             text(on.name, ": ", points.size(), " sub-networks, ", on_front.size(), " of them on the front; ",
                  of_family, " of these are among the ", f.levels().size(), " levels of the family.\n"));
}

} // namespace paper
