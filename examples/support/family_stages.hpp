#pragma once
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/calibrate/classifier.hpp"
#include "dynofa/core/state_file.hpp"
#include "dynofa/data/folder_fingerprint.hpp"
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure_accuracy.hpp"
#include "dynofa/family/report.hpp"
#include "dynofa/latency/profile.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/report/progress.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Single stages of 06_build_a_family.

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

/// A number format that levels may run in, and what it takes on this device.
struct format_latency {
  std::string format; ///< "" for fp32
  dynofa::latency_table table;
  dynofa::calibrated_model model;
};

/// The profile of this device in one number format: goes on behind what an earlier run left in `folder`.
inline format_latency profile_in(const std::string& format, const dynofa::supernet_ptr& net, double seconds,
                                 const std::filesystem::path& folder) {
  using namespace dynofa;
  const std::string suffix = format.empty() ? "" : "_" + format;
  const backend::cpu one_core{.weights = format.empty() ? "fp32" : format};
  profile_options how{.quick = true, .seconds_per_resolution = seconds / 3};
  report::progress bar(std::cerr, "  profile  ");
  how.on_progress = [&](const profile_progress& p) { return bar(p.done, p.total); };
  const auto state = folder / ("profile" + suffix + ".json");
  profiler profile(one_core, net, how, load_profile_state(state));
  profile.run(), bar.end();
  save_profile_state(state, profile.state());
  report::stop_if_interrupted("profile");
  save_latency_table(folder / ("table" + suffix + ".json"), profile.table());
  return {format, profile.table(), profile.model()};
}

/// The same measurements of levels that run in another number format; int8 wants ranges, from the calibration images.
inline accuracy_setup_on_cpu in_format(accuracy_setup_on_cpu setup, const std::string& format,
                                       const dynofa::calibration_options& how) {
  setup.format = format;
  if (format == "int8") setup.ranges = dynofa::range_options{.images = how.images, .threads = how.threads};
  return setup;
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
