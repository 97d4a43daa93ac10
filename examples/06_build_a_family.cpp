#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/train.hpp"
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/calibrate/evaluate.hpp"
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/latency/profile.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/model/round_to_half.hpp"
#include "dynofa/report/figure.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/search/family_selection.hpp"
#include "dynofa/search/pareto.hpp"

#include <CLI/CLI.hpp>

#include "own_checkpoint.hpp"
#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <set>

// From a super-network and two folders of images to a family file: profile this device, learn what accuracy depends on,
// search, calibrate, evaluate, keep the front of what was *measured*. Every stage leaves a file in --out, and a second
// run goes on behind the last one:
//
//   06_build_a_family --calib DIR --images DIR --out my_family        about twelve minutes on two cores
//   … --measured FILE.jsonl      learn from accuracies measured earlier instead of a sample measured now
//   … --rounds 0                 do not let measured candidates guide the search

namespace {

using namespace dynofa;
namespace fs = std::filesystem;

struct job {
  image_classifier classifier;
  fs::path out;
  image_source calibration;
  data::image_folder validation;
  int threads;
  backend::cpu all_cores{.threads = threads}, one_core{};
  std::shared_ptr<const backend::cpu::packed> packed = one_core.pack(classifier.net);

  /// Calibrates and evaluates; `images` of each, 0 for all.
  std::vector<family_level> measure(std::span<const arch> archs, int calibration_images, std::size_t images) const {
    report::progress calibrating(std::cerr, "  calibrate"), evaluating(std::cerr, "  evaluate ");
    calibration_options how{.images = calibration_images, .threads = threads, .progress = std::ref(calibrating)};
    std::vector<evaluated_level> levels;
    for (auto& c : calibrate(all_cores, classifier.net, archs, calibration, how))
      levels.push_back({c.arch, std::move(c.statistics)});
    const auto results = evaluate(one_core, classifier.net, packed, levels,
                                  images && images < validation.size() ? validation.subset(images, 1) : validation,
                                  classifier.preprocessing, {.threads = threads, .progress = std::ref(evaluating)});
    std::vector<family_level> measured;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      if (results[i].not_finite > 0)
        std::cout << "  " << levels[i].arch << ": " << results[i].not_finite
                  << " images gave infinite or NaN logits and count as wrong\n";
      measured.push_back({levels[i].arch, std::move(levels[i].statistics), results[i].accuracy, {}});
    }
    return measured;
  }
};

calibrated_model profile(const job& j, double seconds) {
  const fs::path file = j.out / "profile.json";
  profile_state state;
  if (fs::exists(file)) state = parse_profile_state(map_file(file).text());
  profile_options options{.quick = true, .seconds_per_resolution = seconds / 3};
  report::progress bar(std::cerr, "  profile  ");
  options.on_progress = [&](const profile_progress& p) { return bar(p.done, p.total); };
  const bool is_new = state.backend.empty();
  profiler p(j.one_core, j.classifier.net, options, std::move(state));
  if (is_new) p.run(), replace_file(file, nlohmann::json(p.state()).dump());
  save_latency_table(j.out / "table.json", p.table());
  return p.model();
}

/// Measures what `known` lacks on few images, a handful at a time, and keeps each in a line of measured.jsonl.
void measure_quickly(const job& j, std::vector<arch> archs, std::vector<measured_arch>& known) {
  std::erase_if(archs, [&](const arch& a) {
    return std::any_of(known.begin(), known.end(), [&](const measured_arch& m) { return m.arch == a; });
  });
  for (std::size_t first = 0; first < archs.size(); first += 10) {
    const auto some = std::span(archs).subspan(first, std::min<std::size_t>(10, archs.size() - first));
    const auto measured = j.measure(some, 300, 1000);
    std::ofstream lines(j.out / "measured.jsonl", std::ios::app);
    for (const auto& level : measured) {
      nlohmann::json line = level.arch;
      line["top1"] = level.accuracy.top1(), line["images"] = level.accuracy.images;
      lines << line.dump() << '\n';
      known.push_back({level.arch, level.accuracy.top1()});
    }
  }
}

/// Files hold fractions or per cent.
std::vector<measured_arch> in_per_cent(std::vector<measured_arch> data) {
  const bool fractions = std::all_of(data.begin(), data.end(), [](const auto& m) { return m.accuracy <= 1; });
  for (auto& m : data) m.accuracy *= fractions ? 100 : 1;
  return data;
}

std::vector<arch> sample(const space_description& space, std::size_t count) {
  std::vector<arch> archs;
  for (int r : {space.resolutions.min(), space.resolutions.max()})
    for (bool small : {true, false}) {
      archs.push_back(small ? smallest(space) : largest(space));
      archs.back().r = static_cast<std::uint16_t>(r);
    }
  random_stream random(1, "sample");
  std::set<arch> seen(archs.begin(), archs.end());
  while (archs.size() < count)
    if (arch a = random_arch(space, random).canonical(); seen.insert(a).second) archs.push_back(a);
  return archs;
}

void write_report(const job& j, const family& f, const std::string& device, const std::vector<measured_arch>& others,
                  const calibrated_model& latency) {
  std::ostringstream table;
  table.imbue(std::locale::classic()); // it goes into a file
  table << "| level | r | M MACs | top-1 (95 %) | top-5 | ms | KB |\n|--|--|--|--|--|--|--|\n" << std::fixed;
  report::series front{"this family, measured", {}, report::series::look::line_and_points}, macs = front;
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    const auto& l = f.levels()[i];
    const double m = double(make_plan(f.space(), l.arch).macs()) / 1e6, ms = f.latency_on(i, device)->median_ms;
    const auto [low, high] = l.accuracy.top1_interval();
    table << std::setprecision(1) << "| " << i << " | " << l.arch.r << " | " << m << " | " << std::setprecision(2)
          << l.accuracy.top1() << " (" << low << "-" << high << ") | " << l.accuracy.top5() << " | "
          << std::setprecision(3) << ms << " | " << f.level_bytes(i) / 1000 << " |\n";
    front.points.push_back({ms, l.accuracy.top1()});
    macs.points.push_back({m, l.accuracy.top1()});
  }
  std::cout << device << "\n" << table.str();
  replace_file(j.out / "report.md", text("# A family on ", device, "\n\n", table.str()));
  report::series cloud{"others measured on the way (fewer images)", {}, report::series::look::points},
      cloud_macs = cloud;
  for (const auto& m : others) {
    cloud.points.push_back({latency(m.arch), m.accuracy});
    cloud_macs.points.push_back({double(make_plan(f.space(), m.arch).macs()) / 1e6, m.accuracy});
  }
  report::draw({"Accuracy and latency on " + device, "milliseconds per image", "top-1, per cent", {cloud, front}},
               j.out / "accuracy_latency");
  report::draw({"Accuracy and work", "million multiply-accumulates", "top-1, per cent", {cloud_macs, macs}},
               j.out / "accuracy_macs");
}

} // namespace

int main(int argc, char** argv) try {
  CLI::App app("Builds a family of sub-networks for this device");
  std::string asset = DYNOFA_ASSETS "/tinyimagenet_w1.2.safetensors", calib, images, out = "family", measured;
  int threads = hardware_threads(), rounds = 3;
  bool skip_bad = false;
  std::size_t levels = 18, samples = 80;
  double profile_seconds = 60;
  checkpoint_options told;
  app.add_option("--supernet", asset, "checkpoint: what 03_load_a_checkpoint wrote, or any other with what it reads");
  told.add_to(app);
  app.add_option("--calib", calib, "training images for the batch norm, a folder per class")->required();
  app.add_option("--images", images, "labelled images that decide, a folder per class")->required();
  app.add_option("--out", out, "folder for the family and what each stage left");
  app.add_option("--measured", measured, "JSON lines of architectures with top1, instead of a sample");
  app.add_option("--samples", samples, "architectures measured before the first search");
  app.add_option("--rounds", rounds, "times that measured candidates guide the search");
  app.add_option("--levels", levels, "candidates of the last round");
  app.add_option("--profile-seconds", profile_seconds, "time for the profile");
  app.add_option("--threads", threads, "cores to use");
  app.add_flag("--skip-bad-pictures", skip_bad, "leave out those that cannot be read, and count them");
  CLI11_PARSE(app, argc, argv);

  fs::create_directories(out);
  image_classifier c = told.classifier(asset);
  c.net = std::make_shared<const supernet>(round_to_half(*c.net)); // what the file will hold is what is measured
  const space_description space = c.net->space;
  std::cout << "1. profile\n";
  data::image_folder calibration_images = c.images(calib), validation_images = c.images(images);
  if (skip_bad) calibration_images.skip_bad_pictures(), validation_images.skip_bad_pictures();
  job j{c, out, decoded_source(calibration_images, c.preprocessing, threads), validation_images, threads};
  std::cout << "  to calibrate: " << calibration_images.to_string() << '\n';
  j.validation.keep_decoded(std::size_t{1} << 30);
  const calibrated_model latency = profile(j, profile_seconds);

  std::cout << "2. learn what accuracy depends on\n";
  std::vector<measured_arch> known;
  if (const fs::path file = j.out / "measured.jsonl"; fs::exists(file) && fs::file_size(file) > 0)
    known = load_accuracy_data(j.out / "measured.jsonl");
  std::vector<measured_arch> given;
  if (!measured.empty()) given = in_per_cent(load_accuracy_data(measured));
  if (given.empty()) measure_quickly(j, sample(space, samples), known);

  std::cout << "3. search\n";
  std::optional<accuracy_predictor> predictor;
  if (!given.empty()) predictor = train_predictor(space, given);
  const auto offset_of =
      [&](const accuracy_predictor& of_given) { // few images of a sample are easier or harder than all
        double sum = 0;
        for (const auto& m : known) sum += of_given(m.arch) - m.accuracy;
        return known.empty() ? 0 : sum / double(known.size());
      };
  const std::optional<accuracy_predictor> of_given = predictor;
  const auto search = [&](std::size_t count) {
    auto data = given;
    const double offset = of_given ? offset_of(*of_given) : 0;
    for (const auto& m : known) data.push_back({m.arch, m.accuracy + offset});
    if (!of_given || !known.empty()) predictor = train_predictor(space, data);
    search::pareto_options options;
    options.levels = 16, options.evaluations = 10000, options.threads = threads;
    const auto found = search::pareto(space, *predictor, latency, options);
    return search::select_levels(found.all, count);
  };
  const fs::path chosen_file = j.out / "candidates.json";
  std::vector<arch> chosen; // what the last search found; stored, since what comes next takes longest
  if (fs::exists(chosen_file)) {
    const auto stored = nlohmann::json::parse(map_file(chosen_file).text());
    for (const auto& a : stored) chosen.push_back(read_arch(a));
  }
  for (int round = 0; chosen.empty() && round < rounds; ++round) {
    const auto candidates = search(10);
    std::vector<arch> archs;
    for (const auto& one : candidates) archs.push_back(one.arch);
    measure_quickly(j, archs, known);
    double error = 0, top = 0;
    const double offset = of_given ? offset_of(*of_given) : 0;
    for (const auto& one : candidates)
      for (const auto& m : known)
        if (m.arch == one.arch) {
          error += std::abs(m.accuracy + offset - one.accuracy) / double(candidates.size());
          top += m.accuracy / double(candidates.size());
        }
    std::cout << "  round " << round + 1 << ": candidates measure " << std::fixed << std::setprecision(2) << top
              << " % on average, predictions were off by " << error << " points\n";
  }
  if (chosen.empty()) {
    for (const auto& one : search(levels)) chosen.push_back(one.arch);
    for (const arch& end : {smallest(space), largest(space)}) // predictions are least sure there, and they cost little
      if (std::find(chosen.begin(), chosen.end(), end) == chosen.end()) chosen.push_back(end);
    replace_file(chosen_file, nlohmann::json(chosen).dump());
  }

  std::cout << "4. calibrate and evaluate the candidates\n";
  const fs::path all_file = j.out / "candidates.dynofa";
  std::vector<data::class_name> names;
  for (std::size_t i = 0; i < c.class_ids.size(); ++i) names.push_back({c.class_ids[i], c.class_names[i]});
  family f = fs::exists(all_file) ? load_family(all_file) : family(c.net, c.preprocessing, names);
  for (const arch& a : chosen) {
    if (std::any_of(f.levels().begin(), f.levels().end(), [&](const family_level& l) { return l.arch == a; })) continue;
    std::cout << "  " << a << '\n';
    f.add(std::move(j.measure(std::span(&a, 1), 2000, 0).front()));
    save_family(all_file, f);
  }

  std::cout << "5. the front of measured values\n";
  const std::string device = remeasure_latencies(f, j.one_core, 60);
  const std::size_t dropped = f.keep_front(device);
  set_provenance(f, {{"origin", c.origin},
                     {"made_by", "examples/06_build_a_family"},
                     {"supernet_hash", in_base(16, c.net->hash())},
                     {"calibration", "2000 training images, batches of 100, variance within batches"}});
  set_table(f, load_latency_table(j.out / "table.json"));
  save_family(j.out / "family.dynofa", f);
  std::cout << f.levels().size() << " levels, " << dropped << " dominated ones dropped; "
            << fs::file_size(j.out / "family.dynofa") / 1e6 << " MB\n";
  std::cout << "  evaluated: " << j.validation.to_string() << '\n';
  write_report(j, f, device, known, latency);
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
