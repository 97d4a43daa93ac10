#pragma once
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace dynofa {

/// A cost that is a sum over blocks, each looked up by its choices: what table latency, MACs and parameters have in
/// common, and what makes exact dynamic programming over a space possible.
///
/// cost(a) = head(r) + Σ over active blocks cost(r, block, kernel, ratio) + tail(r), added in the order of the network.
class additive_costs {
public:
  /// `cost(plan, n, add)` calls `add(value)` for each part of the cost of a plan's block n. Throws what `cost` throws.
  template <class Cost>
  additive_costs(const space_description& space, Cost cost)
      : space_{space}
      , index_(space.resolutions.empty() ? 0 : space.resolutions.max() + std::size_t{1}, std::int16_t{-1})
      , heads_(space.resolutions.size())
      , tails_(space.resolutions.size()) {
    for (std::size_t s = 0; s < space.stages.size(); ++s) {
      stage_blocks_.push_back(static_cast<std::uint8_t>(space.blocks_of(s)));
      for (std::size_t b = 0; b < stage_blocks_[s]; ++b)
        first_.push_back(first_.back() + space.stages[s].variant_count());
    }
    blocks_.assign(space.resolutions.size() * first_.back(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t ri = 0; ri < space.resolutions.size(); ++ri) {
      const int r = space.resolutions[ri];
      index_[static_cast<std::size_t>(r)] = static_cast<std::int16_t>(ri);
      for_each_deepest(space, r, [&](const arch& a) { // between them they have every block that the space holds
        heads_[ri] = 0;
        tails_[ri].clear();
        bool behind = false; // the elastic blocks
        const plan p = make_plan(space, a);
        for (std::size_t n = 0; n < p.blocks.size(); ++n) {
          if (p.blocks[n].gene >= 0) {
            const auto g = static_cast<std::size_t>(p.blocks[n].gene);
            double& sum = blocks_[place(ri, g, space.stages[space.stage_of(g)].variant_index(a.choice(g)))];
            sum = 0;
            cost(p, n, [&](double part) { sum += part; });
            behind = true;
          } else if (!behind) {
            cost(p, n, [&](double part) { heads_[ri] += part; });
          } else {
            cost(p, n, [&](double part) { tails_[ri].push_back(part); });
          }
        }
      });
    }
  }

  const space_description& space() const { return space_; }
  /// The number of resolution `r` in the space, or −1.
  int resolution_index(int r) const {
    return r >= 0 && static_cast<std::size_t>(r) < index_.size() ? index_[static_cast<std::size_t>(r)] : -1;
  }
  /// Cost of one block; NaN for choices that the space does not offer there.
  double block_cost(std::size_t resolution_index, std::size_t block, const block_choice& c) const {
    const stage_description& stage = space_.stages[space_.stage_of(block)];
    const std::size_t variant = stage.variant_index(c);
    return variant < stage.variant_count() ? blocks_[place(resolution_index, block, variant)]
                                           : std::numeric_limits<double>::quiet_NaN();
  }

  /// Cost of a whole network, about 20 additions; throws errc::invalid_arch for one of another form or resolution.
  double operator()(const arch& a) const {
    const int index = resolution_index(a.r);
    if (index < 0 || a.ks.size() + 1 != first_.size() || a.e.size() != a.ks.size() || a.d.size() > space_.stages.size())
      refuse(a);
    const auto ri = static_cast<std::size_t>(index);
    double sum = heads_[ri];
    for (std::size_t s = 0, first = 0; s < stage_blocks_.size(); first += stage_blocks_[s++]) {
      const stage_description& stage = space_.stages[s];
      if (s >= a.d.size() && stage.depths.size() > 1) refuse(a); // files may leave out the depth of one choice
      const std::uint8_t depth = s < a.d.size() ? a.d[s] : stage.depths.front();
      for (std::size_t b = first; b < first + std::min(depth, stage_blocks_[s]); ++b) {
        const std::size_t variant = stage.variant_index(a.choice(b));
        if (variant == stage.variant_count()) refuse(a);
        sum += blocks_[place(ri, b, variant)];
      }
    }
    for (double part : tails_[ri]) sum += part;
    return sum;
  }

private:
  std::size_t place(std::size_t ri, std::size_t block, std::size_t variant) const {
    return ri * first_.back() + first_[block] + variant;
  }
  [[noreturn]] void refuse(const arch& a) const {
    validate(space_, a);
    throw error(errc::invalid_arch, "cost of an architecture", "one of its space", text(a));
  }

  space_description space_;
  inline_vector<std::uint8_t, max_stages> stage_blocks_;
  std::vector<std::size_t> first_{0}; ///< variants of the blocks before; at the end, of all
  std::vector<std::int16_t> index_;
  std::vector<double> blocks_, heads_;
  std::vector<std::vector<double>> tails_;
};

} // namespace dynofa
