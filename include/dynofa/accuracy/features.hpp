#pragma once
#include "dynofa/space/arch.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// Which of a predictor's inputs are one for an architecture: one per kernel and ratio of each active block, one for
/// the resolution, and where a space has them one per width and one for a deep stem's depth. Inactive blocks give none,
/// so two architectures of the same network have the same features.
class feature_layout {
public:
  /// At most this many ones.
  static constexpr std::size_t max_ones = 2 * max_blocks + 1 + max_widths + 1;
  using ones = inline_vector<std::int16_t, max_ones>; ///< the numbers of the inputs that are one, ascending

  /// The inputs of once-for-all's predictors. Throws errc::invalid_argument for a space that they do not describe.
  ///
  /// MobileNetV3, 128: 60 kernels, 60 ratios (slot 3i + choice of block i), 8 resolutions in bins of 16 from 112 on.
  /// The published predictor was trained on 160 … 224 in steps of 16: 208, 212, 216 and 220 look the same to it, and
  /// what it says below 160 is noise.
  ///
  /// ResNet, 82: 8 resolutions, the stem's residual convolution absent or present, 6 widths, 18 ratios.
  static feature_layout official(const space_description& space) {
    return space.has_deep_stem() ? of_resnet(space) : of_mobilenet(space);
  }

  /// One input per choice that the space offers, in the same order: kernels of all blocks, ratios of all blocks,
  /// resolutions; then widths and the deep stem's depths, where a space has them.
  static feature_layout of_space(const space_description& space) {
    feature_layout layout(space);
    const auto all = [&](const gene& g) {
      return space.offered(g, [](const auto& list) { return ratios(list.begin(), list.end()); });
    };
    layout.add_blocks(space, gene_kind::kernel, all);
    layout.add_blocks(space, gene_kind::expand, all);
    layout.add_resolutions(space.resolutions);
    layout.add_widths(space);
    if (space.has_deep_stem()) layout.add_stem(space.stages[0].depths);
    return layout;
  }

  /// Inputs of the predictor.
  std::size_t size() const { return size_; }

  /// The inputs that are one, ascending within kernels, ratios and resolution. Throws errc::invalid_arch for an
  /// architecture of another form and for choices without an input.
  ones operator()(const arch& a) const {
    if (a.ks.size() != expands_.size() || a.e.size() != a.ks.size() || a.d.size() > stage_blocks_.size() ||
        a.w.size() != widths_.size() || a.r >= resolution_.size())
      refuse(a);
    for (std::size_t s = a.d.size(); s < only_depths_.size(); ++s)
      if (only_depths_[s] == 0) refuse(a);
    ones found;
    std::int16_t illegal = resolution_[a.r];
    const auto add = [&](std::int16_t input) { illegal = std::min(illegal, input), found.push_back(input); };
    const auto each = [&](const std::vector<block_inputs>& inputs, const auto& values) {
      for (std::size_t s = 0, first = 0; s < stage_blocks_.size(); first += stage_blocks_[s++])
        for (std::size_t b = first, end = first + active_blocks(a, s); b < end; ++b) add(inputs[b](values[b]));
    };
    if (!kernels_.empty()) each(kernels_, a.ks);
    each(expands_, a.e);
    found.push_back(resolution_[a.r]);
    for (std::size_t w = 0; w < widths_.size(); ++w) add(widths_[w](a.w[w]));
    if (!stem_.values.empty()) add(stem_(a.d[0]));
    if (illegal < 0) refuse(a);
    return found;
  }

private:
  /// The inputs of one gene: one after the other for its values, which a block's kernel, a width and a depth have
  /// alike.
  struct block_inputs {
    ratios values;
    std::int16_t first = 0;
    std::int16_t operator()(decimal value) const {
      for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] == value) return static_cast<std::int16_t>(first + static_cast<int>(i));
      return -1;
    }
  };

  explicit feature_layout(const space_description& space) {
    for (std::size_t s = 0; s < space.stages.size(); ++s) {
      const choices& depths = space.stages[s].depths;
      stage_blocks_.push_back(static_cast<std::uint8_t>(space.blocks_of(s)));
      fixed_blocks_.push_back(space.stages[s].fixed_blocks);
      only_depths_.push_back(depths.size() == 1 ? depths.front() : std::uint8_t{0});
    }
  }

  /// Blocks of stage s that run, as many as there are at most.
  std::size_t active_blocks(const arch& a, std::size_t s) const {
    const std::size_t depth = s < a.d.size() ? a.d[s] : only_depths_[s];
    return std::min<std::size_t>(fixed_blocks_[s] + depth, stage_blocks_[s]);
  }

  static feature_layout of_mobilenet(const space_description& space) {
    const ratios kernels{3, 5, 7}, expands{3, 4, 6};
    constexpr std::size_t stages = 5, blocks = 4;
    for (std::size_t s = 0; s < space.stages.size(); ++s)
      if (space.stages.size() != stages || space.blocks_of(s) != blocks)
        throw fault("5 stages of 4 blocks", text(space.stages.size(), " of ", space.blocks_of(s)));
    require_choices(space, gene_kind::kernel, kernels, "kernels of 3, 5 and 7");
    require_choices(space, gene_kind::expand, expands, "expand ratios of 3, 4 and 6");
    if (space.width_count() > 0) throw fault("fixed widths", text(space.width_count(), " to choose"));
    for (int r : space.resolutions)
      if (r < 112 || r >= 240) throw fault("resolutions in 112..239", std::to_string(r));
    feature_layout layout(space);
    layout.add_blocks(space, gene_kind::kernel, [&](const gene&) { return kernels; });
    layout.add_blocks(space, gene_kind::expand, [&](const gene&) { return expands; });
    layout.resolution_.assign(240, -1);
    for (int r = 112; r < 240; ++r)
      layout.resolution_[static_cast<std::size_t>(r)] = static_cast<std::int16_t>(layout.size_ + (r - 112u) / 16);
    layout.size_ += 8;
    return layout;
  }
  static feature_layout of_resnet(const space_description& space) {
    const ratios expands{0.2, 0.25, 0.35}, widths{0.65, 0.8, 1};
    constexpr std::uint16_t resolutions[] = {128, 144, 160, 176, 192, 224, 240, 256};
    constexpr std::size_t blocks[] = {0, 4, 4, 6, 4};
    bool fits = space.stages.size() == std::size(blocks) && space.width_count() == std::size(blocks) + 1;
    for (std::size_t s = 0; fits && s < std::size(blocks); ++s) fits = space.blocks_of(s) == blocks[s];
    if (!fits || space.widths != widths)
      throw fault("a deep stem, stages of 4, 4, 6 and 4 blocks, and widths of 0.65, 0.8 and 1 for each", "others");
    require_choices(space, gene_kind::expand, expands, "expand ratios of 0.2, 0.25 and 0.35");
    for (const auto r : space.resolutions)
      if (std::find(std::begin(resolutions), std::end(resolutions), r) == std::end(resolutions))
        throw fault("resolutions of 128, 144, 160, 176, 192, 224, 240 and 256", std::to_string(r));
    feature_layout layout(space);
    layout.add_resolutions(resolutions);
    layout.add_stem({0, 2});
    layout.add_widths(space);
    layout.add_blocks(space, gene_kind::expand, [&](const gene&) { return expands; });
    return layout;
  }
  static error fault(std::string expected, std::string got) {
    return error(errc::invalid_argument, "features of the official predictor", std::move(expected), std::move(got));
  }
  static void require_choices(const space_description& space, gene_kind kind, const ratios& known, const char* what) {
    for (const gene& g : space.genes())
      if (g.kind == kind)
        space.offered(g, [&](const auto& list) {
          for (const auto value : list)
            if (!known.contains(value)) throw fault(what, text(decimal(value)));
        });
  }

  /// `values(gene)`: those of a block's gene that have an input.
  template <class Values>
  void add_blocks(const space_description& space, gene_kind kind, Values values) {
    auto& inputs = kind == gene_kind::kernel ? kernels_ : expands_;
    for (const gene& g : space.genes())
      if (g.kind == kind) inputs.push_back(next(values(g)));
  }
  template <class Resolutions>
  void add_resolutions(const Resolutions& all) {
    resolution_.assign(*std::max_element(std::begin(all), std::end(all)) + std::size_t{1}, -1);
    for (const auto r : all) resolution_[r] = static_cast<std::int16_t>(size_++);
  }
  void add_widths(const space_description& space) {
    ratios numbers;
    for (std::size_t i = 0; i < space.widths.size(); ++i) numbers.push_back(decimal(i));
    for (std::size_t w = 0; w < space.width_count(); ++w) widths_.push_back(next(numbers));
  }
  void add_stem(const choices& depths) { stem_ = next(ratios(depths.begin(), depths.end())); }
  block_inputs next(const ratios& values) {
    const auto first = static_cast<std::int16_t>(size_);
    size_ += values.size();
    return {values, first};
  }

  [[noreturn]] static void refuse(const arch& a) {
    throw error(errc::invalid_arch, "features of an architecture", "one that the predictor's space contains", text(a));
  }

  std::size_t size_ = 0;
  inline_vector<std::uint8_t, max_stages> stage_blocks_, fixed_blocks_;
  inline_vector<std::uint8_t, max_stages> only_depths_; ///< of stages that offer one, which files may leave out; else 0
  std::vector<block_inputs> kernels_, expands_;         ///< by block; no kernels where they have no inputs
  std::vector<std::int16_t> resolution_;                ///< by pixels; −1: none
  std::vector<block_inputs> widths_;                    ///< by number of the multiplier
  block_inputs stem_;                                   ///< of a deep stem's depth
};

} // namespace dynofa
