#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/calibrate/evaluate.hpp"
#include "dynofa/core/output.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/program.hpp"

#include "golden/golden.hpp"
#include "support/help.hpp"
#include <chrono>
#include <cstdlib>
#include <iostream>

namespace {

constexpr const char* help =
    R"(accuracy_check SUPERNET IMAGES CALIB REFERENCE.json [--threads N] [--limit N] [--figure STEM]

Calibrates every sub-network of REFERENCE.json with the images of CALIB (batches of 100, the reference's rule),
measures its top-1 on IMAGES and compares: within 0.4 points each. Then the throughput of both together, from
decoded pictures to statistics and counts, against one image at a time on one thread. --figure draws how the
statistics of the first and the last sub-network settle. SUPERNET is a safetensors file with its space,
preprocessing and classes inside (03_load_a_checkpoint writes one).)";

using namespace dynofa;
using steady = std::chrono::steady_clock;

double seconds_since(steady::time_point start) { return std::chrono::duration<double>(steady::now() - start).count(); }

/// Images per second of one thread, one image at a time, decoded images not counted.
double single_rate(const backend::cpu& one, const image_classifier& c, const arch& a) {
  session runner(one, c.net);
  auto level = runner.load(a);
  const std::vector<float> image(image_values(a.r), 0.3f);
  std::vector<float> logits(std::size_t(c.net->space.classes));
  for (int i = 0; i < 20; ++i) runner.run(level, image, logits);
  const auto start = steady::now();
  for (int i = 0; i < 300; ++i) runner.run(level, image, logits);
  return 300 / seconds_since(start);
}

/// What the images between two points still changed, in per cent, against the number of images.
void draw_settling(const std::vector<std::pair<std::string, std::vector<calibration_step>>>& all,
                   const std::string& stem) {
  report::figure f{"What the images since the point before still changed", "calibration images", "per cent", {}};
  f.key_on_top = true;
  for (const auto& [name, steps] : {all.front(), all.back()})
    for (const auto& [what, member] : {std::pair{"variances", &calibration_step::var_change},
                                       {"means, of a deviation", &calibration_step::mean_change},
                                       {"logits, of a deviation", &calibration_step::logit_change}}) {
      report::series s{text(name, ": ", what), {}, report::series::look::line_and_points};
      for (const calibration_step& step : steps) s.points.push_back({double(step.images), 100 * step.*member});
      f.all.push_back(std::move(s));
    }
  report::draw(f, stem);
}

} // namespace

static int program(int argc, char** argv) {
  if (support::printed_help(argc, argv, help)) return 0;
  std::vector<std::string> names;
  std::string figure;
  int threads = hardware_threads(), limit = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--threads" && i + 1 < argc)
      threads = static_cast<int>(report::read_number(arg, argv[++i], 1, 1024));
    else if (arg == "--limit" && i + 1 < argc)
      limit = static_cast<int>(report::read_number(arg, argv[++i], 1, 1e9));
    else if (arg == "--figure" && i + 1 < argc)
      figure = argv[++i];
    else
      names.push_back(arg);
  }
  if (names.size() != 4) {
    std::cerr
        << "usage: accuracy_check SUPERNET IMAGES CALIB REFERENCE.json [--threads N] [--limit N] [--figure STEM]\n";
    return 2;
  }
  if (!figure.empty()) require_writable(figure + ".gp");
  const image_classifier c = load_classifier(names[0]);
  data::image_folder images = c.images(names[1]);
  images.keep_decoded(std::size_t{1} << 30);
  if (limit > 0 && static_cast<std::size_t>(limit) < images.size()) images = images.subset(std::size_t(limit), 1);
  const backend::cpu one, all{.threads = threads};
  const auto packed = one.pack(c.net);

  golden::tally t;
  t.begin("calibrated top-1");
  std::vector<double> ratios;
  std::vector<std::pair<std::string, std::vector<calibration_step>>> settling;
  data::for_each_image(images, threads, [](std::size_t, int, const data::image&) {}); // decoded once, not timed
  const image_source source = decoded_source(data::image_folder(names[2]), c.preprocessing, threads);
  for (const auto& wanted : golden::read_json(names[3])) {
    const arch a = read_arch(wanted);
    const double rate_before = single_rate(one, c, a);
    auto start = steady::now();
    const auto calibrated = calibrate(all, c.net, std::span(&a, 1), source, {.batch = 100, .threads = threads}, packed);
    const double calibration_seconds = seconds_since(start);
    settling.emplace_back(wanted.at("name").get<std::string>(), calibrated[0].convergence);
    start = steady::now();
    const evaluated_level level{a, calibrated[0].statistics};
    const auto result =
        evaluate(one, c.net, packed, std::span(&level, 1), images, c.preprocessing, {.threads = threads});
    const double evaluation_seconds = seconds_since(start);
    const double rate = (rate_before + single_rate(one, c, a)) / 2;
    const measured_accuracy& got = result[0].accuracy;
    const double expected = 100 * wanted.at("top1").get<double>();
    const auto [low, high] = got.top1_interval();
    const auto ratio = [&](int n, double seconds) { return n / seconds / (threads * rate); };
    ratios.push_back(ratio(calibrated[0].images + got.images, calibration_seconds + evaluation_seconds));
    std::cout << "  " << wanted.at("name").get<std::string>() << ": top-1 " << got.top1() << " % (" << low << " ... "
              << high << "), reference " << expected << " %, top-5 " << got.top5() << " %\n    calibration "
              << calibrated[0].images << " images in " << calibration_seconds << " s, "
              << ratio(calibrated[0].images, calibration_seconds) << " of " << threads << " x " << rate
              << " images/s; evaluation " << got.images << " in " << evaluation_seconds << " s, "
              << ratio(got.images, evaluation_seconds) << "; both " << ratios.back() << std::endl;
    if (result[0].not_finite > 0)
      std::cout << "    " << result[0].not_finite << " images gave infinite or NaN logits and count as wrong\n";
    t.check("top-1 of " + wanted.at("name").get<std::string>(), std::abs(got.top1() - expected) / 0.4);
  }
  t.end();
  t.begin("throughput");
  t.check("calibration and evaluation, geometric mean", [&] {
    double log_sum = 0;
    for (const double r : ratios) log_sum += std::log(r);
    const double mean = std::exp(log_sum / double(ratios.size()));
    std::cout << "  " << mean << " of the single-image rate (at least 0.85)\n";
    return 0.85 / mean;
  }());
  t.end();
  if (!figure.empty()) draw_settling(settling, figure);
  return t.finish();
}

int main(int argc, char** argv) { return dynofa::report::run_program(program, argc, argv); }
