#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/space/description.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

// Which blocks a network has at full width, and all that a backend needs to run each of them. What their arrays are
// called, and how much of them a sub-network reads, is the layout's (model/layout.hpp).

namespace dynofa {

/// The units of a network at full width, in order; a plan's blocks are cut from them.
inline std::vector<block> units_of(const space_description& space) {
  std::vector<block> units;
  const auto add = [&](block b) {
    b.unit = static_cast<std::int16_t>(units.size());
    units.push_back(b);
  };
  const int stem = space.stem_width, first = space.width_of_first();
  const auto width = [&](std::size_t number) {
    return static_cast<std::int8_t>(space.widths.empty() ? -1 : space.one_width ? 0 : int(number));
  };
  add({.kind = block_kind::stem,
       .act = space.stem_act,
       .width = width(0),
       .kernel = 3,
       .stride = 2,
       .in_channels = 3,
       .out_channels = stem});
  if (space.has_deep_stem()) {
    const stage_description& deep = space.stages[0];
    const block inner{.kind = block_kind::convolution, .act = deep.act, .kernel = 3, .in_channels = stem};
    block residual = inner, last = inner;
    residual.residual = residual.deepest_only = true, residual.width = width(0), residual.out_channels = stem;
    last.width = width(1), last.out_channels = deep.width;
    add(residual), add(last);
    add({.kind = block_kind::max_pool,
         .width = width(1),
         .kernel = 3,
         .stride = 2,
         .in_channels = deep.width,
         .out_channels = deep.width});
  } else {
    add({.kind = block_kind::separable,
         .act = space.first_act,
         .residual = space.first_residual,
         .width = width(0),
         .kernel = 3,
         .in_channels = stem,
         .mid_channels = stem,
         .out_channels = first});
  }
  std::int16_t gene = 0;
  for (std::size_t s = 0; s < space.stages.size(); ++s) {
    const stage_description& stage = space.stages[s];
    const bool is_bottleneck = stage.kind == block_kind::bottleneck;
    for (std::size_t i = 0, blocks = space.blocks_of(s); i < blocks; ++i) {
      const int stride = i == 0 ? stage.stride : 1, in = space.in_channels(s, i);
      const int mid = space.mid_channels(s, i, stage.expands.max());
      // Behind a stage with a width of its own a first block cannot count on equal channels.
      const bool always_equal = in == stage.width && (i > 0 || space.width_count() < 2);
      add({.kind = stage.kind,
           .act = stage.act,
           .out_act = is_bottleneck ? stage.act : activation::identity,
           .residual = stride == 1 && always_equal,
           .width = width(s + 1),
           .kernel = stage.kernels.max(),
           .stride = static_cast<std::uint8_t>(stride),
           .gene = gene++,
           .in_channels = in,
           .mid_channels = mid,
           .out_channels = stage.width,
           .se_channels = stage.squeeze_excite ? se_width(mid) : 0});
    }
  }
  const int last = space.stages.empty() ? first : space.stages.back().width;
  if (space.mix_width == 0) {
    add({.kind = block_kind::average_pool, .in_channels = last, .out_channels = last});
    add({.kind = block_kind::classifier, .output = 0, .in_channels = last, .out_channels = space.classes});
    return units;
  }
  add({.kind = block_kind::final_expand,
       .act = space.head_act,
       .in_channels = last,
       .out_channels = space.final_width > 0 ? space.final_width : space.mix_width});
  if (space.final_width > 0)
    add({.kind = block_kind::feature_mix,
         .act = space.head_act,
         .in_channels = space.final_width,
         .out_channels = space.mix_width});
  add({.kind = block_kind::classifier, .output = 0, .in_channels = space.mix_width, .out_channels = space.classes});
  return units;
}

} // namespace dynofa
