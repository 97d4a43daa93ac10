// Latency of whole sub-networks, one image at a time.
//
//   bench_subnets [--subnets FILE.json] [--isa NAME] [Google Benchmark's options]
//
// Rows subnet/NAME/cpu/threads:N for N of 1, 2 and 4, as far as there are cores, with counters median_ms and min_ms
// over single images, the compute floor (2 · MACs over the FMA peak measured in this run, of int8 rows over the peak of
// byte products) and the ratio of the minimum to it.
// `/bf16` multiplies bf16 in all 1×1 convolutions, `/int8` bytes in all but the first two blocks, with the ranges of
// the image that is timed; `/fp16_weights` keeps weights in half precision, `/cold` walks over 64 MB between images.
// FILE may be slimmable.json, the published slimmable networks, which run with random weights; beside their latency
// stands the accuracy of their papers. Every row is compared with the reference backend first.
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/testing/networks.hpp"

#include <benchmark/benchmark.h>

#include "support.hpp"
#ifdef DYNOFA_WITH_CUDA
#include "cuda_rows.hpp"
#endif

namespace {

using namespace bench;

struct options {
  std::string isa;
  int threads = 1;
  std::string weights = "fp32";
  bool cold = false;
};

void run(benchmark::State& state, const named_network& network, const options& o) {
  const supernet_ptr& net = network.net();
  const std::vector<float> image = random_values(image_values(network.arch.r), network.arch.r);
  // One answer of the reference per network, whatever the number of rows.
  struct answer {
    scale_shift norms;
    std::vector<float> logits;
  };
  static std::map<std::string, answer> answers;
  const bool is_int8 = o.weights == "int8";
  answer& wanted = answers[network.name + (is_int8 ? "/int8" : "")];
  const plan p = network.plan_of();
  if (wanted.logits.empty()) {
    wanted.norms = conformance::norms_of(*net, p);
    if (is_int8) wanted.norms.ranges = conformance::ranges_of(*net, p, wanted.norms, image);
    const auto ask = [&](auto judge) {
      session judging(judge, net);
      wanted.logits = judging.run(judging.bind(p, wanted.norms), image);
    };
    if (is_int8)
      ask(backend::reference_int8::by(backend::cpu{.isa = o.isa}.byte_rule()));
    else
      ask(backend::reference{});
  }

  session runner(backend::cpu{.isa = o.isa, .threads = o.threads, .weights = o.weights}, net);
  auto level = runner.bind(p, wanted.norms);
  std::vector<float> logits = runner.run(level, image);
  if (const auto fault = difference(logits, wanted.logits,
                                    o.weights == "fp32"   ? 5e-4
                                    : o.weights == "fp16" ? 1e-2
                                    : o.weights == "int8" ? 0.25
                                                          : 1e-1);
      !fault.empty())
    return state.SkipWithError(fault.c_str());

  std::vector<char> elsewhere(o.cold ? 64 << 20 : 0);
  for (int i = 0; i < 5; ++i) runner.run(level, image, logits);
  watch w;
  for (auto _ : state) {
    for (std::size_t i = 0; i < elsewhere.size(); i += 64) benchmark::DoNotOptimize(++elsewhere[i]);
    w.time([&] { runner.run(level, image, logits); });
    state.SetIterationTime(w.last_ms() / 1e3);
  }
  static const double peak = fma_peak_gflops(o.isa), byte_peak = 2 * byte_peak_gmacs(o.isa);
  const double own_peak = is_int8 && byte_peak > 0 ? byte_peak : peak;
  const double floor_ms = 2e-6 * static_cast<double>(level->plan.macs()) / own_peak / o.threads;
  state.counters["median_ms"] = w.median_ms();
  state.counters["min_ms"] = w.min_ms();
  state.counters["floor_ms"] = floor_ms;
  state.counters["min_over_floor"] = w.min_ms() / floor_ms;
  state.counters["peak_gflops"] = own_peak;
  state.counters["mmacs"] = 1e-6 * static_cast<double>(level->plan.macs());
  if (network.top1 > 0) state.counters["published_top1"] = network.top1;
  state.SetLabel(runner.backend().name());
}

std::string weights_of(std::string_view extra) {
  return extra == "/bf16" ? "bf16" : extra == "/int8" ? "int8" : extra == "/fp16_weights" ? "fp16" : "fp32";
}

} // namespace

static int program(int argc, char** argv) {
  [[maybe_unused]] const bool explains = printed_help(
      argc, argv,
      "bench_subnets [--isa NAME] [--subnets FILE.json] [options of Google Benchmark]: the paper's networks, "
      "or FILE's");
  const std::string isa = take_option(argc, argv, "--isa");
  const std::string subnets = take_option(argc, argv, "--subnets");
  for (const auto& network : networks(subnets))
    for (const char* extra : {"", "/bf16", "/int8", "/fp16_weights", "/cold"})
      for (int threads : {1, 2, 4}) {
        if (threads > hardware_threads()) continue; // such rows would time the scheduler
        const bool is_plain = std::string_view(extra) == "" || std::string_view(extra) == "/cold";
        if (!is_plain && std::string_view(extra) != "/fp16_weights" && network.name.starts_with("resnet"))
          continue; // there is none
        const options o{isa, threads, weights_of(extra), std::string_view(extra) == "/cold"};
        benchmark::RegisterBenchmark(text("subnet/", network.name, "/cpu/threads:", threads, extra).c_str(),
                                     [=](benchmark::State& state) { run(state, network, o); })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
      }
#ifdef DYNOFA_WITH_CUDA
  if (!explains) register_cuda_rows(networks(subnets));
#endif
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
