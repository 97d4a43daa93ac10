#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/space/arch.hpp"

#include <algorithm>
#include <vector>

namespace dynofa {

/// A sub-network as the list of blocks it runs, with all shapes: what a backend binds and what costs are counted on.
///
/// `norms` is the table of the plan's batch norms in the order they are met: norm i of block b has number
/// `first_norm(b) + i`, and its channels are [offset, offset + channels) of the plan's concatenated statistics.
struct plan {
  struct norm {
    std::int32_t offset, channels;
  };
  space_description space;
  dynofa::arch arch;
  int batch = 1; ///< images per run
  std::vector<block> blocks;
  std::vector<norm> norms;
  std::vector<std::int32_t> first_norms; ///< per block

  int first_norm(std::size_t block) const { return first_norms[block]; }
  /// All batch-norm channels together: the length of a level's scale and of its shift.
  std::int64_t norm_values() const { return norms.empty() ? 0 : norms.back().offset + norms.back().channels; }

  std::int64_t macs() const {
    return sum([](const block& b) { return b.macs(); });
  } ///< of one image
  std::int64_t parameters() const {
    return sum([](const block& b) { return b.parameters(); });
  }
  /// Bytes of fp32 weights that one image reads.
  std::int64_t weight_bytes() const { return 4 * parameters(); }
  /// The largest input plus output of one block: what an fp32 arena needs when blocks are fused inside. Bytes per
  /// image.
  std::int64_t activation_bytes() const {
    std::int64_t peak = 0;
    for (const block& b : blocks) peak = std::max(peak, 4 * (b.in_values() + b.out_values()));
    return peak;
  }

private:
  template <class Count>
  std::int64_t sum(Count count) const {
    std::int64_t total = 0;
    for (const block& b : blocks) total += count(b);
    return total;
  }
};

/// The plan of `a`. Throws the fault's error if the space does not contain `a`: nothing invalid gets past here.
/// `any_resolution` accepts sizes the space does not offer (odd ones too), for profiling and tests.
inline plan make_plan(const space_description& space, const arch& a, int batch = 1, bool any_resolution = false) {
  arch checked = a;
  if (any_resolution && !space.resolutions.empty()) {
    if (a.r < 8) throw error(errc::invalid_arch, "architecture field r", "at least 8", std::to_string(a.r));
    checked.r = space.resolutions.front();
  }
  validate(space, checked);
  if (batch < 1) throw error(errc::invalid_argument, "plan batch", "at least 1", std::to_string(batch));

  plan p{space, a.canonical(), batch, {}, {}, {}};
  auto add = [&](block b) {
    b.out_size = b.kind == block_kind::final_expand ? 1 : (b.in_size - 1) / b.stride + 1;
    p.first_norms.push_back(static_cast<std::int32_t>(p.norms.size()));
    for (int i = 0; i < b.norm_count(); ++i)
      p.norms.push_back({static_cast<std::int32_t>(p.norm_values()), b.norm_channels(i)});
    p.blocks.push_back(b);
  };
  auto last = [&] { return p.blocks.back(); };

  add({.kind = block_kind::stem,
       .act = activation::h_swish,
       .kernel = 3,
       .stride = 2,
       .in_size = a.r,
       .in_channels = 3,
       .out_channels = space.stem_width});
  add({.kind = block_kind::separable,
       .act = activation::relu,
       .residual = true,
       .kernel = 3,
       .in_size = last().out_size,
       .in_channels = space.stem_width,
       .mid_channels = space.stem_width,
       .out_channels = space.stem_width});
  const std::size_t per_stage = space.blocks_per_stage();
  for (std::size_t s = 0; s < space.stages.size(); ++s) {
    const stage_description& stage = space.stages[s];
    for (std::size_t i = 0; i < a.d[s]; ++i) {
      const std::size_t gene = s * per_stage + i;
      const int stride = i == 0 ? stage.stride : 1;
      const int in = space.in_channels(s, i), mid = space.mid_channels(s, i, a.e[gene]);
      add({.kind = block_kind::inverted_residual,
           .act = stage.act,
           .residual = stride == 1 && in == stage.width,
           .kernel = a.ks[gene],
           .stride = static_cast<std::uint8_t>(stride),
           .supernet_index = static_cast<std::int16_t>(gene + 1),
           .in_size = last().out_size,
           .in_channels = in,
           .mid_channels = mid,
           .out_channels = stage.width,
           .se_channels = stage.squeeze_excite ? make_divisible(mid / 4) : 0});
    }
  }
  add({.kind = block_kind::final_expand,
       .act = activation::h_swish,
       .in_size = last().out_size,
       .in_channels = last().out_channels,
       .out_channels = space.final_width});
  add({.kind = block_kind::feature_mix,
       .act = activation::h_swish,
       .in_size = 1,
       .in_channels = space.final_width,
       .out_channels = space.mix_width});
  add({.kind = block_kind::classifier, .in_size = 1, .in_channels = space.mix_width, .out_channels = space.classes});
  return p;
}

} // namespace dynofa
