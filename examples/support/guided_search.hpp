#pragma once
#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/train.hpp"
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/core/state_file.hpp"
#include "dynofa/data/folder_fingerprint.hpp"
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure_accuracy.hpp"
#include "dynofa/family/report.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/search/family_selection.hpp"
#include "dynofa/search/pareto.hpp"
#include "dynofa/space/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// What 06_build_a_family does between the profile and the last calibration.

using accuracy_setup_on_cpu = dynofa::accuracy_setup<dynofa::backend::cpu>;

/// What a family is made from, for the files that its stages leave.
inline dynofa::named_inputs inputs_of(const dynofa::image_classifier& c, const dynofa::data::image_folder& calibration,
                                      const dynofa::data::image_folder& labelled, int threads) {
  using namespace dynofa;
  return {{"super-network", text("hash ", in_base(16, c.net->hash()))},
          {"space", text("hash ", in_base(16, fnv1a64(nlohmann::json(c.net->space).dump())))},
          {"preprocessing", c.preprocessing.to_string()},
          {"calibration images", fingerprint(calibration, threads)},
          {"labelled images", fingerprint(labelled, threads)}};
}

/// From now on levels are evaluated by `backend`, in its number format, and have the ranges that int8 wants.
inline void evaluate_in(accuracy_setup_on_cpu& setup, const dynofa::backend::cpu& backend,
                        const dynofa::calibration_options& how) {
  setup.evaluating = backend, setup.packed_levels = backend.pack(setup.net);
  setup.ranges = dynofa::range_options{.images = how.images, .threads = how.threads};
}

/// Says so where labelled images are too few to tell levels apart.
inline void warn_of_overlap(const dynofa::family& f, std::size_t images) {
  if (dynofa::accuracies_overlap(f))
    std::cout << "warning: with " << images
              << " labelled images all 95 % intervals overlap: which level is more accurate "
              << "may be chance, and more images are needed\n";
}

/// `measure_accuracies` with two progress bars, which stop it after Ctrl-C.
inline std::vector<dynofa::family_level> measure_with_bars(const accuracy_setup_on_cpu& setup,
                                                           std::span<const dynofa::arch> archs,
                                                           dynofa::calibration_options how) {
  dynofa::report::progress calibrating(std::cerr, "  calibrate"), evaluating(std::cerr, "  evaluate ");
  how.progress = std::ref(calibrating);
  const auto tell = [](const dynofa::arch& a, const dynofa::evaluation_result& result) {
    if (result.not_finite > 0)
      std::cout << "  " << a << ": " << result.not_finite << " images gave infinite or NaN logits and count as wrong\n";
  };
  return measure_accuracies(setup, archs, how, {.threads = how.threads, .progress = std::ref(evaluating)}, tell);
}

/// The family in a file that an interrupted run left, or an empty one; a file made from other inputs is refused.
inline dynofa::family resume_family(const std::filesystem::path& file, const dynofa::named_inputs& inputs,
                                    const dynofa::image_classifier& c) {
  std::vector<dynofa::data::class_name> names;
  for (std::size_t i = 0; i < c.class_ids.size(); ++i) names.push_back({c.class_ids[i], c.class_names[i]});
  dynofa::family f =
      std::filesystem::exists(file) ? dynofa::load_family(file) : dynofa::family(c.net, c.preprocessing, names);
  if (std::filesystem::exists(file)) dynofa::require_same_inputs(file.string(), inputs, inputs_of(f));
  set_inputs(f, inputs);
  return f;
}

/// Searches with a predictor that learns from what was measured. Measures a sample first, on few images, or takes
/// accuracies measured elsewhere; then the candidates of every round, so that the predictor learns where it was wrong.
class guided_search {
public:
  struct options {
    std::size_t samples;
    int rounds;
    std::size_t levels;
    bool quick; ///< a smaller predictor and a shorter search
  };

  /// Reads what an earlier run left in `folder`; a state of other inputs is refused. `given`: a file of accuracies
  /// measured elsewhere, or "".
  guided_search(options o, const dynofa::space_description& space, const std::filesystem::path& folder,
                dynofa::named_inputs sources, const std::string& given, const dynofa::named_inputs& more)
      : options_{o}
      , space_{space} {
    using namespace dynofa;
    sources["quick measurement"] = text(few.images, " calibration images, ", few_labelled, " labelled images");
    accuracies_.emplace(folder / "measured.json", sources);
    if (const auto stored = accuracies_->load())
      detail::json_field(*stored, "measured.json").each(1 << 20, [&](const detail::json_field& one) {
        known_.push_back({conform(space_, read_arch(one["arch"].value())), one["top1"].number(0, 100)});
      });
    sources.insert(more.begin(), more.end());
    sources["samples"] = text(o.samples), sources["rounds"] = text(o.rounds), sources["levels"] = text(o.levels);
    sources["quick"] = o.quick ? "yes" : "no";
    sources["accuracies given"] = given.empty() ? "none" : text("hash ", in_base(16, fnv1a64(map_file(given).text())));
    candidates_.emplace(folder / "candidates.json", sources);
    if (const auto stored = candidates_->load())
      detail::json_field(*stored, "candidates.json").each(1 << 16, [&](const detail::json_field& one) {
        chosen_.push_back(conform(space_, read_arch(one.value())));
      });
    if (!given.empty()) given_ = in_per_cent(load_accuracy_data(given, &space_));
  }

  /// The candidates of the last round and both ends of the space.
  template <dynofa::cost_model Latency>
  std::vector<dynofa::arch> run(const accuracy_setup_on_cpu& setup, const Latency& latency, int threads) {
    using namespace dynofa;
    if (!chosen_.empty()) return chosen_;
    if (given_.empty()) measure(setup, sample_space(space_, options_.samples), threads);
    for (int round = 0; round < options_.rounds; ++round) {
      const auto found = candidates(latency, 10, threads);
      std::vector<arch> archs;
      for (const auto& one : found) archs.push_back(one.arch);
      measure(setup, archs, threads);
      tell(round, found);
    }
    for (const auto& one : candidates(latency, options_.levels, threads)) chosen_.push_back(one.arch);
    for (const arch& end :
         {smallest(space_), largest(space_)}) // predictions are least sure there, and they cost little
      if (std::ranges::count(chosen_, end) == 0) chosen_.push_back(end);
    candidates_->save(chosen_);
    return chosen_;
  }

  const std::vector<dynofa::measured_arch>& measured() const { return known_; }

private:
  static constexpr std::size_t few_labelled = 1000;
  static inline const dynofa::calibration_options few{.images = 300};

  /// Files hold fractions or per cent.
  static std::vector<dynofa::measured_arch> in_per_cent(std::vector<dynofa::measured_arch> data) {
    const bool fractions = std::ranges::all_of(data, [](const auto& m) { return m.accuracy <= 1; });
    for (auto& m : data) m.accuracy *= fractions ? 100 : 1;
    return data;
  }

  const dynofa::measured_arch* find(const dynofa::arch& a) const {
    const auto at = std::ranges::find(known_, a, &dynofa::measured_arch::arch);
    return at == known_.end() ? nullptr : &*at;
  }

  /// Measures what is not known yet, a handful at a time, and stores it.
  void measure(accuracy_setup_on_cpu setup, std::vector<dynofa::arch> archs, int threads) {
    std::erase_if(archs, [&](const dynofa::arch& a) { return find(a) != nullptr; });
    if (setup.images.size() > few_labelled) setup.images = setup.images.subset(few_labelled, 1);
    auto how = few;
    how.threads = threads;
    constexpr std::size_t handful = 10;
    for (std::size_t first = 0; first < archs.size(); first += handful) {
      const auto some = std::span(archs).subspan(first, std::min(handful, archs.size() - first));
      for (const auto& level : measure_with_bars(setup, some, how))
        known_.push_back({level.arch, level.accuracy.top1()});
      nlohmann::json all = nlohmann::json::array();
      for (const auto& m : known_) all.push_back({{"arch", m.arch}, {"top1", m.accuracy}});
      accuracies_->save(all);
    }
  }

  /// What few images of ours say is lower or higher than what was given says, by so much on average.
  double offset() const {
    double sum = 0;
    for (const auto& m : known_) sum += (*of_given_)(m.arch) - m.accuracy;
    return known_.empty() ? 0 : sum / double(known_.size());
  }

  template <dynofa::cost_model Latency>
  std::vector<dynofa::search::candidate> candidates(const Latency& latency, std::size_t count, int threads) {
    using namespace dynofa;
    training_options training;
    if (options_.quick) training.members = 2, training.taught = 4000, training.epochs = 10;
    report::progress bar(std::cerr, "  train    ");
    training.on_progress = [&](int done, int total) { return bar(std::size_t(done), std::size_t(total)); };
    if (!given_.empty() && !of_given_) of_given_ = train_predictor(space_, given_, training);
    auto data = given_;
    shift_ = of_given_ ? offset() : 0;
    for (const auto& m : known_) data.push_back({m.arch, m.accuracy + shift_});
    const accuracy_predictor predictor =
        of_given_ && known_.empty() ? *of_given_ : train_predictor(space_, data, training);
    report::stop_if_interrupted("search");
    search::pareto_options how;
    how.levels = 16, how.evaluations = options_.quick ? 500 : 10000, how.threads = threads;
    how.on_progress = [](const search::progress&) { return !report::interrupted(); };
    const auto found = search::pareto(space_, predictor, latency, how);
    report::stop_if_interrupted("search");
    return search::select_levels(found.all, count);
  }

  void tell(int round, const std::vector<dynofa::search::candidate>& found) const {
    double error = 0, top = 0;
    for (const auto& one : found)
      if (const auto* m = find(one.arch)) {
        error += std::abs(m->accuracy + shift_ - one.accuracy) / double(found.size());
        top += m->accuracy / double(found.size());
      }
    std::cout << "  round " << round + 1 << ": candidates measure " << std::fixed << std::setprecision(2) << top
              << " % on average, predictions were off by " << error << " points" << std::endl;
  }

  options options_;
  dynofa::space_description space_;
  std::optional<dynofa::state_file> accuracies_, candidates_;
  std::vector<dynofa::measured_arch> given_, known_;
  std::optional<dynofa::accuracy_predictor> of_given_;
  double shift_ = 0; ///< from what we measured to what was given
  std::vector<dynofa::arch> chosen_;
};
