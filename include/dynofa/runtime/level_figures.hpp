#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/pareto_front.hpp"

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace dynofa::runtime {

/// What a run-time policy knows of one level of a family. The index in a list of them is the level, 0 the quickest.
struct level_figures {
  double latency_ms = 0; ///< of one image on the undisturbed device
  double top1 = 0;       ///< percent
  double energy_mj = 0;  ///< of one image on the undisturbed device, millijoules; 0: not known
  friend bool operator==(const level_figures&, const level_figures&) = default;
};

/// Throws unless `levels` is a front: at least one level, finite, latency and top-1 both strictly rising.
inline void validate(std::span<const level_figures> levels) {
  require_argument(!levels.empty(), "levels", "at least one", "none");
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const level_figures& l = levels[i];
    const std::string where = text("level ", i);
    require_argument(std::isfinite(l.latency_ms) && l.latency_ms > 0, where, "a finite latency above 0 ms",
                     l.latency_ms, " ms");
    require_argument(l.top1 >= 0 && l.top1 <= 100, where, "a top-1 accuracy of 0 to 100 %", l.top1, " %");
    require_argument(std::isfinite(l.energy_mj) && l.energy_mj >= 0, where, "a finite energy of at least 0 mJ",
                     l.energy_mj, " mJ");
    const level_figures& before = levels[i > 0 ? i - 1 : 0];
    require_argument(i == 0 || (l.latency_ms > before.latency_ms && l.top1 > before.top1), where,
                     "more latency and more top-1 than the level before (take only the front: `front_of`)",
                     l.latency_ms, " ms, ", l.top1, " % after ", before.latency_ms, " ms, ", before.top1, " %");
  }
}

/// The indices of those that nothing beats in both latency and top-1, quickest first: what a family that was searched
/// for another device has to be thinned to. Of equal ones the first stays.
inline std::vector<std::size_t> front_of(std::span<const level_figures> all) {
  return front_of_indices(
      all.size(), [&](std::size_t i) { return all[i].latency_ms; }, [&](std::size_t i) { return all[i].top1; });
}

} // namespace dynofa::runtime
