// Frames of cameras to a network's input [128,128,3], one thread: every layout, three sizes, exact and quick, by the
// rule that crops and by the one that takes the whole frame.
//
//   bench_frames [Google Benchmark's options]
//
// Rows frames/RULE/LAYOUT/WIDTHxHEIGHT/HOW. `plain`: the frame copied into an RGB picture and that preprocessed, as one
// had to do without frames. Every row is compared with it before it is timed: exact ones bit for bit, quick ones to 4
// levels in the root mean square.
#include "dynofa/data/draw.hpp"
#include "dynofa/data/frame_preprocessor.hpp"
#include "dynofa/report/program.hpp"

#include <benchmark/benchmark.h>

#include "../tests/support/frames.hpp"
#include "run.hpp"
#include "support.hpp"
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace dynofa;
using namespace dynofa::data;

constexpr int r = 128;

/// Drawn once per size: it takes 0.05 µs a pixel.
const image& landscape(int width, int height) {
  static image last;
  if (last.width != width || last.height != height) last = draw_landscape(height, width, 1);
  return last;
}

std::vector<float> plain(const preprocessing& rule, const frame& f) {
  std::vector<float> out(image_values(r));
  rule.apply(to_image(f), r, out);
  return out;
}

/// Root mean square, in levels of 255.
double levels_between(const preprocessing& rule, const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double levels = (double(a[i]) - b[i]) * 255 * rule.std[i % 3];
    sum += levels * levels;
  }
  return std::sqrt(sum / double(a.size()));
}

void measure(benchmark::State& state, const preprocessing& rule, pixel_layout layout, int width, int height,
             const std::string& how) {
  const support::laid_out memory(landscape(width, height), layout);
  const frame f = memory.view();
  const auto wanted = plain(rule, f);
  std::vector<float> out(wanted.size());
  frame_preprocessor prepare(rule, how == "quick" ? resizing::quick : resizing::exact);
  const auto run = [&] {
    if (how == "plain")
      out = plain(rule, f);
    else
      prepare.apply(f, r, out);
  };
  run();
  const double levels = levels_between(rule, out, wanted);
  if (how == "quick" ? !(levels < 4) : out != wanted)
    return state.SkipWithError(text("differs from the plain way by ", levels, " levels").c_str());
  bench::watch w;
  for (auto _ : state) w.time(run);
  state.counters["min_ms"] = w.min_ms();
  state.counters["levels"] = levels;
}

} // namespace

static int program(int argc, char** argv) {
  for (const auto& [width, height] : {std::pair{640, 480}, {1920, 1080}, {3840, 2160}})
    for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()})
      for (const auto layout : support::all_layouts)
        for (const std::string how : {"plain", "exact", "quick"}) {
          std::string name(name_of(layout));
          std::replace(name.begin(), name.end(), ' ', '_');
          benchmark::RegisterBenchmark(
              text("frames/", name_of(rule.mode), '/', name, '/', width, 'x', height, '/', how).c_str(),
              [=, width = width, height = height](benchmark::State& state) {
                measure(state, rule, layout, width, height, how);
              })
              ->Unit(benchmark::kMillisecond);
        }
  return bench::run_rows(argc, argv);
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
