#pragma once
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace dynofa {

/// A cost that is a sum over blocks, indexed by gene: what table latency, MACs and parameters have in common, and what
/// makes exact dynamic programming over a space possible.
///
/// cost(a) = head(r) + Σ over active genes block(r, gene, k, e) + tail(r), added in the order of the network.
class additive_costs {
public:
  /// `cost(block, r, add)` calls `add(value)` for each part of a block's cost. Throws what `cost` throws.
  template <class Cost>
  additive_costs(const space_description& space, Cost cost)
      : space_{space}
      , genes_{space.block_genes()}
      , index_(space.resolutions.empty() ? 0 : space.resolutions.max() + std::size_t{1}, std::int16_t{-1})
      , blocks_(space.resolutions.size() * genes_ * cell, std::numeric_limits<double>::quiet_NaN())
      , heads_(space.resolutions.size())
      , tails_(space.resolutions.size()) {
    std::size_t kernels = 0, expands = 0;
    for (const auto& s : space.stages) {
      kernels = std::max(kernels, s.kernels.size());
      expands = std::max(expands, s.expands.size());
    }
    for (std::size_t ri = 0; ri < space.resolutions.size(); ++ri) {
      const int r = space.resolutions[ri];
      index_[static_cast<std::size_t>(r)] = static_cast<std::int16_t>(ri);
      // the deepest networks with one kernel choice and one ratio everywhere meet every block that the space holds
      for (std::size_t i = 0; i < kernels; ++i)
        for (std::size_t j = 0; j < expands; ++j) {
          arch a = uniform_arch(space, r, [](const choices& c) { return c.max(); });
          for (std::size_t g = 0; g < genes_; ++g) {
            const auto& stage = space.stages[g / space.blocks_per_stage()];
            a.ks[g] = stage.kernels[std::min(i, stage.kernels.size() - 1)];
            a.e[g] = stage.expands[std::min(j, stage.expands.size() - 1)];
          }
          heads_[ri] = 0;
          tails_[ri].clear();
          for (const block& b : make_plan(space, a).blocks)
            if (b.kind == block_kind::inverted_residual) {
              const std::size_t gene = static_cast<std::size_t>(b.supernet_index) - 1;
              double& sum = blocks_[place(ri, gene, a.ks[gene], a.e[gene])];
              sum = 0;
              cost(b, r, [&](double part) { sum += part; });
            } else if (b.kind == block_kind::stem || b.kind == block_kind::separable)
              cost(b, r, [&](double part) { heads_[ri] += part; });
            else
              cost(b, r, [&](double part) { tails_[ri].push_back(part); });
        }
    }
  }

  const space_description& space() const { return space_; }
  /// The number of resolution `r` in the space, or −1.
  int resolution_index(int r) const {
    return r >= 0 && static_cast<std::size_t>(r) < index_.size() ? index_[static_cast<std::size_t>(r)] : -1;
  }
  /// Cost of one block; NaN for choices that the space does not offer there.
  double block_cost(std::size_t resolution_index, std::size_t gene, int k, int e) const {
    return blocks_[place(resolution_index, gene, k, e)];
  }
  double fixed_cost(std::size_t resolution_index) const {
    double sum = heads_[resolution_index];
    for (double part : tails_[resolution_index]) sum += part;
    return sum;
  }

  /// Cost of a whole network, about 20 additions; throws errc::invalid_arch for one of another form or resolution.
  double operator()(const arch& a) const {
    const int ri = resolution_index(a.r);
    if (ri < 0 || a.ks.size() != genes_ || a.e.size() != genes_ || a.d.size() != space_.stages.size()) refuse(a);
    double sum = heads_[static_cast<std::size_t>(ri)];
    const std::size_t per_stage = genes_ / a.d.size();
    for (std::size_t s = 0, g = 0; s < a.d.size(); ++s, g = s * per_stage)
      for (const std::size_t end = g + std::min<std::size_t>(a.d[s], per_stage); g < end; ++g)
        sum += blocks_[place(static_cast<std::size_t>(ri), g, a.ks[g], a.e[g])];
    for (double part : tails_[static_cast<std::size_t>(ri)]) sum += part;
    return sum;
  }

private:
  static constexpr std::size_t cell = 4 * 8; // kernels 1, 3, 5, 7 by expand ratios 1 … 8
  std::size_t place(std::size_t ri, std::size_t gene, int k, int e) const {
    return (ri * genes_ + gene) * cell + static_cast<std::size_t>(k >> 1 & 3) * 8 +
           static_cast<std::size_t>((e - 1) & 7);
  }
  [[noreturn]] void refuse(const arch& a) const {
    validate(space_, a);
    throw error(errc::invalid_arch, "cost of an architecture", "one of its space", text(a));
  }

  space_description space_;
  std::size_t genes_;
  std::vector<std::int16_t> index_;
  std::vector<double> blocks_, heads_;
  std::vector<std::vector<double>> tails_;
};

} // namespace dynofa
