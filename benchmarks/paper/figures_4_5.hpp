#pragma once
#include "peers.hpp"

// Figures 4 and 5: what accuracy costs, in time and in multiply-adds, here and with the systems that the paper is
// compared with. Latencies are measured here, with random weights; accuracies are the published ones.

namespace paper {

/// Median times of single images, all candidates in turn: ten images of each a round, of which the last four count.
template <inference_backend Backend>
void time_all(story& s, device<Backend>& on, std::vector<candidate>& all) {
  std::map<const supernet*, std::vector<plan>> plans;
  for (const candidate& c : all) plans[c.net().get()].push_back(c.network);
  std::map<const supernet*, std::unique_ptr<session<Backend>>> sessions;
  std::vector<typename session<Backend>::level> levels;
  report::progress bar(std::cerr, "figures 4 and 5, " + on.key);
  for (candidate& c : all) c.ms.clear(); // of another device
  for (const candidate& c : all) {
    const supernet_ptr& net = c.net();
    auto& runner = sessions[net.get()];
    if (!runner) runner = std::make_unique<session<Backend>>(on.backend, net, plans[net.get()]);
    const scale_shift norms = fold(*net, c.network, stored_statistics(*net, c.network));
    levels.push_back(runner->bind(c.network, norms));
  }
  for (auto& [net, runner] : sessions) runner->prepare();

  const int rounds = s.quick ? 1 : 30;
  const std::vector<float> image = bench::random_values(image_values(256), 4);
  std::vector<float> logits(1000);
  for (int round = -1; round < rounds; ++round) // round −1: nothing wrong is timed
    for (std::size_t i = 0; i < all.size(); ++i) {
      candidate& c = all[i];
      session<Backend>& runner = *sessions[c.net().get()];
      const auto input = std::span(image).first(c.network.image_values());
      if (round < 0) {
        if (s.quick && i % 8 != 0) continue; // the reference takes its time
        session judge(backend::reference{}, c.net());
        const scale_shift norms = fold(*c.net(), c.network, stored_statistics(*c.net(), c.network));
        const auto wanted = judge.run(judge.bind(c.network, norms), input);
        const auto compare = [&](double tolerance) {
          if (const auto fault = bench::difference(logits, wanted, tolerance); !fault.empty())
            throw error(errc::mismatch, c.system + ", " + c.name, "the reference's answer", "one that " + fault);
        };
        runner.run(levels[i], input, logits);
        compare(on.tolerance);
        if (on.in_floats) {
          session<Backend> exact(*on.in_floats, c.net());
          auto level = exact.bind(c.network, norms);
          exact.run(level, input, logits);
          compare(5e-4);
        }
      } else {
        for (int run = 0; run < 10; ++run) {
          const double ms = ms_of([&] { runner.run(levels[i], input, logits); });
          if (run >= 6) c.ms.push_back(ms);
        }
      }
      if (!bar(std::size_t(round + 1) * all.size() + i + 1, std::size_t(rounds + 1) * all.size()))
        report::stop_if_interrupted("figures 4 and 5");
    }
}

/// How much better the family is than a system, at the point of the system where it is most so.
struct lead {
  double times = 0;                             ///< less cost, at no less accuracy
  double points = -100;                         ///< more top-1, at no more cost
  bool is_matched = false, is_undercut = false; ///< there was a point to compare with
};

/// No less accurate: to a tenth of a point. Top-1 of 50 000 images is known to 0.2 (one standard deviation).
constexpr double as_accurate = 0.1;

template <class Cost>
lead lead_over(const std::vector<candidate>& all, const std::string& family, const std::string& system, Cost cost) {
  lead best;
  for (const candidate& theirs : all) {
    if (theirs.system != system) continue;
    for (const candidate& ours : all) {
      if (!ours.system.starts_with(family)) continue;
      if (ours.top1 >= theirs.top1 - as_accurate)
        best.times = std::max(best.times, cost(theirs) / cost(ours)), best.is_matched = true;
      if (cost(ours) <= cost(theirs))
        best.points = std::max(best.points, ours.top1 - theirs.top1), best.is_undercut = true;
    }
  }
  return best;
}

inline std::vector<report::series> curves(const std::vector<candidate>& all, double (*cost)(const candidate&)) {
  std::vector<report::series> shown;
  for (const candidate& c : all) {
    if (shown.empty() || shown.back().title != c.system)
      shown.push_back(
          {c.system,
           {},
           c.system == "static OFA" ? report::series::look::markers : report::series::look::line_and_points});
    shown.back().points.push_back({cost(c), c.top1});
  }
  for (report::series& s : shown) std::ranges::sort(s.points);
  return shown;
}
inline double ms_of_candidate(const candidate& c) { return median(c.ms); }
inline double mmacs_of_candidate(const candidate& c) { return 1e-6 * static_cast<double>(c.network.macs()); }

/// Compared as it is printed.
inline std::string verdict(double got, double reported, int places) {
  const double shown = std::round(got * std::pow(10, places)) / std::pow(10, places);
  return text(fixed(got, places), shown >= reported ? " (the paper's " : " (not the paper's ", reported, ')');
}

template <inference_backend Backend>
void figure_4(story& s, device<Backend>& on, std::vector<candidate>& all) {
  time_all(s, on, all);
  const std::string stem = text("figure_4", on.panel), part = "figure 4";
  csv_table table({"system", "network", "resolution", "top1_published", "mmacs", "median_ms", "p95_ms", "images"});
  for (const candidate& c : all)
    table.add(c.system, c.name, c.network.arch.r, c.top1, mmacs_of_candidate(c), ms_of_candidate(c),
              quantile(c.ms, 0.95), c.ms.size());
  s.save(stem, table);
  s.show(part, stem,
         {text("Figure 4", on.panel, ": latencies measured on ", on.name),
          "ms per image, measured here with random weights", "ImageNet top-1 as published, %",
          curves(all, ms_of_candidate), 1000, 650});

  const std::string ours = text("Dynamic-OFA, ", caps(on.key));
  const auto& reported = s.published.at("reported");
  csv_table ratios({"beside", "times_as_quick", "points_more"});
  std::string rows = "| beside | times as quick, at no less accuracy | points more, at no more time |\n|---|---|---|\n";
  lead main;
  for (const std::string& system : systems(all)) {
    if (system.starts_with("Dynamic-OFA")) continue;
    const lead l = lead_over(all, ours, system, ms_of_candidate);
    if (system == reported.at("compared_with")) main = l;
    const std::string times = l.is_matched ? fixed(l.times) : "", points = l.is_undercut ? fixed(l.points) : "";
    ratios.add(system, times, points);
    rows += text("| ", system, " | ", l.is_matched ? times : "none of ours is", " | ",
                 l.is_undercut ? points : "none of ours is as quick", " |\n");
  }
  const double paper_times = reported.at("faster").at(on.key), paper_points = reported.at("points").at(on.key);
  s.save(stem + "_ratios", ratios);
  s.page.add(part,
             text(on.name, ". The family that was searched for a ", caps(on.key), ", where it leads most:\n\n", rows,
                  "| *the paper, on its ", caps(on.key), ", beside ", reported.at("compared_with").get<std::string>(),
                  "* | *", paper_times, "* | *", paper_points, "* |\n\nBeside ",
                  reported.at("compared_with").get<std::string>(), " it is ", verdict(main.times, paper_times, 2),
                  " times as quick, or ", verdict(main.points, paper_points, 2), " points more accurate.\n"));
}

/// Figure 5 needs no device.
inline void figure_5(story& s, const std::vector<candidate>& all) {
  csv_table table({"system", "network", "mmacs", "mmacs_published", "top1_published"});
  for (const candidate& c : all)
    table.add(c.system, c.name, mmacs_of_candidate(c), c.published_mmacs > 0 ? text(c.published_mmacs) : "", c.top1);
  s.save("figure_5", table);
  s.show("figure 5", "figure_5",
         {"Figure 5: accuracy over multiply-adds", "million multiply-adds", "ImageNet top-1 as published, %",
          curves(all, mmacs_of_candidate), 1000, 650});
  const auto& reported = s.published.at("reported");
  csv_table ratios({"beside", "saved_percent", "points_more"});
  std::string rows =
      "| beside | multiply-adds saved, at no less accuracy | points more, at no more multiply-adds |\n|---|---|---|\n";
  lead main;
  const auto saved = [](const lead& l) { return 100 * (1 - 1 / l.times); };
  for (const std::string& system : systems(all)) {
    if (system.starts_with("Dynamic-OFA")) continue;
    const lead l = lead_over(all, "Dynamic-OFA", system, mmacs_of_candidate);
    if (system == reported.at("compared_with")) main = l;
    const std::string less = l.is_matched ? fixed(saved(l), 0) : "", points = l.is_undercut ? fixed(l.points) : "";
    ratios.add(system, less, points);
    rows += text("| ", system, " | ", l.is_matched ? less + " %" : "none of ours is", " | ",
                 l.is_undercut ? points : "none of ours costs as little", " |\n");
  }
  const double paper_saved = reported.at("flops_saved_percent"), paper_points = reported.at("flops_points");
  s.save("figure_5_ratios", ratios);
  s.page.add("figure 5",
             text(rows, "| *the paper, beside ", reported.at("compared_with").get<std::string>(), "* | *", paper_saved,
                  " %* | *", paper_points, "* |\n\nBeside ", reported.at("compared_with").get<std::string>(),
                  " the two families save ", verdict(saved(main), paper_saved, 0), " per cent, or have ",
                  verdict(main.points, paper_points, 2), " points more.\n"));
}

} // namespace paper
