// ctest: --quick --out 05_family
// expect: level 1 .*level 4 .*wrote 05_family.json
// installed as: dynofa-search
#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/train.hpp"
#include "dynofa/backend/cpu.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/latency/profile.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/search/family_selection.hpp"
#include "dynofa/search/pareto.hpp"

#include <CLI/CLI.hpp>

#include "spaces.hpp"
#include <cstdio>
#include <iostream>

// From measurements to a family: the sub-networks that are the most accurate at their latency on this machine.
//
//   04_profile_this_device --out my_machine.json
//   05_search_a_family --table my_machine.json --out family          (writes family.json, family.svg, family.png)
//
// Accuracies here are predictions. Calibrating the batch norm of each level and measuring it comes next.

using namespace dynofa;

static int program(int argc, char** argv) {
  CLI::App app("Searches a Pareto family of sub-networks");
  std::string checkpoint = DYNOFA_ASSETS "/tinyimagenet_w1.2.safetensors", table_file, out = "family";
  std::string measured_file = DYNOFA_ASSETS "/tinyimagenet_accuracy.jsonl";
  std::size_t levels = 6;
  bool quick = false;
  app.add_option("--checkpoint", checkpoint, "super-network with its space (safetensors)");
  app.add_option("--table", table_file, "latency table; this machine is profiled briefly if left out");
  app.add_option("--accuracy", measured_file, "JSON lines of architectures and their measured top-1");
  app.add_option("--levels", levels);
  app.add_option("--out", out, "files to write, without extension");
  app.add_flag("--quick", quick, "less of everything, to see how it goes");
  CLI11_PARSE(app, argc, argv);

  require_writable(out + ".json");
  report::catch_interrupts();
  const auto net = std::make_shared<const supernet>(load_supernet(checkpoint));
  const space_description& space = net->space;
  const auto measured = load_accuracy_data(measured_file, &space);

  // 1. Latency: the table of 04, or a brief profile of this machine.
  const auto latency_of = [&]() -> std::shared_ptr<const table_model> {
    if (!table_file.empty()) return std::make_shared<const table_model>(space, load_latency_table(table_file));
    report::progress bar(std::cerr, "profile");
    const auto tell = [&](const profile_progress& p) { return bar(p.done, p.total); };
    const double seconds = quick ? 0.5 : 2.0;
    profiler profile(backend::cpu{}, net, {.quick = true, .seconds_per_resolution = seconds, .on_progress = tell});
    profile.run();
    report::stop_if_interrupted("profile");
    return std::make_shared<const table_model>(space, profile.table());
  }();
  const table_model& latency = *latency_of;
  const auto range = find_extremes(latency.costs());
  std::printf("%s: %.2f to %.2f ms\n", latency.device().c_str(), range.least.cost, range.most.cost);

  // 2. Accuracy: a predictor trained on sub-networks whose accuracy was measured.
  training_options training;
  if (quick) training.members = 2, training.taught = 4000, training.epochs = 10;
  report::progress bar(std::cerr, "training");
  training.on_progress = [&](int done, int total) { return bar(std::size_t(done), std::size_t(total)); };
  const accuracy_predictor accuracy = train_predictor(space, measured, training);

  // 3. Search: the whole front at once. Any accuracy and cost model would do.
  search::pareto_options options;
  options.levels = 12;
  options.evaluations = quick ? 2000 : 50000;
  options.on_progress = [](const search::progress&) { return !report::interrupted(); };
  search::pareto_search search(space, accuracy, latency, options);
  search.run();
  report::stop_if_interrupted("search");
  const auto family = search::select_levels(search.state().all, levels);
  std::printf("%zu predictions, %zu members on the front\n", search.state().evaluations(),
              search.state().all.members().size());

  // 4. The family: printed, written, drawn.
  nlohmann::json json = {{"device", latency.device()}, {"space", space}, {"levels", nlohmann::json::array()}};
  for (const auto& level : family) {
    json["levels"].push_back({{"arch", level.arch}, {"top1", level.accuracy}, {"latency_ms", level.cost}});
    std::printf("level %zu  %5.2f ms  %5.2f %%  %s\n", json["levels"].size(), level.cost, 100 * level.accuracy,
                text(level.arch).c_str());
  }
  replace_file(out + ".json", detail::json_text(json, out + ".json", 1) + "\n");

  const auto points = [](const auto& candidates) {
    std::vector<std::array<double, 2>> xy;
    for (const auto& c : candidates) xy.push_back({c.cost, 100 * c.accuracy});
    return xy;
  };
  std::vector<search::candidate> random;
  random_stream stream(1, "scatter");
  for (int i = 0; i < 1500; ++i) {
    const arch a = random_arch(space, stream);
    random.push_back({a, accuracy(a), latency(a)});
  }
  using look = report::series::look;
  const auto images = report::draw({"A family of sub-networks on " + latency.device(),
                                    "latency, ms",
                                    "predicted top-1, %",
                                    {{"random sub-networks", points(random)},
                                     {"front", points(search.state().all.members()), look::line},
                                     {"family", points(family), look::markers}}},
                                   out);
  std::printf("wrote %s.json%s\n", out.c_str(), images.empty() ? "; no gnuplot here, so no images" : ", .svg and .png");
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
