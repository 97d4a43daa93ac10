// Every distinct block of the paper's networks alone: rows block/KIND/…/cpu/threads:1 with GFLOP/s, the ratio of the
// time to the FMA floor, and the fp32 bytes of its weights. Compared with the reference backend first.
#include <benchmark/benchmark.h>

#include "support.hpp"
#include <set>

namespace {

using namespace bench;

void run(benchmark::State& state, const arch& a, std::size_t index, const std::string& isa) {
  const supernet_ptr& net = paper_supernet();
  session judge(backend::reference{}, net);
  session runner(backend::cpu{.isa = isa}, net);
  auto truth = judge.load(a);
  auto level = runner.load(a);
  const block& b = level->plan.blocks[index];
  const auto in = random_values(static_cast<std::size_t>(b.in_values()), index);
  std::vector<float> wanted(static_cast<std::size_t>(b.out_values())), got(wanted.size());
  judge.run_block(truth, index, in, wanted);
  runner.run_block(level, index, in, got);
  if (const auto fault = difference(got, wanted, 1e-4); !fault.empty()) return state.SkipWithError(fault.c_str());

  std::vector<double> ms;
  for (auto _ : state) {
    ms.push_back(runner.time_block(level, index, 1));
    state.SetIterationTime(ms.back() / 1e3);
  }
  static const double peak = fma_peak_gflops(isa);
  const double best = *std::min_element(ms.begin(), ms.end()), flops = 2.0 * static_cast<double>(b.macs());
  state.counters["min_ms"] = best;
  state.counters["GFLOPs"] = flops / best / 1e6;
  state.counters["over_floor"] = best * peak * 1e6 / flops;
  state.counters["weight_KB"] = 4 * static_cast<double>(b.parameters()) / 1e3;
}

} // namespace

static int program(int argc, char** argv) {
  printed_help(
      argc, argv,
      "bench_blocks [--isa NAME] [--subnets FILE.json] [options of Google Benchmark]: the paper's networks, or FILE's");
  const std::string isa = take_option(argc, argv, "--isa");
  std::set<std::string> seen;
  for (const auto& network : mobilenets(take_option(argc, argv, "--subnets"))) {
    const plan p = make_plan(ofa_w1_2::description, network.arch);
    for (std::size_t i = 0; i < p.blocks.size(); ++i) {
      const std::string name = block_row_name(p.blocks[i]);
      if (!seen.insert(name).second) continue;
      benchmark::RegisterBenchmark((name + "/cpu/threads:1").c_str(),
                                   [=, a = network.arch](benchmark::State& state) { run(state, a, i, isa); })
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
