#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/decimal.hpp"
#include "dynofa/core/inline_vector.hpp"
#include "dynofa/space/gene.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dynofa {

inline constexpr std::size_t max_stages = 8;              ///< a deep stem's among them
inline constexpr std::size_t max_blocks = 48;             ///< elastic blocks of all stages together
inline constexpr std::size_t max_resolutions = 64;        ///< on offer
inline constexpr std::size_t max_widths = max_stages + 1; ///< the stem's, then one of each stage
inline constexpr std::size_t max_genes = max_stages + 2 * max_blocks + max_widths + 1; ///< of the largest space

using choices = inline_vector<std::uint8_t, 8>;   ///< of a kernel's sides, or of depths
using ratios = inline_vector<decimal, 8>;         ///< of expand ratios, or of width multipliers
using gene_list = inline_vector<gene, max_genes>; ///< of a whole space

/// What an architecture chooses for one block.
struct block_choice {
  std::uint8_t kernel = 0; ///< side in pixels
  decimal expand;          ///< mid channels over input channels
  friend constexpr bool operator==(const block_choice&, const block_choice&) = default;
  friend constexpr auto operator<=>(const block_choice&, const block_choice&) = default;
};

/// One stage of elastic blocks: what is fixed, and what is offered to an architecture.
///
/// The first stage may be a deep stem (ResNet-D's): behind the stem's convolution another one with a residual, which
/// runs at the largest depth only, one to the stage's width, and a max pool. It has a depth and no elastic blocks.
struct stage_description {
  int width = 0;  ///< output channels, width multiplier already applied; of the largest width where several are offered
  int stride = 1; ///< of the stage's first block
  activation act = activation::relu; ///< of the stage's blocks
  bool squeeze_excite = false;       ///< in each of the stage's blocks
  choices depths;                    ///< ascending, as are the next two
  ratios expands;                    ///< expand ratios
  choices kernels;                   ///< sides
  std::uint8_t blocks = 0;           ///< that the super-network has; 0: as many as the deepest stage of the space
  std::uint8_t fixed_blocks = 0;     ///< that run whatever the depth, which counts those beyond
  block_kind kind = block_kind::inverted_residual; ///< or bottleneck; of a deep stem: stem

  friend constexpr bool operator==(const stage_description&, const stage_description&) = default;

  /// The ways in which a block of the stage can be, kernels outermost.
  constexpr std::size_t variant_count() const { return kernels.size() * expands.size(); }
  /// Number `i` of them.
  constexpr block_choice variant(std::size_t i) const {
    return {kernels[i / expands.size()], expands[i % expands.size()]};
  }
  /// The number of a variant; `variant_count()` for one that is not offered.
  constexpr std::size_t variant_index(const block_choice& c) const {
    std::size_t k = 0, e = 0;
    while (k < kernels.size() && kernels[k] != c.kernel) ++k;
    while (e < expands.size() && expands[e] != c.expand) ++e;
    return k < kernels.size() && e < expands.size() ? k * expands.size() + e : variant_count();
  }
  /// Whether each of its values is the least or the largest on offer.
  constexpr bool is_corner(const block_choice& c) const {
    return (c.kernel == kernels.min() || c.kernel == kernels.max()) &&
           (c.expand == expands.min() || c.expand == expands.max());
  }
};

/// A search space as a run-time value: the network's fixed geometry and everything an architecture may choose.
///
/// `search_space<…>::description` makes one at compile time from policies; files carry one as JSON. All the numbers
/// that once-for-all hard-codes (widths, strides, squeeze-excite, resolutions, class count) are data here.
struct space_description {
  double width_multiplier = 1.0;             ///< for the record: the widths below already contain it
  int stem_width = 16;                       ///< output channels of the stem
  activation stem_act = activation::h_swish; ///< behind the stem's convolution
  int first_width = 0;                       ///< output channels of block 0; 0: as the stem's
  activation first_act = activation::relu;   ///< of block 0
  bool first_residual = true;                ///< block 0 adds its input
  /// Width multipliers on offer, ascending, the last one 1; empty: widths are fixed.
  ratios widths;
  bool one_width = false; ///< one choice holds for the stem and all stages; else each has its own
  inline_vector<stage_description, max_stages> stages; ///< in order; a deep stem first
  /// Output channels of the last 1×1 convolution before pooling; 0: there is none, and the one below stands before
  /// pooling, with a batch norm.
  int final_width = 960;
  int mix_width = 1280; ///< output channels of the 1×1 convolution before the classifier; 0: pooling alone stands there
  activation head_act = activation::h_swish;                 ///< of these two
  int classes = 1000;                                        ///< logits of an image
  float bn_epsilon = 1e-5f;                                  ///< added to a variance before its root is taken
  inline_vector<std::uint16_t, max_resolutions> resolutions; ///< ascending

  friend constexpr bool operator==(const space_description&, const space_description&) = default;

  /// Elastic blocks of all stages: kernel and expand genes of an architecture (20 in once-for-all's MobileNetV3).
  constexpr std::size_t block_count() const { return first_block(stages.size()); }
  /// The number of stage s's first block.
  constexpr std::size_t first_block(std::size_t s) const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < s; ++i) n += blocks_of(i);
    return n;
  }
  /// Blocks of stage s in the super-network.
  constexpr std::size_t blocks_of(std::size_t s) const {
    if (stages[s].blocks > 0 || stages[s].kind == block_kind::stem) return stages[s].blocks;
    std::size_t deepest = 0;
    for (const auto& stage : stages) deepest = std::max<std::size_t>(deepest, stage.depths.max());
    return deepest;
  }
  /// The stage that an elastic block, counted through all stages, lies in.
  constexpr std::size_t stage_of(std::size_t block) const {
    std::size_t s = 0;
    for (std::size_t end = blocks_of(0); block >= end; end += blocks_of(s)) ++s;
    return s;
  }
  /// How many blocks of stage s run at a depth.
  constexpr std::size_t active_blocks(std::size_t s, std::size_t depth) const {
    return stages[s].kind == block_kind::stem ? 0 : stages[s].fixed_blocks + depth;
  }
  /// The first stage is one.
  constexpr bool has_deep_stem() const { return !stages.empty() && stages[0].kind == block_kind::stem; }
  /// Output channels of block 0.
  constexpr int width_of_first() const { return first_width > 0 ? first_width : stem_width; }
  /// Input channels of block `b` of stage `s`.
  constexpr int in_channels(std::size_t s, std::size_t b) const {
    return b > 0 ? stages[s].width : s > 0 ? stages[s - 1].width : width_of_first();
  }
  /// Channels of the k×k convolution of that block at expand ratio `e`.
  constexpr int mid_channels(std::size_t s, std::size_t b, decimal e) const {
    return mid_channels(s, in_channels(s, b), stages[s].width, e);
  }
  /// The same of a block of stage s with these channels before and behind it: `e` multiplies the former, in a
  /// bottleneck the latter, rounded to the nearest whole number as Python does (halves to the even one).
  constexpr int mid_channels(std::size_t s, int in, int out, decimal e) const {
    if (stages[s].kind != block_kind::bottleneck) return make_divisible(in * e.thousandths / 1000.0);
    const int product = out * e.thousandths, whole = product / 1000, rest = product % 1000;
    return make_divisible(whole + (rest > 500 || (rest == 500 && whole % 2 == 1)));
  }
  /// A width at multiplier number i of those on offer.
  constexpr int width_at(int full, std::size_t i) const {
    return widths.empty() ? full : make_divisible(full * widths[i].thousandths / 1000.0);
  }
  /// How many widths an architecture chooses.
  constexpr std::size_t width_count() const { return widths.empty() ? 0 : one_width ? 1 : stages.size() + 1; }
  /// Whether stages differ in width, so that the block between two of them can be more than one width alone allows.
  constexpr bool has_width_pairs() const { return width_count() > 1; }

  /// What an architecture chooses, in the order in which random ones are drawn: per stage its depth, then kernel and
  /// ratio of each block; then the widths, the resolution last.
  constexpr gene_list genes() const {
    gene_list all;
    const auto add = [&](gene_kind kind, std::size_t stage, std::size_t block) {
      all.push_back({kind, static_cast<std::uint8_t>(stage), static_cast<std::uint8_t>(block)});
    };
    std::size_t block = 0;
    for (std::size_t s = 0; s < stages.size(); ++s) {
      add(gene_kind::depth, s, 0);
      for (const std::size_t end = block + blocks_of(s); block < end; ++block)
        add(gene_kind::kernel, s, block), add(gene_kind::expand, s, block);
    }
    for (std::size_t w = 0; w < width_count(); ++w) add(gene_kind::width, w > 0 ? w - 1 : 0, w);
    add(gene_kind::resolution, 0, 0);
    return all;
  }
  /// `visit(list)` with the offered values of a gene, ascending, in the type that the gene has.
  template <class Visit>
  constexpr decltype(auto) offered(const gene& g, Visit&& visit) const {
    switch (g.kind) {
    case gene_kind::depth: return visit(stages[g.stage].depths);
    case gene_kind::kernel: return visit(stages[g.stage].kernels);
    case gene_kind::expand: return visit(stages[g.stage].expands);
    case gene_kind::width: return visit(width_numbers());
    default: return visit(resolutions);
    }
  }
  /// Choices on offer for a gene.
  constexpr std::size_t offer_count(const gene& g) const {
    return offered(g, [](const auto& list) { return list.size(); });
  }
  /// Number `i` of them.
  constexpr decimal offer(const gene& g, std::size_t i) const {
    return offered(g, [i](const auto& list) { return decimal(list[i]); });
  }
  /// Where `value` stands among the offered ones; their number if it is none of them.
  constexpr std::size_t offer_index(const gene& g, decimal value) const {
    return offered(g, [value](const auto& list) {
      std::size_t i = 0;
      while (i < list.size() && decimal(list[i]) != value) ++i;
      return i;
    });
  }

  /// How many different networks the space holds, resolution not counted (the paper's 2·10^19): a block that is
  /// switched off adds nothing. Exact up to 2^53, rounded beyond. Widths that round to the same channels count apart.
  constexpr double cardinality() const {
    double all = 1;
    for (std::size_t w = 0; w < width_count(); ++w) all *= static_cast<double>(widths.size());
    for (const auto& s : stages) {
      double stage = 0;
      for (int d : s.depths) {
        double blocks = 1;
        for (int b = 0; s.kind != block_kind::stem && b < s.fixed_blocks + d; ++b)
          blocks *= static_cast<double>(s.kernels.size() * s.expands.size());
        stage += blocks;
      }
      all *= stage;
    }
    return all;
  }

private:
  /// What a width gene offers: the numbers of the multipliers.
  constexpr choices width_numbers() const {
    choices numbers;
    for (std::size_t i = 0; i < widths.size(); ++i) numbers.push_back(static_cast<std::uint8_t>(i));
    return numbers;
  }
};

} // namespace dynofa
