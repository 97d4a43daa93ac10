#pragma once
#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/train.hpp"
#include "dynofa/core/state_file.hpp"
#include "dynofa/report/progress.hpp"
#include "dynofa/search/family_selection.hpp"
#include "dynofa/search/number_formats.hpp"
#include "dynofa/search/pareto.hpp"
#include "dynofa/space/sampling.hpp"

#include "family_stages.hpp"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// What 06_build_a_family does between the profile and the last calibration.

/// Searches with a predictor that learns from what was measured. Measures a sample first, on few images, or takes
/// accuracies measured elsewhere; then the candidates of every round, so that the predictor learns where it was wrong.
/// Every number format has latencies of its own and loses what a handful of sub-networks lost in it.
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
        const std::string format = one.has("format") ? one["format"].word(32) : "";
        known_[format].push_back({conform(space_, read_arch(one["arch"].value())), one["top1"].number(0, 100)});
      });
    sources.insert(more.begin(), more.end());
    sources["samples"] = text(o.samples), sources["rounds"] = text(o.rounds), sources["levels"] = text(o.levels);
    sources["quick"] = o.quick ? "yes" : "no";
    sources["accuracies given"] = given.empty() ? "none" : text("hash ", in_base(16, fnv1a64(map_file(given).text())));
    candidates_.emplace(folder / "candidates.json", sources);
    if (const auto stored = candidates_->load())
      detail::json_field(*stored, "candidates.json").each(1 << 16, [&](const detail::json_field& one) {
        chosen_.push_back({conform(space_, read_arch(one["arch"].value())), one["format"].word(32)});
      });
    if (!given.empty()) given_ = in_per_cent(load_accuracy_data(given, &space_));
  }

  /// A sub-network and the number format it is to run in.
  struct choice {
    dynofa::arch arch;
    std::string format;
    friend bool operator==(const choice&, const choice&) = default;
  };

  /// The candidates of the last round and both ends of the space.
  std::vector<choice> run(const accuracy_setup_on_cpu& setup, std::span<const format_latency> formats, int threads) {
    using namespace dynofa;
    if (!chosen_.empty()) return chosen_;
    if (given_.empty()) measure(setup, sample_space(space_, options_.samples), threads);
    for (int round = 0; round < options_.rounds; ++round) {
      const auto found = candidates(formats, 10, threads);
      std::vector<arch> archs;
      for (const auto& one : found) archs.push_back(one.arch);
      measure(setup, archs, threads);
      tell(round, found);
      if (round == 0 && archs.size() > handful) archs.resize(handful);
      for (const auto& in : formats)
        if (round == 0 && !in.format.empty()) measure(in_format(setup, in.format, few), archs, threads);
    }
    nlohmann::json all = nlohmann::json::array();
    const auto choose = [&](const choice& c) {
      if (std::ranges::count(chosen_, c) > 0) return;
      chosen_.push_back(c);
      all.push_back({{"arch", c.arch}, {"format", c.format}});
    };
    for (const auto& one : candidates(formats, options_.levels, threads)) choose({one.arch, one.format});
    for (const arch& end : {smallest(space_), largest(space_)}) // predictions are least sure there, they cost little
      for (const auto& in : formats) choose({end, in.format});
    candidates_->save(all);
    return chosen_;
  }

  const std::vector<dynofa::measured_arch>& measured() { return known_[""]; }

private:
  static constexpr std::size_t few_labelled = 1000, handful = 10;
  static inline const dynofa::calibration_options few{.images = 300};

  /// Files hold fractions or per cent.
  static std::vector<dynofa::measured_arch> in_per_cent(std::vector<dynofa::measured_arch> data) {
    const bool fractions = std::ranges::all_of(data, [](const auto& m) { return m.accuracy <= 1; });
    for (auto& m : data) m.accuracy *= fractions ? 100 : 1;
    return data;
  }

  const dynofa::measured_arch* find(const dynofa::arch& a, const std::string& format = "") {
    const auto& known = known_[format];
    const auto at = std::ranges::find(known, a, &dynofa::measured_arch::arch);
    return at == known.end() ? nullptr : &*at;
  }

  /// Measures what is not known yet, a handful at a time, and stores it.
  void measure(accuracy_setup_on_cpu setup, std::vector<dynofa::arch> archs, int threads) {
    std::erase_if(archs, [&](const dynofa::arch& a) { return find(a, setup.format) != nullptr; });
    if (setup.images.size() > few_labelled) setup.images = setup.images.subset(few_labelled, 1);
    auto how = few;
    how.threads = threads;
    for (std::size_t first = 0; first < archs.size(); first += handful) {
      const auto some = std::span(archs).subspan(first, std::min(handful, archs.size() - first));
      for (const auto& level : measure_with_bars(setup, some, how))
        known_[setup.format].push_back({level.arch, level.accuracy.top1()});
      nlohmann::json all = nlohmann::json::array();
      for (const auto& [format, known] : known_)
        for (const auto& m : known) {
          all.push_back({{"arch", m.arch}, {"top1", m.accuracy}});
          if (!format.empty()) all.back()["format"] = format;
        }
      accuracies_->save(all);
    }
  }

  /// Points of top-1 that a number format loses on average, of what was measured in it and in fp32 on the same images.
  double lost(const std::string& format) {
    double sum = 0, both = 0;
    for (const auto& m : known_[format])
      if (const auto* in_floats = find(m.arch)) sum += in_floats->accuracy - m.accuracy, ++both;
    return both == 0 ? 0 : sum / both;
  }

  /// What few images of ours say is lower or higher than what was given says, by so much on average.
  double offset() {
    double sum = 0;
    for (const auto& m : measured()) sum += (*of_given_)(m.arch) - m.accuracy;
    return measured().empty() ? 0 : sum / double(measured().size());
  }

  std::vector<dynofa::search::candidate_in_format> candidates(std::span<const format_latency> formats,
                                                              std::size_t count, int threads) {
    using namespace dynofa;
    training_options training;
    if (options_.quick) training.members = 2, training.taught = 4000, training.epochs = 10;
    report::progress bar(std::cerr, "  train    ");
    training.on_progress = [&](int done, int total) { return bar(std::size_t(done), std::size_t(total)); };
    if (!given_.empty() && !of_given_) of_given_ = train_predictor(space_, given_, training);
    auto data = given_;
    shift_ = of_given_ ? offset() : 0;
    for (const auto& m : measured()) data.push_back({m.arch, m.accuracy + shift_});
    const accuracy_predictor predictor =
        of_given_ && measured().empty() ? *of_given_ : train_predictor(space_, data, training);
    report::stop_if_interrupted("search");
    search::pareto_options how;
    how.levels = 16, how.evaluations = options_.quick ? 500 : 10000, how.threads = threads;
    how.on_progress = [](const search::progress&) { return !report::interrupted(); };
    std::vector<search::pareto_state> states;
    for (const auto& in : formats) states.push_back(search::pareto(space_, predictor, in.model, how));
    report::stop_if_interrupted("search");
    std::vector<search::found_in_format> found;
    for (std::size_t i = 0; i < formats.size(); ++i)
      found.push_back({formats[i].format, states[i].all, lost(formats[i].format)});
    return search::select_levels(search::join_formats(found), count);
  }

  void tell(int round, const std::vector<dynofa::search::candidate_in_format>& found) {
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
  std::vector<dynofa::measured_arch> given_;
  std::map<std::string, std::vector<dynofa::measured_arch>> known_; ///< by number format
  std::optional<dynofa::accuracy_predictor> of_given_;
  double shift_ = 0; ///< from what we measured to what was given
  std::vector<choice> chosen_;
};
