#pragma once
#include "dynofa/latency/additive_costs.hpp"

#include <optional>
#include <vector>

namespace dynofa {

/// The cheapest and the dearest network of a space under an additive cost, exactly.
struct cost_extremes {
  /// A network and what it costs.
  struct one {
    dynofa::arch arch; ///< resolution included
    double cost;       ///< in the model's unit
  };
  one least, most; ///< both ends
};

namespace detail {

/// One end of a space at one resolution, stage by stage: within a stage the blocks are independent given the depth and
/// the widths on its two sides, and of what stands before a stage only its width matters.
class extreme_finder {
public:
  extreme_finder(const additive_costs& costs, const space_description& space, int r, bool want_least)
      : costs_{costs}
      , space_{space}
      , want_least_{want_least}
      , ri_{static_cast<std::size_t>(costs.resolution_index(r))}
      , start_{smallest(space)} {
    start_.r = static_cast<std::uint16_t>(r);
  }

  cost_extremes::one operator()() const {
    const std::size_t widths = std::max<std::size_t>(1, space_.widths.size());
    if (space_.has_width_pairs()) return chain(0, widths);
    std::optional<cost_extremes::one> best;
    for (std::size_t w = 0; w < widths; ++w)
      if (const auto found = chain(w, w + 1); !best || better(found.cost, best->cost)) best = found;
    return *best;
  }

private:
  bool better(double a, double b) const { return want_least_ ? a < b : a > b; }

  /// Over the widths of numbers [from, to).
  cost_extremes::one chain(std::size_t from, std::size_t to) const {
    std::vector<cost_extremes::one> now; // the best network up to here, by the width that it has here
    for (std::size_t w = from; w < to; ++w) {
      now.push_back({start_, 0});
      if (!now.back().arch.w.empty()) now.back().arch.w[0] = static_cast<std::uint8_t>(w);
      if (!space_.has_deep_stem()) now.back().cost = fixed_units(0, costs_.unit_of(0), w, w, true);
    }
    for (std::size_t s = 0; s < space_.stages.size(); ++s) {
      std::vector<std::optional<cost_extremes::one>> next(now.size());
      for (std::size_t in = from; in < to; ++in)
        for (std::size_t out = from; out < to; ++out) {
          cost_extremes::one with = now[in - from];
          if (with.arch.w.size() > 1) with.arch.w[s + 1] = static_cast<std::uint8_t>(out);
          with.cost += stage(s, in, out, with.arch);
          if (auto& best = next[out - from]; !best || better(with.cost, best->cost)) best = with;
        }
      for (std::size_t i = 0; i < now.size(); ++i) now[i] = *next[i];
    }
    std::optional<cost_extremes::one> best;
    for (std::size_t w = from; w < to; ++w) {
      cost_extremes::one& whole = now[w - from];
      whole.cost += fixed_units(costs_.unit_of(space_.block_count()), costs_.units().size(), w, w, true);
      if (!best || better(whole.cost, best->cost)) best = whole;
    }
    return {best->arch, costs_(best->arch)};
  }

  /// The units [begin, end) that are no elastic blocks. Of a deep stem the first width may be another than the second.
  double fixed_units(std::size_t begin, std::size_t end, std::size_t in, std::size_t out, bool deepest) const {
    double sum = 0;
    const auto at = [&](std::int8_t width) { return width == 0 ? in : out; };
    for (std::size_t i = begin; i < end; ++i)
      if (const auto& u = costs_.units()[i]; deepest || !u.deepest_only)
        sum += costs_.unit_cost(ri_, u, at(u.width_in), at(u.width_out));
    return sum;
  }

  /// The best that stage s can be between two widths; `a` gets its choices.
  double stage(std::size_t s, std::size_t in, std::size_t out, arch& a) const {
    const stage_description& stage = space_.stages[s];
    std::optional<double> best;
    if (stage.kind == block_kind::stem) {
      for (const auto depth : stage.depths) {
        const bool deepest = depth == costs_.space().stages[0].depths.max();
        if (const double c = fixed_units(0, costs_.unit_of(0), in, out, deepest); !best || better(c, *best))
          best = c, a.d[s] = depth;
      }
      return *best;
    }
    double sum = 0;
    for (std::size_t i = 0; i < space_.active_blocks(s, stage.depths.max()); ++i) {
      const std::size_t block = space_.first_block(s) + i;
      double block_best = 0;
      for (std::size_t v = 0; v < stage.variant_count(); ++v) {
        const block_choice choice = stage.variant(v);
        const double c = costs_.block_cost(ri_, block, choice, i == 0 ? in : out, out);
        if (v > 0 && !better(c, block_best)) continue;
        block_best = c;
        a.choose(block, choice);
      }
      sum += block_best;
      for (const auto depth : stage.depths)
        if (space_.active_blocks(s, depth) == i + 1 && (!best || better(sum, *best))) best = sum, a.d[s] = depth;
    }
    return *best;
  }

  const additive_costs& costs_;
  const space_description& space_;
  bool want_least_;
  std::size_t ri_;
  arch start_;
};

} // namespace detail

/// Dynamic programming, `detail::extreme_finder` at every resolution. Exact also on tables that are not monotone. Cost:
/// one look at every entry. Throws errc::invalid_argument where the costs cover no resolution of `narrower`, or other
/// widths.
inline cost_extremes find_extremes(const additive_costs& costs, const space_description* narrower = nullptr) {
  const space_description& space = narrower ? *narrower : costs.space();
  require_argument(space.widths == costs.space().widths && space.one_width == costs.space().one_width,
                   "extremes of a space", "the widths that the costs cover", "others");
  const auto best = [&](bool want_least) {
    std::optional<cost_extremes::one> found;
    for (int r : space.resolutions) {
      if (costs.resolution_index(r) < 0) continue;
      const auto at_r = detail::extreme_finder(costs, space, r, want_least)();
      if (!found || (want_least ? at_r.cost < found->cost : at_r.cost > found->cost)) found = at_r;
    }
    if (!found) throw error(errc::invalid_argument, "extremes of a space", "a resolution that the costs cover", "none");
    return *found;
  };
  return {best(true), best(false)};
}

} // namespace dynofa
