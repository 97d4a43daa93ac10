#pragma once
#include "dynofa/latency/additive_costs.hpp"

#include <optional>

namespace dynofa {

/// The cheapest and the dearest network of a space under an additive cost, exactly.
struct cost_extremes {
  struct one {
    dynofa::arch arch;
    double cost;
  };
  one least, most;
};

/// Dynamic programming stage by stage: within a stage the blocks are independent given the depth, stages and depths are
/// independent given the resolution. Exact also on tables that are not monotone. Cost: one look at every entry.
inline cost_extremes find_extremes(const additive_costs& costs, const space_description* narrower = nullptr) {
  const space_description& space = narrower ? *narrower : costs.space();
  auto best = [&](bool want_least) {
    const auto better = [&](double a, double b) { return want_least ? a < b : a > b; };
    std::optional<cost_extremes::one> found;
    for (int r : space.resolutions) {
      const int index = costs.resolution_index(r);
      if (index < 0) continue;
      const auto ri = static_cast<std::size_t>(index);
      arch a = smallest(space);
      a.r = static_cast<std::uint16_t>(r);
      for (std::size_t s = 0; s < space.stages.size(); ++s) {
        const auto& stage = space.stages[s];
        double sum = 0, stage_best = 0;
        for (std::size_t i = 0; i < stage.depths.max(); ++i) {
          const std::size_t block = space.first_block(s) + i;
          double block_best = 0;
          for (std::size_t v = 0; v < stage.variant_count(); ++v) {
            const block_choice choice = stage.variant(v);
            const double c = costs.block_cost(ri, block, choice);
            if (v > 0 && !better(c, block_best)) continue;
            block_best = c;
            a.choose(block, choice);
          }
          sum += block_best;
          const auto depth = static_cast<std::uint8_t>(i + 1);
          if (stage.depths.contains(depth) && (depth == stage.depths.min() || better(sum, stage_best)))
            a.d[s] = depth, stage_best = sum;
        }
      }
      if (const double c = costs(a); !found || better(c, found->cost)) found = {a, c};
    }
    if (!found) throw error(errc::invalid_argument, "extremes of a space", "a resolution that the costs cover", "none");
    return *found;
  };
  return {best(true), best(false)};
}

} // namespace dynofa
