// Predictions and searches on the published Jetson tables, on one core.
//
//   bench_search [Google Benchmark's options]
//
// Needs lut_jetson.json, lut_jetson_GPU.json, search.json and acc_predictor.safetensors in the folder that
// DYNOFA_GOLDEN_DIR names. Rows:
//   latency/table, accuracy/official, accuracy/ensemble   architectures per second, drawn beforehand
//   score/million                                         latency and accuracy of 1 000 000 architectures
//   pareto/DEVICE/LIMIT/evaluations:N                     one limit; accuracy, mean and worst of 5 seeds
//                                                         `margin`: the worst less the reference's recorded best
//   family/DEVICE                                         all limits of a device in one run
//   evolution/DEVICE/LIMIT                                once-for-all's algorithm with its own hyper-parameters
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/search/evolution.hpp"
#include "dynofa/search/pareto.hpp"
#include "dynofa/space/search_space.hpp"

#include <benchmark/benchmark.h>

#include "support.hpp"
#include <cstdlib>
#include <iostream>

namespace {

using namespace dynofa;
namespace fs = std::filesystem;

struct fixture {
  struct bar {
    std::string device;
    double limit, wanted;
  };
  space_description space = ofa_w1_2::description;
  std::map<std::string, table_model> tables;
  std::optional<accuracy_predictor> official, ensemble;
  std::vector<bar> bars;
  std::vector<arch> archs; ///< 100 000 random ones

  explicit fixture(const fs::path& dir) {
    space.resolutions = {160, 176, 192, 208, 224};
    official.emplace(load_official_predictor(dir / "acc_predictor.safetensors", space));
    // the shape that train_predictor makes by default; what its weights are does not change its speed
    const feature_layout layout = feature_layout::of_space(space);
    random_stream random(1, "ensemble");
    std::vector<predictor_network> members(5);
    for (auto& member : members)
      for (std::size_t in = layout.size(); const std::size_t out : {128, 128, 1}) {
        predictor_layer layer{std::vector<float>(in * out), std::vector<float>(out)};
        for (float& w : layer.weight) w = static_cast<float>(random.normal() / 8);
        member.push_back(std::move(layer));
        in = out;
      }
    ensemble.emplace(space, layout, std::move(members));
    for (int i = 0; i < 100000; ++i) archs.push_back(random_arch(space, random));
    const auto search = nlohmann::json::parse(map_file(dir / "search.json").text());
    for (const auto& run : search.at("runs")) {
      const char* best = run.contains("best_accuracy_over_seeds") ? "best_accuracy_over_seeds" : "best_accuracy";
      bars.push_back({run.at("device"), run.at("latency_constraint_ms"), run.at(best)});
      if (!tables.contains(bars.back().device))
        tables.emplace(bars.back().device,
                       table_model(space, load_latency_table(dir / ("lut_" + bars.back().device + ".json"))));
    }
  }
};

void predict(benchmark::State& state, const fixture& f, const accuracy_predictor& predictor) {
  std::vector<double> values(f.archs.size());
  for (auto _ : state) predictor.predict(f.archs, values);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * values.size()));
}

void table_sums(benchmark::State& state, const fixture& f) {
  const table_model& table = f.tables.begin()->second;
  for (auto _ : state)
    for (const arch& a : f.archs) benchmark::DoNotOptimize(table(a));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * f.archs.size()));
}

/// Draws, adds up and predicts a million architectures.
void score_million(benchmark::State& state, const fixture& f) {
  const table_model& table = f.tables.begin()->second;
  std::vector<double> values(f.archs.size());
  for (auto _ : state) {
    search::front front;
    for (int part = 0; part < 10; ++part) {
      f.official->predict(f.archs, values);
      for (std::size_t i = 0; i < f.archs.size(); ++i) front.insert({f.archs[i], values[i], table(f.archs[i])});
    }
    benchmark::DoNotOptimize(front.members().size());
  }
}

void pareto(benchmark::State& state, const fixture& f, const fixture::bar& bar, std::size_t evaluations) {
  double least = 1, sum = 0, used = 0;
  constexpr std::uint64_t seeds = 5;
  std::uint64_t seed = 0;
  for (auto _ : state) {
    search::pareto_options options;
    options.limits = {bar.limit};
    options.evaluations = evaluations;
    options.seed = ++seed;
    const auto found = search::pareto(f.space, *f.official, f.tables.at(bar.device), std::move(options));
    least = std::min(least, found.best(0).accuracy);
    sum += found.best(0).accuracy / double(seeds);
    used += double(found.evaluations()) / double(seeds);
  }
  state.counters["accuracy"] = sum;
  state.counters["worst"] = least;
  state.counters["margin"] = least - bar.wanted;
  state.counters["evaluations"] = used;
}

void family(benchmark::State& state, const fixture& f, const std::string& device) {
  double margin = 1, used = 0;
  std::uint64_t seed = 0;
  for (auto _ : state) {
    search::pareto_options options;
    for (const auto& bar : f.bars)
      if (bar.device == device) options.limits.push_back(bar.limit);
    options.seed = ++seed;
    const auto found = search::pareto(f.space, *f.official, f.tables.at(device), std::move(options));
    for (const auto& bar : f.bars)
      if (bar.device == device) margin = std::min(margin, found.all.best_within(bar.limit)->accuracy - bar.wanted);
    used = double(found.evaluations());
  }
  state.counters["margin"] = margin;
  state.counters["evaluations"] = used;
}

void evolution(benchmark::State& state, const fixture& f, const fixture::bar& bar) {
  double accuracy = 0, used = 0;
  for (auto _ : state) {
    const auto found = search::evolution(f.space, *f.official, f.tables.at(bar.device), bar.limit);
    accuracy = found.best().accuracy, used = double(found.evaluations);
  }
  state.counters["accuracy"] = accuracy;
  state.counters["margin"] = accuracy - bar.wanted;
  state.counters["evaluations"] = used;
}

void register_rows(const fixture& f) {
  const auto add = [](const std::string& name, auto row) {
    return benchmark::RegisterBenchmark(name.c_str(), row)->Unit(benchmark::kMillisecond);
  };
  add("latency/table", [&f](auto& s) { table_sums(s, f); });
  add("accuracy/official", [&f](auto& s) { predict(s, f, *f.official); });
  add("accuracy/ensemble", [&f](auto& s) { predict(s, f, *f.ensemble); });
  add("score/million", [&f](auto& s) { score_million(s, f); })->Iterations(1);
  for (const auto& bar : f.bars) {
    const std::string place = text(bar.device, '/', bar.limit);
    for (const std::size_t n : {2500u, 5000u, 10000u, 20000u, 40000u, 80000u})
      add(text("pareto/", place, "/evaluations:", n), [&f, bar, n](auto& s) { pareto(s, f, bar, n); })->Iterations(5);
  }
  for (const auto& [device, table] : f.tables)
    add("family/" + device, [&f, device = device](auto& s) { family(s, f, device); })->Iterations(3);
  for (const auto& bar : f.bars)
    add(text("evolution/", bar.device, '/', bar.limit), [&f, bar](auto& s) { evolution(s, f, bar); })->Iterations(1);
}

} // namespace

static int program(int argc, char** argv) {
  bench::printed_help(
      argc, argv,
      "DYNOFA_GOLDEN_DIR=FOLDER bench_search [options of Google Benchmark]: FOLDER has published tables and predictor");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const char* dir = std::getenv("DYNOFA_GOLDEN_DIR");
  if (!dir || !*dir) {
    std::cerr << "bench_search: DYNOFA_GOLDEN_DIR must name a folder with the published tables and predictor\n";
    return 2;
  }
  const fixture f(dir);
  register_rows(f);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
