// Each kernel of the CPU backend alone, over the distinct shapes of the paper's networks, one thread.
//
//   bench_ops [--subnets FILE.json] [--isa NAME] [Google Benchmark's options]
//
// Rows op/KERNEL/SHAPE with GFLOPs, the ratio to the FMA peak measured in this run, and the bytes a run must at least
// touch. Kernels are called as the blocks call them: rows of a ring that stays in L2, three panels at a time. Every
// row is compared with plain loops first, every output of it.
#include <benchmark/benchmark.h>

#include "ops.hpp"
#include "support.hpp"
#include <set>

namespace {

using namespace bench;

void run(benchmark::State& state, const std::string& isa, const block& b, const op_maker& make) {
  const op o = make(*backend::cpu_detail::find_isa(isa).kernels, b);
  op_judge judge;
  o.run(&judge);
  if (!(judge.worst() <= 1e-5) || judge.seen() != o.outputs)
    return state.SkipWithError(text("compared ", judge.seen(), " of ", o.outputs, " values with plain loops, worst ",
                                    judge.worst(), " of their root mean square")
                                   .c_str());
  watch w;
  for (auto _ : state) {
    w.time([&] { o.run(nullptr); });
    state.SetIterationTime(w.last_ms() / 1e3);
  }
  static const double peak = fma_peak_gflops(isa);
  const double best = w.min_ms();
  state.counters["min_us"] = best * 1e3;
  state.counters["GFLOPs"] = o.flops / best / 1e6;
  state.counters["of_peak"] = peak > 0 ? o.flops / best / 1e6 / peak : 0;
  state.counters["bytes"] = o.bytes;
  state.counters["GBps"] = o.bytes / best / 1e6;
}

} // namespace

static int program(int argc, char** argv) {
  printed_help(
      argc, argv,
      "bench_ops [--isa NAME] [--subnets FILE.json] [options of Google Benchmark]: the paper's networks, or FILE's");
  const std::string isa = take_option(argc, argv, "--isa");
  std::set<std::string> seen;
  for (const auto& network : mobilenets(take_option(argc, argv, "--subnets")))
    for (const block& b : make_plan(ofa_w1_2::description, network.arch).blocks)
      for (const auto& [name, make] : ops_of(b))
        if (seen.insert(name).second)
          benchmark::RegisterBenchmark(("op/" + name).c_str(),
                                       [=, make = make](benchmark::State& state) { run(state, isa, b, make); })
              ->UseManualTime()
              ->Unit(benchmark::kMicrosecond);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
