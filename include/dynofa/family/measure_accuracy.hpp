#pragma once
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/calibrate/evaluate.hpp"
#include "dynofa/calibrate/record_ranges.hpp"
#include "dynofa/family/level.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace dynofa {

/// What measuring accuracies takes: a super-network, images, and one backend twice. `calibrating` may have all threads,
/// for it runs one architecture at a time; `evaluating` has one, for threads evaluate images of their own.
template <inference_backend Backend>
struct accuracy_setup {
  supernet_ptr net;                  ///< what is measured
  data::preprocessing preprocessing; ///< what it was trained with
  image_source calibration;          ///< training images
  data::image_folder images;         ///< labelled images that decide
  Backend calibrating, evaluating;   ///< see above
  /// The super-network, shared by all measurements: what is missing of it is packed for each.
  packed_formats<Backend> packed = calibrating.pack(net);
  /// What levels run and are evaluated in; "": the backend's own number format.
  std::string format = {};
  /// Set where levels are to run in int8: the ranges of every level are recorded behind its batch norm, on the same
  /// images.
  std::optional<range_options> ranges = {};
};

/// Told what `evaluate` says of each architecture, images without finite logits among it.
using tell_result = std::function<void(const arch&, const evaluation_result&)>;

/// Calibrates the batch norm of each architecture, records its ranges where those are wanted, and counts how often it
/// is right on the images: levels that lack nothing but a latency, in the order of `archs`. Throws what `calibrate` and
/// `evaluate` throw.
template <inference_backend Backend>
std::vector<family_level> measure_accuracies(const accuracy_setup<Backend>& with, std::span<const arch> archs,
                                             const calibration_options& calibration,
                                             const evaluation_options& evaluation, const tell_result& tell = {}) {
  if constexpr (packs_formats<Backend>)
    if (with.evaluating.format_name() != with.calibrating.format_name()) // "" would mean two things
      throw error(errc::mismatch, "measure accuracies", "backends of one number format, and levels' own in `format`",
                  text(with.calibrating.format_name(), " and ", with.evaluating.format_name()));
  session<Backend> shared(with.calibrating, with.net, with.packed);
  const auto own = shared.packed();
  std::vector<evaluated_level> levels;
  for (auto& c : calibrate(with.calibrating, with.net, archs, with.calibration, calibration, own))
    levels.push_back({c.arch, std::move(c.statistics)});
  if (with.ranges) {
    if constexpr (observing_backend<Backend>)
      for (evaluated_level& l : levels)
        l.statistics.ranges =
            record_ranges(with.calibrating, with.net, l.arch, l.statistics, with.calibration, *with.ranges, own);
    else
      throw error(errc::unsupported, "measure accuracies", "a backend that shows a level's activations",
                  with.calibrating.name());
  }
  for (evaluated_level& l : levels) l.format = with.format;
  const auto results =
      evaluate(with.evaluating, with.net, with.packed, levels, with.images, with.preprocessing, evaluation);
  std::vector<family_level> measured;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (tell) tell(levels[i].arch, results[i]);
    measured.push_back({levels[i].arch, std::move(levels[i].statistics), results[i].accuracy, {}, with.format});
  }
  return measured;
}

} // namespace dynofa
