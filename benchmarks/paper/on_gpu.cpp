// The figures on a GPU: the same templates, and what can come to a GPU while a network runs on it. Clocks are left as
// they are: setting them is for the machine's owner.
#include "dynofa/backend/cuda.hpp"

#include "../../examples/support/gpu_batches.hpp"
#include "all_figures.hpp"
#include <iostream>

bool paper::figures_on_gpu(story& s, std::vector<candidate>& networks) {
  std::optional<backend::cuda> gpu;
  try {
    gpu.emplace();
  } catch (const error& e) {
    std::cerr << "no figures of a GPU: " << e.what() << '\n';
    return false;
  }
  const arch other = paper_networks_for("gpu").back().arch;
  support::gpu_batches single(bench::paper_supernet(), other, 1), some(bench::paper_supernet(), other, 8),
      many(bench::paper_supernet(), other, 64);
  const auto beside = [](const char* what, support::gpu_batches& b) {
    return disturbance{text("beside ", what, " of another network"), [&] { b.start(); }, [&] { b.stop(); }};
  };
  device<backend::cuda> on{
      .key = "gpu",
      .backend = *gpu,
      .of_family = [] { return backend::cuda{}; },
      .name = device_name(*gpu),
      .tolerance = 5e-2, // of halves
      .in_floats = backend::cuda{.precision = "fp32"},
      .panel = "a",
      .all = {beside("single images", single), beside("batches of 8", some), beside("batches of 64", many)},
      .comes = beside("batches of 8", some)};
  all_figures(s, on, networks);
  return true;
}
