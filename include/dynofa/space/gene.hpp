#pragma once
#include <cstdint>

namespace dynofa {

/// What an architecture chooses.
enum class gene_kind : std::uint8_t {
  depth,      ///< active blocks of a stage
  kernel,     ///< side of a block's depthwise kernel
  expand,     ///< expand ratio of a block
  width,      ///< output channels of a stage, or of the stem: which of the width multipliers on offer
  resolution, ///< side of the input image
};

/// One choice of an architecture: a space lists them (`space_description::genes`), an arch holds a value for each.
struct gene {
  gene_kind kind = gene_kind::resolution; ///< what it chooses
  std::uint8_t stage = 0;                 ///< of depth, kernel, expand, width
  std::uint8_t block =
      0; ///< of kernel, expand: counted through all stages, as in arch::ks and arch::e; of width: in arch::w

  /// Whether it says how a single block looks, and counts only where that block is active.
  constexpr bool of_block() const { return kind == gene_kind::kernel || kind == gene_kind::expand; }
  friend constexpr bool operator==(const gene&, const gene&) = default;
};

} // namespace dynofa
