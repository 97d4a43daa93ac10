// ctest:
// expect: cuda backend: expected a CUDA device|three levels share
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cuda.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/sampling.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

// Three levels of one super-network on an NVIDIA GPU: what each costs, what a switch costs, what they share. Where
// there is no GPU it says so in one sentence.
//
//   11_on_a_gpu --precision fp32 --batch 8

using namespace dynofa;

static int program(int argc, char** argv) {
  CLI::App app("Runs a few levels on a GPU");
  std::string checkpoint = DYNOFA_ASSETS "/tinyimagenet_w1.2.safetensors", precision = "fp16";
  int batch = 1;
  app.add_option("--checkpoint", checkpoint, "super-network with its space (safetensors)");
  app.add_option("--precision", precision, "fp16 or fp32");
  app.add_option("--batch", batch, "images per run");
  CLI11_PARSE(app, argc, argv);

  const backend::cuda gpu{.precision = precision}; // throws where there is none
  std::cout << gpu.name() << '\n';
  const auto net = std::make_shared<const supernet>(load_supernet(checkpoint));
  session on_gpu(gpu, net);

  // 1. Levels: every one is a few scales and shifts and a graph of launches. The weights lie on the device once.
  random_stream random(1, "levels");
  std::vector<session<backend::cuda>::level> levels;
  for (const arch& a : {smallest(net->space), random_arch(net->space, random), largest(net->space)})
    levels.push_back(on_gpu.load(a, stored_statistics(*net, a), batch));

  // 2. Time of a run: on the device alone, and as the caller sees it, with images and logits travelling.
  using clock = std::chrono::steady_clock;
  auto us_since = [](clock::time_point start) {
    return std::chrono::duration<double, std::micro>(clock::now() - start).count();
  };
  std::vector<std::vector<float>> images;
  for (auto& level : levels) {
    const plan& p = level->plan;
    std::vector<float>& image = images.emplace_back(p.image_values());
    for (float& x : image) x = static_cast<float>(random.normal());
    std::vector<float> logits = on_gpu.run(level, image); // the first run captures the graph
    const auto start = clock::now();
    for (int i = 0; i < 50; ++i) on_gpu.run(level, image, logits);
    std::printf("%4d pixels, %4.0f million multiply-adds: %zu launches, %.0f us on the device, %.0f us in all\n",
                int(p.arch.r), 1e-6 * double(p.macs()), gpu.launches(*level, on_gpu.workspace()),
                1e3 * on_gpu.time_run(level, 50), us_since(start) / 50);
  }

  // 3. The same answer as on the CPU, within what fp16 can tell.
  session on_cpu(backend::cpu{}, net);
  auto same = on_cpu.load(levels[0]->plan.arch, stored_statistics(*net, levels[0]->plan), batch);
  const auto ours = on_gpu.run(levels[0], images[0]), wanted = on_cpu.run(same, images[0]);
  float apart = 0, largest_logit = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    apart = std::max(apart, std::abs(ours[i] - wanted[i]));
    largest_logit = std::max(largest_logit, std::abs(wanted[i]));
  }
  std::printf("logits differ from the CPU's by %.2g of the largest\n", apart / largest_logit);

  // 4. A switch is the choice of another graph: what the caller pays until it is on its way.
  double slowest = 0;
  for (int i = 0; i < 300; ++i) {
    const auto start = clock::now();
    gpu.enqueue(*levels[static_cast<std::size_t>(i % 3)], on_gpu.workspace());
    if (i >= 3) slowest = std::max(slowest, us_since(start));
    gpu.wait();
  }
  std::printf("300 switches, the slowest %.0f us\n", slowest);

  std::size_t own = 0;
  for (const auto& level : levels) own += level->bytes();
  std::printf("three levels share %.1f MB of weights and %.1f MB of activations, and own %.2f MB\n",
              1e-6 * double(on_gpu.packed()->bytes()), 1e-6 * double(on_gpu.workspace().bytes()), 1e-6 * double(own));
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
