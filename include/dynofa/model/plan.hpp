#pragma once
#include "dynofa/model/layout.hpp"
#include "dynofa/space/arch.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace dynofa {

/// A sub-network as the list of blocks it runs, with all shapes: what a backend binds and what costs are counted on.
///
/// `norms` is the table of the plan's batch norms in the order they are met: norm i of block b has number
/// `first_norm(b) + i`, and its channels are [offset, offset + channels) of the plan's concatenated statistics.
struct plan {
  /// Where a batch norm's channels stand among all of the plan's.
  struct norm {
    std::int32_t offset, channels; ///< first channel, and how many
  };
  space_description space;               ///< that `arch` is of
  dynofa::arch arch;                     ///< in canonical form
  int batch = 1;                         ///< images per run
  std::vector<block> blocks;             ///< in the order in which they run
  std::vector<norm> norms;               ///< of the active blocks only
  std::vector<std::int32_t> first_norms; ///< per block

  /// Number of the block's first norm, which is its own only if `block::norm_count()` is not 0.
  int first_norm(std::size_t block) const { return first_norms[block]; }
  /// All batch-norm channels together: the length of a level's scale and of its shift.
  std::int64_t norm_values() const { return norms.empty() ? 0 : norms.back().offset + norms.back().channels; }

  /// The block that pools: what follows works on a vector per image. `blocks.size()` if there is none.
  std::size_t pooling_block() const {
    const auto pools = [](const block& b) { return b.pools(); };
    return static_cast<std::size_t>(std::find_if(blocks.begin(), blocks.end(), pools) - blocks.begin());
  }

  /// Of all images of a run: [N,r,r,3] and [N,classes].
  std::size_t image_values() const { return of_batch(blocks.front().in_values()); }
  std::size_t logit_values() const { return of_batch(blocks.back().out_values()); } ///< [N,classes]
  /// Of all images of a run, if one has so many.
  std::size_t of_batch(std::int64_t values) const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(values);
  }

  /// How many maps are named as outputs besides the logits.
  std::size_t named_maps() const {
    return static_cast<std::size_t>(
        std::count_if(blocks.begin(), blocks.end(), [](const block& b) { return b.output > 0; }));
  }
  /// The block whose output is map i; `blocks.size()` if there is none.
  std::size_t block_of_map(std::size_t i) const {
    const auto is_it = [i](const block& b) { return b.output == static_cast<int>(i) + 1; };
    return static_cast<std::size_t>(std::find_if(blocks.begin(), blocks.end(), is_it) - blocks.begin());
  }

  std::int64_t macs() const {
    return sum([](const block& b) { return b.macs(); });
  } ///< of one image
  /// Learnable parameters that the sub-network uses.
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

  /// Makes the table of batch norms, from the blocks.
  void number_norms() {
    norms.clear(), first_norms.clear();
    for (const block& b : blocks) {
      first_norms.push_back(static_cast<std::int32_t>(norms.size()));
      for (int i = 0; i < b.norm_count(); ++i)
        norms.push_back({static_cast<std::int32_t>(norm_values()), b.norm_channels(i)});
    }
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

  plan p{space, conform(space, a), batch, {}, {}, {}};
  int size = a.r, channels = 3;
  for (block b : units_of(space)) {
    if (b.gene >= 0 && !p.arch.active(static_cast<std::size_t>(b.gene))) continue;
    if (b.deepest_only && p.arch.d[0] != space.stages[0].depths.max()) continue;
    b.in_channels = channels;
    if (b.width >= 0) b.out_channels = space.width_at(b.out_channels, p.arch.w[static_cast<std::size_t>(b.width)]);
    if (b.kind == block_kind::average_pool) b.out_channels = channels;
    if (b.gene >= 0) {
      const auto gene = static_cast<std::size_t>(b.gene);
      b.kernel = p.arch.ks[gene];
      b.mid_channels = space.mid_channels(space.stage_of(gene), channels, b.out_channels, p.arch.e[gene]);
      if (b.se_channels > 0) b.se_channels = se_width(b.mid_channels);
    } else if (b.mid_channels > 0) {
      b.mid_channels = channels; // of a separable block
    }
    channels = b.out_channels;
    b.in_size = size;
    size = b.out_size = b.pools() ? 1 : (size - 1) / b.stride + 1;
    p.blocks.push_back(b);
  }
  p.number_norms();
  return p;
}

/// `p` with the outputs of these blocks as maps 0, 1, … that a session gives besides the logits. Each may be named
/// once. Throws errc::invalid_argument for one that is named twice or has no map: pooling, and what follows it.
inline plan with_maps(plan p, std::span<const std::size_t> blocks) {
  for (block& b : p.blocks)
    if (b.output > 0) b.output = -1;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::size_t at = blocks[i];
    if (at >= p.pooling_block() || p.blocks[at].output > 0)
      throw error(errc::invalid_argument, "named maps",
                  text("different blocks before the pooling, which is block ", p.pooling_block()), text(at));
    p.blocks[at].output = static_cast<std::int8_t>(i + 1);
  }
  return p;
}

/// The last block of `p` whose output is `stride` times smaller than the image, as heads for detection and
/// segmentation want it: 8, 16, 32. Throws errc::invalid_argument if none is.
inline std::size_t last_block_at_stride(const plan& p, int stride) {
  std::size_t last = p.blocks.size();
  int now = 1;
  for (std::size_t b = 0; b < p.pooling_block(); ++b)
    if ((now *= p.blocks[b].stride) == stride) last = b;
  if (last == p.blocks.size())
    throw error(errc::invalid_argument, "named maps", text("a stride that the network has, at most ", now),
                text(stride));
  return last;
}
/// `with_maps` at these strides.
inline plan with_maps_at(plan p, std::span<const int> strides) {
  std::vector<std::size_t> blocks;
  for (const int stride : strides) blocks.push_back(last_block_at_stride(p, stride));
  return with_maps(std::move(p), blocks);
}

} // namespace dynofa
