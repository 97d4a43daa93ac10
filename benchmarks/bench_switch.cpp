// What it costs to go from one sub-network to another, on the built-in networks of the paper and seeded weights, one
// thread; every row ends with the first image. The paper's Table 1: a sub-network built from the checkpoint, one copied
// out of the super-network in memory, and a switch. `steady` is an image without any switch.
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/runtime/dynamic_network.hpp"

#include <benchmark/benchmark.h>

#include <unistd.h>

#include "paper_networks.hpp"
#include "run.hpp"
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace dynofa;

struct setting {
  supernet_ptr net = std::make_shared<const supernet>(random_supernet(ofa_w1_2::description, 1));
  std::filesystem::path file = std::filesystem::temp_directory_path() / text("bench_switch-", getpid(), ".safetensors");
  family levels{net, data::imagenet_preprocessing(), {}};
  std::vector<float> image = std::vector<float>(224 * 224 * 3, 0.5f), logits = std::vector<float>(1000);

  setting() {
    int correct = 700;
    for (const auto& n : bench::paper_networks)
      if (n.name.starts_with("gpu")) // the six of Table 1
        levels.add({n.arch, stored_statistics(*net, n.arch), {1000, correct += 10, 990}, {}});
    save_checkpoint(file, random_checkpoint(net->space, 1), net->space);
  }
  ~setting() { std::filesystem::remove(file); }
  const family_level& small() const { return levels.levels().front(); }
  std::span<const float> input(const arch& a) const { return std::span(image).first(image_values(a.r)); }
};
setting& shared() {
  static setting s;
  return s;
}
const auto half = [](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); };

void reload(benchmark::State& state) { // the checkpoint's kernel transforms and the packing are in it
  setting& s = shared();
  for (auto _ : state) {
    session one(backend::cpu{}, std::make_shared<const supernet>(load_supernet(s.file)));
    auto level = one.load(s.small().arch, s.small().statistics);
    one.run(level, s.input(s.small().arch), s.logits);
  }
}
BENCHMARK(reload)->Name("switch/reload_checkpoint")->Unit(benchmark::kMillisecond);

void copy(benchmark::State& state) { // without packing the copy, which a backend needs too
  setting& s = shared();
  session one(backend::cpu{}, s.net);
  auto level = one.load(s.small().arch, s.small().statistics);
  for (auto _ : state) {
    benchmark::DoNotOptimize(extract(*s.net, make_plan(s.net->space, s.small().arch)));
    one.run(level, s.input(s.small().arch), s.logits);
  }
}
BENCHMARK(copy)->Name("switch/extract_copy")->Unit(benchmark::kMillisecond);

void first_image(benchmark::State& state) { // behind the largest level, which has emptied the caches
  setting& s = shared();
  runtime::dynamic_network net(backend::cpu{}, s.levels);
  for (auto _ : state) {
    state.PauseTiming();
    net.switch_to(net.size() - 1);
    net.run(half, s.logits);
    state.ResumeTiming();
    net.switch_to(0);
    net.run(half, s.logits);
  }
}
BENCHMARK(first_image)->Name("switch/ours")->Unit(benchmark::kMillisecond);

void steady(benchmark::State& state) {
  setting& s = shared();
  runtime::dynamic_network net(backend::cpu{}, s.levels);
  for (auto _ : state) net.run(half, s.logits);
}
BENCHMARK(steady)->Name("switch/steady")->Unit(benchmark::kMillisecond);

void switch_alone(benchmark::State& state) {
  setting& s = shared();
  runtime::dynamic_network net(backend::cpu{}, s.levels);
  std::size_t level = 0;
  for (auto _ : state) {
    level = level + 1 == net.size() ? 0 : level + 1;
    net.switch_to(level);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(switch_alone)->Name("switch/switch_to");

} // namespace

int main(int argc, char** argv) { return dynofa::report::run_program(bench::run_rows, argc, argv); }
