#pragma once
#include "dynofa/space/arch.hpp"

#include <array>
#include <cstdint>
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
    if (space.stages.size() != 5 || space.blocks_per_stage() != 4)
      throw fault("5 stages of 4 blocks", text(space.stages.size(), " of ", space.blocks_per_stage()));
    feature_layout layout(space);
    const choices kernels{3, 5, 7}, expands{3, 4, 6};
    for (std::size_t i = 0; i < 20; ++i)
      for (std::size_t c = 0; c < 3; ++c) {
        layout.kernel_[i][kernels[c] >> 1] = static_cast<std::int16_t>(3 * i + c);
        layout.expand_[i][expands[c] - 1] = static_cast<std::int16_t>(60 + 3 * i + c);
      }
    for (const auto& stage : space.stages) {
      for (int k : stage.kernels)
        if (!kernels.contains(static_cast<std::uint8_t>(k))) throw fault("kernels of 3, 5 and 7", std::to_string(k));
      for (int e : stage.expands)
        if (!expands.contains(static_cast<std::uint8_t>(e)))
          throw fault("expand ratios of 3, 4 and 6", std::to_string(e));
    }
    layout.resolution_.assign(240, -1);
    for (int r = 112; r < 240; ++r)
      layout.resolution_[static_cast<std::size_t>(r)] = static_cast<std::int16_t>(120 + (r - 112) / 16);
    for (int r : space.resolutions)
      if (r < 112 || r >= 240) throw fault("resolutions in 112..239", std::to_string(r));
    layout.size_ = 128;
    return layout;
  }

  /// One input per choice that the space offers, in the same order: kernels of all blocks, ratios of all blocks,
  /// resolutions.
  static feature_layout of_space(const space_description& space) {
    feature_layout layout(space);
    std::int16_t next = 0;
    const std::size_t genes = space.block_genes(), per_stage = space.blocks_per_stage();
    for (std::size_t g = 0; g < genes; ++g)
      for (int k : space.stages[g / per_stage].kernels)
        layout.kernel_[g][static_cast<std::size_t>(k >> 1 & 3)] = next++;
    for (std::size_t g = 0; g < genes; ++g)
      for (int e : space.stages[g / per_stage].expands)
        layout.expand_[g][static_cast<std::size_t>((e - 1) & 7)] = next++;
    layout.resolution_.assign(space.resolutions.max() + std::size_t{1}, -1);
    for (int r : space.resolutions) layout.resolution_[static_cast<std::size_t>(r)] = next++;
    layout.size_ = static_cast<std::size_t>(next);
    return layout;
  }

  /// Inputs of the predictor.
  std::size_t size() const { return size_; }

  /// The inputs that are one, ascending within kernels, ratios and resolution. Throws errc::invalid_arch for an
  /// architecture of another form and for choices without an input.
  ones operator()(const arch& a) const {
    if (a.ks.size() != stages_ * per_stage_ || a.e.size() != a.ks.size() || a.d.size() != stages_ ||
        a.r >= resolution_.size())
      refuse(a);
    ones found;
    std::int16_t illegal = resolution_[a.r];
    const auto each = [&](auto column) {
      for (std::size_t s = 0, g = 0; s < stages_; ++s, g = s * per_stage_)
        for (const std::size_t end = g + std::min<std::size_t>(a.d[s], per_stage_); g < end; ++g) {
          const std::int16_t c = column(g);
          illegal = std::min(illegal, c);
          found.push_back(c);
        }
    };
    each([&](std::size_t g) { return kernel_[g][static_cast<std::size_t>(a.ks[g] >> 1 & 3)]; });
    each([&](std::size_t g) { return expand_[g][static_cast<std::size_t>((a.e[g] - 1) & 7)]; });
    found.push_back(resolution_[a.r]);
    if (illegal < 0) refuse(a);
    return found;
  }

private:
  explicit feature_layout(const space_description& space)
      : stages_{space.stages.size()}
      , per_stage_{space.blocks_per_stage()} {
    for (auto& gene : kernel_) gene.fill(-1);
    for (auto& gene : expand_) gene.fill(-1);
  }
  [[noreturn]] static void refuse(const arch& a) {
    throw error(errc::invalid_arch, "features of an architecture", "one that the predictor's space contains", text(a));
  }

  std::size_t stages_, per_stage_, size_ = 0;
  std::array<std::array<std::int16_t, 4>, max_blocks> kernel_;
  std::array<std::array<std::int16_t, 8>, max_blocks> expand_;
  std::vector<std::int16_t> resolution_;
};

} // namespace dynofa
