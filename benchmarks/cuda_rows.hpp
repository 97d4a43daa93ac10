#pragma once
#include "dynofa/backend/cuda.hpp"

#include <benchmark/benchmark.h>

#include "support.hpp"
#include <chrono>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Rows subnet/NAME/cuda_fp16/batch:N and cuda_fp32 of bench_subnets: device time of one graph, by events, images and
// logits staying on the device. Counters: median_ms and min_ms over groups of replays, launches per run, and wall_ms,
// the median of one whole call with its transfers.

namespace bench {

/// The reference's answer to image n of a batch: computed once, since a GPU that idles for seconds lowers its clock.
inline const std::vector<float>& cuda_truth(const named_network& network, std::span<const float> image, int n) {
  static std::map<std::pair<std::string, int>, std::vector<float>> answers;
  std::vector<float>& answer = answers[{network.name, n}];
  if (answer.empty()) {
    session judge(backend::reference{}, network.net());
    auto truth = network.load(judge);
    answer = judge.run(truth, image);
  }
  return answer;
}

inline void run_cuda(benchmark::State& state, const named_network& network, const std::string& precision, int batch) {
  const supernet_ptr& net = network.net();
  const auto pixels = image_values(network.arch.r), classes = std::size_t(net->space.classes);
  const std::vector<float> image = random_values(pixels * std::size_t(batch), network.arch.r);

  session runner(backend::cuda{.precision = precision}, net);
  auto level = network.load(runner, batch);
  std::vector<float> logits = runner.run(level, image);
  for (const int i : {0, batch - 1}) {
    const auto n = static_cast<std::size_t>(i);
    const std::vector<float>& wanted = cuda_truth(network, std::span(image).subspan(n * pixels, pixels), i);
    const std::vector<float> got(logits.begin() + std::ptrdiff_t(n * classes),
                                 logits.begin() + std::ptrdiff_t((n + 1) * classes));
    if (const auto fault = difference(got, wanted, precision == "fp16" ? 5e-2 : 5e-4); !fault.empty())
      return state.SkipWithError(fault.c_str());
  }

  watch device, wall;
  for (const auto start = std::chrono::steady_clock::now();
       std::chrono::steady_clock::now() - start < std::chrono::seconds(1);)
    (void)runner.time_run(level, 20); // until the clock is up
  for (int i = 0; i < 50; ++i) wall.time([&] { runner.run(level, image, logits); });
  for (auto _ : state) {
    const double ms = runner.time_run(level, 20);
    device.add(ms);
    state.SetIterationTime(ms / 1e3);
  }
  state.counters["median_ms"] = device.median_ms();
  state.counters["min_ms"] = device.min_ms();
  state.counters["wall_ms"] = wall.median_ms();
  state.counters["launches"] = static_cast<double>(runner.backend().launches(*level, runner.workspace()));
  state.counters["gmacs_per_s"] = 1e-6 * static_cast<double>(level->plan.macs()) * batch / device.min_ms();
  state.SetLabel(runner.backend().name());
}

/// Registers the rows if there is a GPU, else says why not.
inline void register_cuda_rows(const std::vector<named_network>& all) {
  try {
    (void)backend::cuda{};
  } catch (const error& e) {
    std::fprintf(stderr, "no cuda rows: %s\n", e.what());
    return;
  }
  for (const auto& network : all)
    for (const std::string precision : {"fp16", "fp32"})
      for (int batch : {1, 8, 64})
        benchmark::RegisterBenchmark(text("subnet/", network.name, "/cuda_", precision, "/batch:", batch).c_str(),
                                     [=](benchmark::State& state) { run_cuda(state, network, precision, batch); })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
}

} // namespace bench
