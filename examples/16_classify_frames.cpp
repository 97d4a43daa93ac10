// ctest: --frames 40 --latency 1000 --metrics frames_test.prom
// expect: frame 0: .*level 12.*40 frames, 0 late.*frames_test.prom
#include "dynofa/adaptive_classifier.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/data/decode.hpp"
#include "dynofa/report/program.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>

// Frames in, answers out, in time: a folder of pictures, or raw NV12 as a camera gives it.
//
//   16_classify_frames --folder DIR --latency 20
//   ffmpeg -f v4l2 -i /dev/video0 -pix_fmt nv12 -f rawvideo - | 16_classify_frames --nv12 640 480 --end-to-end --quick

namespace {

using namespace dynofa;

/// The pictures of a folder in the order of their names; without a folder the photograph in assets/, again and again.
template <class Use>
void each_picture(const std::string& folder, std::size_t most, const Use& use) {
  if (folder.empty()) {
    const data::image photograph = data::read_image(DYNOFA_ASSETS "/espresso.jpg");
    for (std::size_t i = 0; i < most && !report::interrupted(); ++i) use(photograph);
    return;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (std::size_t i = 0; i < std::min(most, files.size()) && !report::interrupted(); ++i) {
    const data::image picture = data::read_image(files[i]);
    use(picture);
  }
}

/// What comes from standard input: a plane of Y, then one of U and V, frame after frame in the same memory.
template <class Use>
void each_raw_frame(int width, int height, std::size_t most, const Use& use) {
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  const std::size_t chroma = static_cast<std::size_t>(width + 1) / 2 * 2 * (static_cast<std::size_t>(height + 1) / 2);
  std::vector<std::uint8_t> memory(pixels + chroma);
  const auto all = std::span(memory);
  const auto next = [&] { return std::fread(memory.data(), 1, memory.size(), stdin) == memory.size(); };
  for (std::size_t i = 0; i < most && !report::interrupted() && next(); ++i)
    use(data::nv12_view{all.first(pixels), all.last(chroma), width, height});
}

} // namespace

static int program(int argc, char** argv) {
  CLI::App app("classifies frames under a latency target");
  std::string file = DYNOFA_ASSETS "/tinyimagenet.dynofa", folder, metrics;
  runtime::target wanted{.latency_ms = 20};
  std::size_t most = 1000;
  std::vector<int> nv12;
  bool end_to_end = false, quick = false;
  app.add_option("--family", file, "family file");
  auto* pictures = app.add_option("--folder", folder, "pictures, JPEG or PNG")->check(CLI::ExistingDirectory);
  app.add_option("--nv12", nv12, "raw frames of this width and height from standard input")
      ->expected(2)
      ->check(CLI::Range(2, data::frame::longest_side))
      ->excludes(pictures);
  app.add_option("--frames", most, "stop after so many")->check(CLI::PositiveNumber);
  app.add_option("--latency", wanted.latency_ms, "milliseconds that a frame may take");
  app.add_option("--percentile", wanted.percentile, "for this share of the frames");
  app.add_flag("--end-to-end", end_to_end, "the target is for preparation and network, not for the network alone");
  app.add_flag("--quick", quick, "resize quickly, not by the rule that the network was trained with");
  app.add_option("--metrics", metrics, "writes the counters to this file, as Prometheus reads them");
  CLI11_PARSE(app, argc, argv);
  if (!metrics.empty()) require_writable(metrics);

  report::catch_interrupts();
  adaptive_classifier net(file, wanted,
                          {.counts = end_to_end ? runtime::counted_time::all : runtime::counted_time::network,
                           .resize = quick ? data::resizing::quick : data::resizing::exact});
  std::cout << net.device() << ": " << net.levels().size() << " levels of " << fixed(net.levels().front().latency_ms)
            << " to " << fixed(net.levels().back().latency_ms) << " ms\n";
  const auto answer = [&](const data::frame& frame) {
    const std::uint64_t number = net.counters().images();
    const classification c = net(frame);
    std::cout << "frame " << number << ": " << c.to_string() << ", prepared in " << fixed(c.preparation_ms) << " ms\n";
  };
  if (nv12.empty())
    each_picture(folder, most, answer);
  else
    each_raw_frame(nv12[0], nv12[1], most, answer);

  const runtime::run_counters& counted = net.counters();
  std::cout << counted.images() << " frames, " << counted.late() << " late, " << counted.switches() << " switches\n"
            << counted.csv();
  if (!metrics.empty()) {
    replace_file(metrics, counted.prometheus());
    std::cout << "counters in " << metrics << '\n';
  }
  report::stop_if_interrupted("frames");
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
