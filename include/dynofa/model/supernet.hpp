#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/model/plan.hpp"
#include "dynofa/space/arch.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace dynofa {

/// Learnable scale and shift of a batch norm, and the running statistics the checkpoint came with (those of the largest
/// sub-network: use them for no other).
struct norm_parameters {
  std::vector<float> weight, bias, mean, var;
};

/// The weights of one elastic block at full width, row-major as in the checkpoint. A sub-network uses prefixes: the
/// first mid rows of `expand`, the first mid columns of `project`, …
struct block_weights {
  std::vector<float> expand;                    ///< [mid][in]; empty for the separable block
  std::array<std::vector<float>, 3> depthwise;  ///< for k = 3, 5, 7: [mid][k·k]; empty where k is not offered
  std::vector<float> se_reduce, se_reduce_bias; ///< [hidden][mid], [hidden]; empty without squeeze-excite
  std::vector<float> se_expand, se_expand_bias; ///< [mid][hidden], [mid]
  std::vector<float> project;                   ///< [out][mid]
  std::array<norm_parameters, 3> norms;         ///< in the order of block::norm_channels

  const std::vector<float>& depthwise_of(int kernel) const {
    return depthwise[static_cast<std::size_t>(kernel / 2 - 1)];
  }
  std::vector<float>& depthwise_of(int kernel) { return depthwise[static_cast<std::size_t>(kernel / 2 - 1)]; }

  /// Extents at full width, for stepping from row to row.
  int mid_channels = 0, in_channels = 0, out_channels = 0, se_channels = 0;
};

/// The super-network: immutable weights that every sub-network, level and backend shares.
///
/// Kernel transforms are applied once, here, so that a switch of kernel size needs no arithmetic later.
struct supernet {
  space_description space;
  std::vector<float> stem; ///< [out][3][3][3] as in the checkpoint (out, in, row, column)
  norm_parameters stem_norm;
  std::vector<block_weights> blocks; ///< 0: the separable block; 1 + gene: the elastic ones
  std::vector<float> final_expand;   ///< [final_width][last stage width]
  norm_parameters final_norm;
  std::vector<float> feature_mix;                 ///< [mix_width][final_width]
  std::vector<float> classifier, classifier_bias; ///< [classes][mix_width], [classes]
  /// Set when the file held one extracted sub-network: the only architecture these weights are good for.
  std::optional<arch> only;

  /// Batch norm i of block b.
  const norm_parameters& norm(const block& b, int i) const {
    switch (b.kind) {
    case block_kind::stem: return stem_norm;
    case block_kind::final_expand: return final_norm;
    default: return blocks[static_cast<std::size_t>(b.supernet_index)].norms[static_cast<std::size_t>(i)];
    }
  }

  /// Identifies the weights: a hash of every learnable value, so statistics measured on one super-network are refused
  /// on another. Reads all weights once (about 5 ms for w = 1.2).
  std::uint64_t hash() const {
    std::uint64_t h = 0;
    auto add = [&](const std::vector<float>& values) {
      for (std::size_t i = 0; i < values.size(); ++i)
        h = (h ^ std::bit_cast<std::uint32_t>(values[i])) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
      h = mix64(h ^ values.size());
    };
    auto add_norm = [&](const norm_parameters& n) { add(n.weight), add(n.bias); };
    add(stem), add_norm(stem_norm);
    for (const auto& b : blocks) {
      add(b.expand), add(b.se_reduce), add(b.se_reduce_bias), add(b.se_expand), add(b.se_expand_bias), add(b.project);
      for (const auto& k : b.depthwise) add(k);
      for (const auto& n : b.norms) add_norm(n);
    }
    add(final_expand), add_norm(final_norm), add(feature_mix), add(classifier), add(classifier_bias);
    return h;
  }
};

using supernet_ptr = std::shared_ptr<const supernet>;

/// The geometry of supernet block `index` (0 = separable) at full width, as a block with its largest shapes.
inline block widest_block(const space_description& space, std::size_t index) {
  if (index == 0)
    return {.kind = block_kind::separable,
            .act = activation::relu,
            .residual = true,
            .kernel = 3,
            .in_channels = space.stem_width,
            .mid_channels = space.stem_width,
            .out_channels = space.stem_width};
  const std::size_t per_stage = space.blocks_per_stage(), s = (index - 1) / per_stage, b = (index - 1) % per_stage;
  const stage_description& stage = space.stages[s];
  const int in = space.in_channels(s, b), mid = space.mid_channels(s, b, stage.expands.max());
  return {.kind = block_kind::inverted_residual,
          .act = stage.act,
          .residual = b > 0,
          .kernel = stage.kernels.max(),
          .stride = static_cast<std::uint8_t>(b == 0 ? stage.stride : 1),
          .supernet_index = static_cast<std::int16_t>(index),
          .in_channels = in,
          .mid_channels = mid,
          .out_channels = stage.width,
          .se_channels = stage.squeeze_excite ? make_divisible(mid / 4) : 0};
}

} // namespace dynofa
