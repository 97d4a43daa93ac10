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
/// cost(a) = Σ over the network's units that run of cost(r, unit, kernel, ratio, width before it, width of its output),
/// added in the order of the network. What a unit has no choice in does not count: only elastic blocks have kernel and
/// ratio, only spaces with widths have these, and all of one width where it holds for the whole network.
class additive_costs {
public:
  /// One unit of the super-network, and where its costs lie.
  struct unit {
    std::int16_t gene = -1;                ///< which elastic block it is; −1: none
    bool deepest_only = false;             ///< runs at the largest depth of the first stage only
    std::int8_t width_in = -1;             ///< which of the architecture's widths stands before it …
    std::int8_t width_out = -1;            ///< … and behind it; −1: a fixed one
    std::size_t first = 0;                 ///< its costs among those of a resolution
    std::size_t in_step = 0, out_step = 0; ///< how far apart they lie for neighbouring widths
  };

  /// `cost(plan, n, add)` calls `add(value)` for each part of the cost of a plan's block n. Throws what `cost` throws.
  template <class Cost>
  additive_costs(const space_description& space, Cost cost)
      : space_{space}
      , index_(space.resolutions.empty() ? 0 : space.resolutions.max() + std::size_t{1}, std::int16_t{-1}) {
    for (std::size_t s = 0; s < space.stages.size(); ++s)
      stage_blocks_.push_back(static_cast<std::uint8_t>(space.blocks_of(s)));
    list_units();
    costs_.resize(space.resolutions.size() * count_);
    for (std::size_t ri = 0; ri < space.resolutions.size(); ++ri) {
      const int r = space.resolutions[ri];
      index_[static_cast<std::size_t>(r)] = static_cast<std::int16_t>(ri);
      for_each_deepest(space, r, [&](const arch& a) { // between them they have every block that the space holds
        const plan p = make_plan(space, a);
        for (std::size_t i = 0; i < p.blocks.size(); ++i) {
          const block& b = p.blocks[i];
          const unit& u = units_[static_cast<std::size_t>(b.unit)];
          std::size_t variant = 0;
          if (b.gene >= 0) {
            const auto n = static_cast<std::size_t>(b.gene);
            variant = space.stages[space.stage_of(n)].variant_index(a.choice(n));
          }
          parts& sum = costs_[place(ri, u, variant, a)];
          sum = {0, 0};
          bool is_first = true;
          cost(p, i, [&](double part) { (is_first ? sum.first : sum.rest) += part, is_first = false; });
        }
      });
    }
  }

  const space_description& space() const { return space_; } ///< a copy
  /// The number of resolution `r` in the space, or −1.
  int resolution_index(int r) const {
    return r >= 0 && static_cast<std::size_t>(r) < index_.size() ? index_[static_cast<std::size_t>(r)] : -1;
  }
  /// All of the network, in order; elastic block n is unit `unit_of(n)`.
  const std::vector<unit>& units() const { return units_; }
  /// The unit of a block, counted through all stages.
  std::size_t unit_of(std::size_t block) const { return first_elastic_ + block; }

  /// Cost of an elastic block between two widths, given by their numbers (0 where they are fixed); NaN for choices that
  /// the space does not offer there.
  double block_cost(std::size_t resolution_index, std::size_t block, const block_choice& c, std::size_t in = 0,
                    std::size_t out = 0) const {
    const stage_description& stage = space_.stages[space_.stage_of(block)];
    const std::size_t variant = stage.variant_index(c);
    return variant < stage.variant_count() && std::max(in, out) < widths_
               ? costs_[place(resolution_index, units_[unit_of(block)], variant, in, out)].sum()
               : std::numeric_limits<double>::quiet_NaN();
  }
  /// The same of a unit that is no elastic block.
  double unit_cost(std::size_t resolution_index, const unit& u, std::size_t in, std::size_t out) const {
    return costs_[place(resolution_index, u, 0, in, out)].sum();
  }

  /// Cost of a whole network, about 20 additions. An architecture as files have it costs more time, since what it
  /// leaves out is completed first. Throws errc::invalid_arch for one that the space does not contain.
  double operator()(const arch& a) const {
    const int index = resolution_index(a.r);
    if (index < 0 || a.ks.size() != space_blocks() || a.e.size() != a.ks.size() || a.d.size() != space_.stages.size() ||
        a.w.size() != space_.width_count())
      return of_incomplete(a);
    for (const auto w : a.w)
      if (w >= widths_) refuse(a);
    const auto ri = static_cast<std::size_t>(index);
    double sum = 0;
    const auto add = [&](const unit& u, std::size_t variant) {
      const parts& p = costs_[place(ri, u, variant, a)];
      sum += p.first;
      sum += p.rest;
    };
    const bool is_deepest = a.d[0] == space_.stages[0].depths.max();
    for (std::size_t u = 0; u < first_elastic_; ++u)
      if (is_deepest || !units_[u].deepest_only) add(units_[u], 0);
    for (std::size_t s = 0, first = 0; s < a.d.size(); first += stage_blocks_[s++]) {
      const stage_description& stage = space_.stages[s];
      const std::size_t active = std::min<std::size_t>(space_.active_blocks(s, a.d[s]), stage_blocks_[s]);
      for (std::size_t b = first; b < first + active; ++b) {
        const std::size_t variant = stage.variant_index(a.choice(b));
        if (variant == stage.variant_count()) refuse(a);
        add(units_[unit_of(b)], variant);
      }
    }
    for (std::size_t u = unit_of(space_blocks()); u < units_.size(); ++u) add(units_[u], 0);
    return sum;
  }

private:
  /// Of the head's last convolution and its pooling: they are added one by one, as the network has them.
  struct parts {
    double first = std::numeric_limits<double>::quiet_NaN(), rest = 0;
    double sum() const { return first + rest; }
  };

  void list_units() {
    std::int8_t width = -1;
    const bool pairs = space_.has_width_pairs();
    for (const block& b : units_of(space_)) {
      unit u{.gene = b.gene, .deepest_only = b.deepest_only, .width_in = width, .width_out = b.width, .first = count_};
      if (b.kind == block_kind::average_pool) u.width_out = width; // it has the channels that come in
      width = u.width_out;
      std::size_t count = 1;
      if (b.gene >= 0) count = space_.stages[space_.stage_of(static_cast<std::size_t>(b.gene))].variant_count();
      if (b.gene < 0 && blocks_ == 0) first_elastic_ = units_.size() + 1;
      blocks_ += b.gene >= 0;
      for (auto [at, step] : {std::pair{u.width_out, &u.out_step}, {u.width_in, &u.in_step}})
        if (at >= 0 && (pairs || u.out_step == 0)) *step = count, count *= widths_;
      count_ += count;
      units_.push_back(u);
    }
  }
  std::size_t space_blocks() const { return blocks_; }
  std::size_t place(std::size_t ri, const unit& u, std::size_t variant, std::size_t in, std::size_t out) const {
    return ri * count_ + u.first + variant + u.in_step * in + u.out_step * out;
  }
  std::size_t place(std::size_t ri, const unit& u, std::size_t variant, const arch& a) const {
    const auto width = [&](std::int8_t at) { return at < 0 ? 0 : std::size_t{a.w[static_cast<std::size_t>(at)]}; };
    return place(ri, u, variant, width(u.width_in), width(u.width_out));
  }
  double of_incomplete(const arch& a) const {
    validate(space_, a);
    return (*this)(conform(space_, a));
  }
  [[noreturn]] void refuse(const arch& a) const {
    validate(space_, a);
    throw error(errc::invalid_arch, "cost of an architecture", "one of its space", text(a));
  }

  space_description space_;
  std::size_t widths_ = std::max<std::size_t>(1, space_.widths.size());
  inline_vector<std::uint8_t, max_stages> stage_blocks_;
  std::vector<unit> units_;
  std::size_t first_elastic_ = 0, blocks_ = 0, count_ = 0; ///< costs of a resolution
  std::vector<std::int16_t> index_;
  std::vector<parts> costs_;
};

} // namespace dynofa
