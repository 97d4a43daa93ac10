#pragma once
#include "story.hpp"

// Figure 1: a network that was chosen for a latency at design time, and what becomes of it when the device changes.

namespace paper {

template <inference_backend Backend>
void figure_1(story& s, device<Backend>& on) {
  const supernet_ptr& net = bench::paper_supernet();
  const bench::network chosen = paper_networks_for(on.key).back();
  const plan p = make_plan(net->space, chosen.arch);
  session runner(on.backend, net, std::span(&p, 1));
  auto level = runner.load(chosen.arch);
  const std::vector<float> image = bench::random_values(p.image_values(), 1);
  std::vector<float> logits(p.logit_values());
  const auto images_for = [&](double seconds) {
    std::vector<double> ms;
    for (const auto start = clock::now(); ms.size() < 5 || ms_since(start) < 1000 * seconds;)
      ms.push_back(ms_of([&] { runner.run(level, image, logits); }));
    return ms;
  };

  const double seconds = s.quick ? 0.1 : 4;
  report::progress bar(std::cerr, "figure 1, " + on.key);
  images_for(seconds / 4);
  const std::vector<double> alone = images_for(seconds);
  const double limit = 1.1 * median(alone); // the target of design time: a tenth to spare
  struct bar_of {
    std::string what;
    std::vector<double> ms;
  };
  std::vector<bar_of> cases = {{"alone", alone}};
  for (const disturbance& d : on.all) {
    d.start();
    images_for(seconds / 8);
    cases.push_back({d.what, images_for(seconds)});
    d.stop();
    if (!bar(cases.size(), on.all.size() + 1)) report::stop_if_interrupted("figure 1");
  }

  csv_table table({"case", "what", "images", "median_ms", "p95_ms", "limit_ms", "late_percent"});
  std::string rows = "| case | the network runs | median, ms | 95 % within, ms | late |\n|---|---|---|---|---|\n";
  report::figure f{
      text("Figure 1", on.panel, ": one static network on ", on.name), "case", "median, ms per image", {}, 900, 520};
  std::size_t violated = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto& [what, ms] = cases[i];
    const double middle = median(ms);
    const double late =
        100 * static_cast<double>(std::ranges::count_if(ms, [&](double v) { return v > limit; })) / double(ms.size());
    violated += middle > limit;
    table.add(i + 1, what, ms.size(), middle, quantile(ms, 0.95), limit, late);
    rows += text("| ", i + 1, " | ", what, " | ", fixed(middle), " | ", fixed(quantile(ms, 0.95)), " | ",
                 fixed(late, 0), " % |\n");
    f.all.push_back({text(i + 1, ": ", what), {{double(i + 1), middle}}, report::series::look::bars});
  }
  f.all.push_back({"target of design time",
                   {{0.5, limit}, {double(cases.size()) + 0.5, limit}},
                   report::series::look::dashed_line});
  const std::string stem = text("figure_1", on.panel);
  s.save(stem, table);
  s.show("figure 1", stem, f);
  s.page.add("figure 1", text(on.name, ". The network is `", chosen.name,
                              "`, the paper's largest for this kind of device; its target is ", fixed(limit),
                              " ms, a tenth more than the median alone.\n\n", rows, "\n", violated, " of the ",
                              cases.size() - 1, " changes put the median above the target.\n"));
}

} // namespace paper
