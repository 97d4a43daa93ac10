// Where a GPU's time goes, and the networks as other programs need them.
//
//   gpu_figures networks                                        their blocks and shapes as JSON, for peers/torch_gpu.py
//   gpu_figures launches [--only gpu] [--precision fp16] [--batch 1]   a table of every launch of a level
//   gpu_figures tilings [same]   each inverted residual cut in the 40 ways with the least estimated time (schedule.hpp)
//   gpu_figures convolutions [same]   each launch of a bottleneck's convolutions cut in every way (launches.hpp)
//
// The bytes of a launch are each of its operands once.
#include "dynofa/backend/cuda.hpp"
#include "dynofa/report/program.hpp"

#include "support.hpp"
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace {

using namespace bench;
using nlohmann::json;

const char* name_of(block_kind kind) {
  constexpr const char* names[] = {"stem",       "convolution",  "max_pool",     "separable",   "inverted_residual",
                                   "bottleneck", "final_expand", "average_pool", "feature_mix", "classifier"};
  return names[static_cast<int>(kind)];
}

json blocks_of(const plan& p) {
  json all = json::array();
  for (const block& b : p.blocks)
    all.push_back({{"kind", name_of(b.kind)},
                   {"act", dynofa::detail::word_of(b.act)},
                   {"out_act", dynofa::detail::word_of(b.out_act)},
                   {"residual", b.residual},
                   {"kernel", b.kernel},
                   {"stride", b.stride},
                   {"in_channels", b.in_channels},
                   {"mid_channels", b.mid_channels},
                   {"out_channels", b.out_channels},
                   {"se_channels", b.se_channels}});
  return all;
}

struct options {
  std::string only, precision;
  int batch;
};

/// Every launch, then the sum by kernel and what the graph as a whole takes.
void print_launches(const named_network& network, const options& o) {
  const supernet_ptr& net = network.net();
  session runner(backend::cuda{.precision = o.precision}, net);
  auto level = network.load(runner, o.batch);
  const std::vector<float> image = random_values(image_values(network.arch.r) * std::size_t(o.batch), network.arch.r);
  (void)runner.run(level, image);
  const auto all = runner.backend().profile(*level, runner.workspace(), 20);
  std::printf("%s r=%d %s batch %d\n", network.name.c_str(), int(network.arch.r), runner.backend().name().c_str(),
              o.batch);
  double sum = 0;
  std::int64_t bytes = 0;
  std::map<std::string, std::pair<int, double>> by_kernel;
  for (const auto& one : all) {
    const block& b = level->plan.blocks[one.block];
    std::printf("  %-17s block %2d %3dx%-4d-%4d-%4d k%d s%d se%-4d  %6lld blocks %8.1f KB %8.2f us %7.0f GB/s\n",
                std::string(one.kernel).c_str(), int(one.block), b.in_size, b.in_channels, b.mid_channels,
                b.out_channels, b.kernel, b.stride, b.se_channels, static_cast<long long>(one.thread_blocks),
                1e-3 * double(one.least_bytes), 1e3 * one.ms, 1e-6 * double(one.least_bytes) / one.ms);
    sum += one.ms, bytes += one.least_bytes;
    auto& [count, ms] = by_kernel[std::string(one.kernel)];
    ++count, ms += one.ms;
  }
  for (const auto& [kernel, total] : by_kernel)
    std::printf("  sum %-17s %3d launches %9.2f us\n", kernel.c_str(), total.first, 1e3 * total.second);
  std::vector<double> whole;
  for (int i = 0; i < 20; ++i) whole.push_back(runner.time_run(level, 20));
  std::sort(whole.begin(), whole.end());
  std::printf("  %zu launches, %.2f MB, sum %.2f us, graph %.2f us (median of 20 groups)\n", all.size(),
              1e-6 * double(bytes), 1e3 * sum, 1e3 * whole[10]);
}

/// A line per way to cut a block: what it is, what was estimated, what it takes. Blocks alike are timed once.
void print_tilings(const named_network& network, const options& o, std::vector<block>& seen) {
  const supernet_ptr& net = network.net();
  session runner(backend::cuda{.precision = o.precision}, net);
  auto level = network.load(runner, o.batch);
  const plan roomy = make_plan(net->space, network.arch, 2 * o.batch); // for more shares of the hidden layer
  auto space = runner.backend().make_workspace(std::span(&roomy, 1));
  for (std::size_t i = 0; i < level->plan.blocks.size(); ++i) {
    block b = level->plan.blocks[i];
    b.unit = b.gene = 0;
    if (b.kind != block_kind::inverted_residual || std::find(seen.begin(), seen.end(), b) != seen.end()) continue;
    seen.push_back(b);
    for (const auto& one : runner.backend().profile_tilings(*level, space, i, 40))
      std::printf("in %d x%d mid %d out %d k%d s%d se%d batch %d: %dx%d, %d threads, %u bytes, %d tiles: %.0f cycles, "
                  "%.3f us\n",
                  b.in_size, b.in_channels, b.mid_channels, b.out_channels, b.kernel, b.stride, b.se_channels, o.batch,
                  one.cut.height, one.cut.width, one.cut.threads, one.cut.shared_bytes, one.cut.count,
                  one.estimated_cycles, 1e3 * one.ms);
  }
}

/// A line per way to cut a launch of convolutions, as print_tilings.
void print_convolutions(const named_network& network, const options& o, std::vector<block>& seen) {
  const supernet_ptr& net = network.net();
  session runner(backend::cuda{.precision = o.precision}, net);
  auto level = network.load(runner, o.batch);
  for (std::size_t i = 0; i < level->plan.blocks.size(); ++i) {
    block b = level->plan.blocks[i];
    b.unit = b.gene = 0;
    if (std::find(seen.begin(), seen.end(), b) != seen.end()) continue;
    seen.push_back(b);
    int launch = 0;
    for (const auto& cuts : runner.backend().profile_convolutions(*level, runner.workspace(), i)) {
      for (const auto& one : cuts)
        std::printf(
            "in %d x%d mid %d out %d k%d s%d %s batch %d launch %d: %s, %d splits: estimated %.3f us, takes %.3f us\n",
            b.in_size, b.in_channels, b.mid_channels, b.out_channels, b.kernel, b.stride,
            b.residual ? "residual" : "shortcut", o.batch, launch, std::string(one.kernel).c_str(), one.splits,
            one.estimated_us, 1e3 * one.ms);
      ++launch;
    }
  }
}

} // namespace

static int program(int argc, char** argv) {
  constexpr const char* usage = "usage: gpu_figures networks | launches | tilings | convolutions [--only NAME] "
                                "[--precision fp16|fp32] [--batch N]";
  if (printed_help(argc, argv, usage)) return 0;
  const options o{take_option(argc, argv, "--only", "gpu"), take_option(argc, argv, "--precision", "fp16"),
                  static_cast<int>(report::read_number("--batch", take_option(argc, argv, "--batch", "1"), 1, 65536))};
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "networks") {
    json all = json::array();
    for (const auto& n : networks({}))
      all.push_back({{"name", n.name}, {"r", n.arch.r}, {"blocks", blocks_of(n.plan_of())}});
    std::cout << json{{"networks", all}}.dump() << '\n';
  } else if (what == "launches") {
    for (const auto& n : networks({}))
      if (n.name.starts_with(o.only)) print_launches(n, o);
  } else if (what == "tilings" || what == "convolutions") {
    std::vector<block> seen;
    for (const auto& n : networks({}))
      if (n.name.starts_with(o.only)) (what == "tilings" ? print_tilings : print_convolutions)(n, o, seen);
  } else {
    std::cerr << usage << '\n';
    return 2;
  }
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
