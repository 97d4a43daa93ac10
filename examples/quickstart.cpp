// ctest:
// expect: 13 levels.*level 12, 128x128.    1\. +[0-9.]+ %  espresso.*label: espresso
// installed as: dynofa-quickstart
#include "dynofa/backend/cpu.hpp"
#include "dynofa/calibrate/evaluate.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/latency/fma_peak.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/report/progress.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>

// The main job: load a family of sub-networks, see what each costs on this machine, classify real images.
//
//   quickstart                       the family in assets/, on the photograph there
//   quickstart --image cat.jpg       … on your image
//   quickstart --images DIR          accuracy of every level over a folder with one sub-folder per class
//   quickstart --figure front        draws the front as front.svg and front.png (gnuplot)

namespace {

using namespace dynofa;

/// The family with every level that has activation ranges in int8 as well.
family in_both_formats(const family& f) {
  family both = f;
  for (family_level l : f.levels())
    if (l.format.empty() && !l.statistics.ranges.empty()) l.format = "int8", both.add(l);
  return both;
}

/// All levels; a star for those of its front on this device. `both`: measured in int8 too.
void print_table(const family& f, const family& both, const std::string& device) {
  const double gflops = fma_peak_gflops();
  const auto front = f.front(device);
  std::cout << device << ", one core multiplies and adds " << std::fixed << std::setprecision(0) << gflops
            << " GFLOP/s\nlevel    r  M MACs  top-1 (95 %)          ms here  ratio to 2 x MACs / peak  ms in int8\n";
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    const auto& l = f.levels()[i];
    const double macs = double(make_plan(f.space(), l.arch).macs()), ms = f.latency_on(i, device)->median_ms;
    const auto [low, high] = l.accuracy.top1_interval();
    std::cout << std::setw(4) << i << (std::ranges::count(front, i) ? '*' : ' ') << std::setw(5) << l.arch.r
              << std::setprecision(1) << std::setw(8) << macs / 1e6 << std::setprecision(2) << std::setw(7)
              << l.accuracy.top1() << " (" << low << "-" << high << ")" << std::setprecision(3) << std::setw(11) << ms
              << std::setprecision(2) << std::setw(12) << ms / (2e-6 * macs / gflops);
    if (const auto same = both.find(l.arch, "int8"))
      std::cout << std::setprecision(3) << std::setw(26) << both.latency_on(*same, device)->median_ms;
    std::cout << '\n';
  }
  std::cout << "* no other level is as accurate and as quick here: run time switches between these\n\n";
}

/// Half precision where the file's weights are halves.
const backend::cpu one_core{.weights = "lossless"};

void classify(const family& f, std::size_t i, const data::image& picture) {
  const family_level& l = f.levels()[i];
  std::vector<float> image(image_values(l.arch.r));
  f.preprocessing().apply(picture, l.arch.r, image);
  session runner(one_core, f.net());
  auto level = runner.load(l.arch, l.statistics, 1, l.format);
  auto scores = runner.run(level, image);
  if (argmax(scores) == scores.size()) throw error(errc::device, text("level ", i), "logits", "NaN");
  const float top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (float& s : scores) sum += s = std::exp(s - top);
  std::cout << "  level " << i << ", " << l.arch.r << "x" << l.arch.r << '\n';
  for (int place = 1; place <= 3; ++place) {
    const std::size_t best = argmax(scores);
    std::cout << "    " << place << ". " << std::fixed << std::setprecision(1) << std::setw(5)
              << 100 * scores[best] / sum << " %  " << f.classes()[best].name << '\n';
    scores[best] = -1;
  }
}

void evaluate_all(const family& f, const std::string& folder, std::size_t limit, int threads, bool skip_bad) {
  std::vector<std::string> ids;
  for (const auto& c : f.classes()) ids.push_back(c.id);
  data::image_folder images(folder, ids);
  if (skip_bad) images.skip_bad_pictures();
  if (limit && limit < images.size()) images = images.subset(limit, 1);
  std::vector<evaluated_level> levels;
  for (const auto& l : f.levels()) levels.push_back({l.arch, l.statistics, l.format});
  report::progress bar(std::cerr, "evaluate");
  const auto results = evaluate(one_core, f.net(), one_core.pack(f.net()), levels, images, f.preprocessing(),
                                {.threads = threads, .progress = std::ref(bar)});
  std::cout << images.to_string() << "\nlevel  top-1  top-5\n" << std::fixed << std::setprecision(2);
  for (std::size_t i = 0; i < results.size(); ++i)
    std::cout << std::setw(5) << i << std::setw(7) << results[i].accuracy.top1() << std::setw(7)
              << results[i].accuracy.top5() << '\n';
}

} // namespace

static int program(int argc, char** argv) {
  CLI::App app("dynofa: one super-network, many networks");
  std::string asset = DYNOFA_ASSETS "/tinyimagenet.dynofa", image, folder, figure;
  std::size_t limit = 0;
  bool skip_bad = false;
  int threads = hardware_threads();
  app.add_option("--family", asset, "family file");
  app.add_option("--image", image, "JPEG or PNG to classify");
  app.add_option("--images", folder, "folder with one sub-folder per class: measures top-1 of every level");
  app.add_option("--limit", limit, "with --images: use this many, drawn with a fixed seed");
  app.add_flag("--skip-bad-pictures", skip_bad, "with --images: leave out those that cannot be read, and count them");
  app.add_option("--threads", threads, "threads for --images");
  app.add_option("--figure", figure, "draw the front as FIGURE.svg and FIGURE.png");
  CLI11_PARSE(app, argc, argv);

  if (!figure.empty()) require_writable(figure + ".gp");
  const auto start = std::chrono::steady_clock::now();
  family f = load_family(asset);
  const auto loaded = std::chrono::steady_clock::now() - start;
  std::cout << asset << "\n  " << f.levels().size() << " levels over one super-network of " << f.space().classes
            << " classes, loaded in " << std::chrono::duration_cast<std::chrono::milliseconds>(loaded).count()
            << " ms\n  " << provenance_of(f)["origin"] << "\n  images: " << f.preprocessing().to_string() << "\n\n";
  if (!folder.empty()) {
    evaluate_all(f, folder, limit, threads, skip_bad);
    return 0;
  }

  const bool own = image.empty(); // else the user's
  if (own) image = DYNOFA_ASSETS "/espresso.jpg";
  const data::image picture = data::read_image(image);
  family both = in_both_formats(f);
  const std::string device = remeasure_latencies(both, one_core, 20); // all in turn
  for (std::size_t i = 0; i < f.levels().size(); ++i)
    f.set_latency(i, *both.latency_on(*both.find(f.levels()[i].arch, f.levels()[i].format), device));
  print_table(f, both, device);
  if (!figure.empty()) {
    report::series front{"levels", {}, report::series::look::line_and_points};
    for (const std::size_t i : f.front(device))
      front.points.push_back({f.latency_on(i, device)->median_ms, f.levels()[i].accuracy.top1()});
    report::draw({device, "milliseconds per image", "top-1, per cent", {front}}, figure);
  }

  std::cout << image << ", " << picture.width << "x" << picture.height << '\n';
  classify(f, 0, picture);
  classify(f, f.levels().size() - 1, picture);
  if (own) std::cout << "  its label: espresso\n";
  return 0;
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
