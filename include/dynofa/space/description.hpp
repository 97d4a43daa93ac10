#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/inline_vector.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dynofa {

inline constexpr std::size_t max_stages = 8;
inline constexpr std::size_t max_blocks = 48; ///< elastic blocks of all stages together

inline constexpr std::size_t max_resolutions = 64;

using choices = inline_vector<std::uint8_t, 8>;

/// One stage of elastic blocks: what is fixed, and what is offered to an architecture.
struct stage_description {
  int width = 0;  ///< output channels, width multiplier already applied
  int stride = 1; ///< of the stage's first block
  activation act = activation::relu;
  bool squeeze_excite = false;
  choices depths, expands, kernels; ///< ascending

  friend constexpr bool operator==(const stage_description&, const stage_description&) = default;
};

/// A search space as a run-time value: the network's fixed geometry and everything an architecture may choose.
///
/// `search_space<…>::description` makes one at compile time from policies; files carry one as JSON. All the numbers
/// that once-for-all hard-codes (widths, strides, squeeze-excite, resolutions, class count) are data here.
struct space_description {
  double width_multiplier = 1.0; ///< for the record: the widths below already contain it
  int stem_width = 16;           ///< output channels of the stem and of block 0
  inline_vector<stage_description, max_stages> stages;
  int final_width = 960; ///< output channels of the last 1×1 convolution before pooling
  int mix_width = 1280;  ///< output channels of the 1×1 convolution after pooling
  int classes = 1000;
  float bn_epsilon = 1e-5f;
  inline_vector<std::uint16_t, max_resolutions> resolutions; ///< ascending

  friend constexpr bool operator==(const space_description&, const space_description&) = default;

  /// Block genes per stage: the largest depth any stage offers (4 in once-for-all).
  constexpr std::size_t blocks_per_stage() const {
    std::size_t n = 0;
    for (const auto& s : stages) n = std::max<std::size_t>(n, s.depths.max());
    return n;
  }
  /// Kernel and expand genes of an architecture (20 in once-for-all).
  constexpr std::size_t block_genes() const { return stages.size() * blocks_per_stage(); }
  /// Input channels of block `b` of stage `s`.
  constexpr int in_channels(std::size_t s, std::size_t b) const {
    return b > 0 ? stages[s].width : s > 0 ? stages[s - 1].width : stem_width;
  }
  /// Channels of the depthwise convolution of that block at expand ratio `e`.
  constexpr int mid_channels(std::size_t s, std::size_t b, int e) const {
    return make_divisible(static_cast<double>(in_channels(s, b) * e));
  }

  /// How many different networks the space holds, resolution not counted (the paper's 2·10^19): a block that is
  /// switched off adds nothing. Exact up to 2^53, rounded beyond.
  constexpr double cardinality() const {
    double all = 1;
    for (const auto& s : stages) {
      double stage = 0;
      for (int d : s.depths) {
        double blocks = 1;
        for (int b = 0; b < d; ++b) blocks *= static_cast<double>(s.kernels.size() * s.expands.size());
        stage += blocks;
      }
      all *= stage;
    }
    return all;
  }
};

} // namespace dynofa
