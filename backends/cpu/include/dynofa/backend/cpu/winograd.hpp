#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/core/block.hpp"

#include <cstddef>
#include <vector>

// Winograd's F(2×2, 3×3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016): four
// outputs of a 3×3 convolution by 16 multiplications instead of 36. A tile of 4×4 inputs d and the weights g are
// transformed, multiplied value by value and summed over the channels, which is one matrix product for each of the 16
// positions, and transformed back: Aᵀ [Σ (G g Gᵀ) ⊙ (Bᵀ d B)] A.

namespace dynofa::backend::cpu_detail::winograd {

inline constexpr int positions = 16; ///< of a transformed tile
inline constexpr int taps = 9;

/// Maps so small that the transformed weights, 16/9 as many, take longer to come from memory than is saved.
inline constexpr int least_size = 10;

/// Whether a block's dense convolution is worked out this way.
constexpr bool suits(const block& b) {
  return b.has_dense() && b.kernel == 3 && b.stride == 1 && b.out_size >= least_size;
}

/// weights [convolution][3][3] → [convolution][4][4]: G g Gᵀ.
inline std::vector<float> transformed(const std::vector<float>& weights) {
  const auto along = [](const double(&in)[3], double(&out)[4]) {
    out[0] = in[0], out[3] = in[2];
    out[1] = (in[0] + in[1] + in[2]) / 2, out[2] = (in[0] - in[1] + in[2]) / 2;
  };
  std::vector<float> result;
  result.reserve(weights.size() / taps * positions);
  for (std::size_t at = 0; at < weights.size(); at += taps) {
    double down[3][4]; // of each column of the weights
    for (std::size_t x = 0; x < 3; ++x)
      along({double(weights[at + x]), double(weights[at + 3 + x]), double(weights[at + 6 + x])}, down[x]);
    for (int y = 0; y < 4; ++y) {
      double both[4];
      along({down[0][y], down[1][y], down[2][y]}, both);
      for (const double v : both) result.push_back(static_cast<float>(v));
    }
  }
  return result;
}

/// Tiles across so many columns of outputs, or down so many rows.
constexpr int tiles_of(int outputs) { return (outputs + 1) / 2; }

/// Where the transformed tiles of a band lie: [position][channel blocks][tile][16], positions `step` floats apart.
struct tiles_at {
  std::size_t plane, step;
  constexpr tiles_at(int tiles, int blocks)
      : plane{floats_of(tiles)}
      , step{plane * static_cast<std::size_t>(blocks) + 5 * lane_block} {} // positions in cache sets of their own
  constexpr std::size_t floats() const { return positions * step; }
};

} // namespace dynofa::backend::cpu_detail::winograd
