#pragma once
#include "dynofa/space/arch.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// Which of a predictor's inputs are one for an architecture: one per kernel and ratio of each active block, one for
/// the resolution. Inactive blocks give none, so two architectures of the same network have the same features.
class feature_layout {
public:
  /// At most this many ones.
  static constexpr std::size_t max_ones = 2 * max_blocks + 1;
  using ones = inline_vector<std::int16_t, max_ones>;

  /// once-for-all's 128 inputs: 60 kernels, 60 ratios (slot 3i + choice of block i), 8 resolutions in bins of 16 from
  /// 112 on. The published predictor was trained on 160 … 224 in steps of 16: 208, 212, 216 and 220 look the same to
  /// it, and what it says below 160 is noise. Throws errc::invalid_argument for a space that it does not describe.
  static feature_layout official(const space_description& space) {
    const auto fault = [](std::string expected, std::string got) {
      return error(errc::invalid_argument, "features of the official predictor", std::move(expected), std::move(got));
    };
    constexpr std::size_t stages = 5, blocks = 4;
    for (std::size_t s = 0; s < space.stages.size(); ++s)
      if (space.stages.size() != stages || space.blocks_of(s) != blocks)
        throw fault("5 stages of 4 blocks", text(space.stages.size(), " of ", space.blocks_of(s)));
    const ratios kernels{3, 5, 7}, expands{3, 4, 6};
    for (const gene& g : space.genes()) {
      if (!g.of_block()) continue;
      const bool kernel = g.kind == gene_kind::kernel;
      space.offered(g, [&](const auto& list) {
        for (const auto value : list)
          if (!(kernel ? kernels : expands).contains(value))
            throw fault(kernel ? "kernels of 3, 5 and 7" : "expand ratios of 3, 4 and 6", text(decimal(value)));
      });
    }
    for (int r : space.resolutions)
      if (r < 112 || r >= 240) throw fault("resolutions in 112..239", std::to_string(r));
    feature_layout layout(space, [&](const gene& g) { return g.kind == gene_kind::kernel ? kernels : expands; });
    layout.resolution_.assign(240, -1);
    for (int r = 112; r < 240; ++r)
      layout.resolution_[static_cast<std::size_t>(r)] = static_cast<std::int16_t>(layout.size_ + (r - 112u) / 16);
    layout.size_ += 8;
    return layout;
  }

  /// One input per choice that the space offers, in the same order: kernels of all blocks, ratios of all blocks,
  /// resolutions.
  static feature_layout of_space(const space_description& space) {
    feature_layout layout(space, [&](const gene& g) {
      return space.offered(g, [](const auto& list) { return ratios(list.begin(), list.end()); });
    });
    layout.resolution_.assign(space.resolutions.max() + std::size_t{1}, -1);
    for (int r : space.resolutions)
      layout.resolution_[static_cast<std::size_t>(r)] = static_cast<std::int16_t>(layout.size_++);
    return layout;
  }

  /// Inputs of the predictor.
  std::size_t size() const { return size_; }

  /// The inputs that are one, ascending within kernels, ratios and resolution. Throws errc::invalid_arch for an
  /// architecture of another form and for choices without an input.
  ones operator()(const arch& a) const {
    if (a.ks.size() != kernels_.size() || a.e.size() != expands_.size() || a.d.size() > stage_blocks_.size() ||
        a.r >= resolution_.size())
      refuse(a);
    for (std::size_t s = a.d.size(); s < only_depths_.size(); ++s)
      if (only_depths_[s] == 0) refuse(a);
    ones found;
    std::int16_t illegal = resolution_[a.r];
    const auto each = [&](const std::vector<block_inputs>& inputs, const auto& values) {
      for (std::size_t s = 0, first = 0; s < stage_blocks_.size(); first += stage_blocks_[s++])
        for (std::size_t b = first, end = first + std::min(s < a.d.size() ? a.d[s] : only_depths_[s], stage_blocks_[s]);
             b < end; ++b) {
          const std::int16_t input = inputs[b](values[b]);
          illegal = std::min(illegal, input);
          found.push_back(input);
        }
    };
    each(kernels_, a.ks);
    each(expands_, a.e);
    found.push_back(resolution_[a.r]);
    if (illegal < 0) refuse(a);
    return found;
  }

private:
  /// The inputs of one gene: one after the other for its values.
  struct block_inputs {
    ratios values;
    std::int16_t first = 0;
    std::int16_t operator()(decimal value) const {
      for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] == value) return static_cast<std::int16_t>(first + static_cast<int>(i));
      return -1;
    }
  };

  /// `values(gene)`: those that have an input.
  template <class Values>
  feature_layout(const space_description& space, Values values) {
    for (std::size_t s = 0; s < space.stages.size(); ++s) {
      const choices& depths = space.stages[s].depths;
      stage_blocks_.push_back(static_cast<std::uint8_t>(space.blocks_of(s)));
      only_depths_.push_back(depths.size() == 1 ? depths.front() : std::uint8_t{0});
    }
    for (const gene_kind kind : {gene_kind::kernel, gene_kind::expand})
      for (const gene& g : space.genes())
        if (g.kind == kind) {
          auto& inputs = kind == gene_kind::kernel ? kernels_ : expands_;
          inputs.push_back({values(g), static_cast<std::int16_t>(size_)});
          size_ += inputs.back().values.size();
        }
  }
  [[noreturn]] static void refuse(const arch& a) {
    throw error(errc::invalid_arch, "features of an architecture", "one that the predictor's space contains", text(a));
  }

  std::size_t size_ = 0;
  inline_vector<std::uint8_t, max_stages> stage_blocks_;
  inline_vector<std::uint8_t, max_stages> only_depths_; ///< of stages that offer one, which files may leave out; else 0
  std::vector<block_inputs> kernels_, expands_;         ///< by block
  std::vector<std::int16_t> resolution_;                ///< by pixels; −1: none
};

} // namespace dynofa
