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
  supernet_ptr net;
  data::preprocessing preprocessing;
  image_source calibration;
  data::image_folder images;
  Backend calibrating, evaluating;
  std::shared_ptr<const typename Backend::packed> packed = calibrating.pack(net);
  /// Set where levels are evaluated in int8: the ranges of every level are recorded behind its batch norm, on the same
  /// images.
  std::optional<range_options> ranges = {};
  /// What is evaluated; null: `packed`, and with `ranges` the super-network in `evaluating`'s format, packed each time.
  std::shared_ptr<const typename Backend::packed> packed_levels = nullptr;
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
  std::vector<evaluated_level> levels;
  for (auto& c : calibrate(with.calibrating, with.net, archs, with.calibration, calibration, with.packed))
    levels.push_back({c.arch, std::move(c.statistics)});
  if (with.ranges) {
    if constexpr (observing_backend<Backend>)
      for (evaluated_level& l : levels)
        l.statistics.ranges = record_ranges(with.calibrating, with.net, l.arch, l.statistics, with.calibration,
                                            *with.ranges, with.packed);
    else
      throw error(errc::unsupported, "measure accuracies", "a backend that shows a level's activations",
                  with.calibrating.name());
  }
  const auto packed_levels = with.packed_levels ? with.packed_levels
                             : with.ranges      ? with.evaluating.pack(with.net)
                                                : with.packed;
  const auto results =
      evaluate(with.evaluating, with.net, packed_levels, levels, with.images, with.preprocessing, evaluation);
  std::vector<family_level> measured;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (tell) tell(levels[i].arch, results[i]);
    measured.push_back({levels[i].arch, std::move(levels[i].statistics), results[i].accuracy, {}});
  }
  return measured;
}

} // namespace dynofa
