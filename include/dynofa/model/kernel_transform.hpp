#pragma once
#include "dynofa/model/supernet.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace dynofa {

/// Depthwise kernels of side `to` made from those of side `from`: the centre `to`×`to` of each channel, as a row-major
/// vector x, becomes y = M x, one matrix for all channels of the block (once-for-all's kernel transformation).
///
/// kernels [channels][from·from] → [channels][to·to]; `matrix` [to·to][to·to], row-major. An empty matrix means the
/// plain centre crop. 3×3 comes from the *transformed* 5×5, so go 7 → 5 → 3 step by step.
inline std::vector<float> shrink_kernels(std::span<const float> kernels, int from, int to,
                                         std::span<const float> matrix) {
  const auto before = static_cast<std::size_t>(from), side = static_cast<std::size_t>(to);
  const std::size_t margin = (before - side) / 2, taps = side * side, channels = kernels.size() / (before * before);
  std::vector<float> made(channels * taps), x(taps);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < taps; ++i)
      x[i] = kernels[(c * before + i / side + margin) * before + i % side + margin];
    for (std::size_t i = 0; i < taps; ++i) {
      float& y = made[c * taps + i];
      if (matrix.empty()) y = x[i];
      for (std::size_t j = 0; j < taps && !matrix.empty(); ++j) y += matrix[i * taps + j] * x[j];
    }
  }
  return made;
}

/// Makes the smaller depthwise kernels of every block, 7 → 5 → 3. Where one is to be, its transform matrix lies before;
/// nothing there is the plain centre.
inline void make_smaller_kernels(supernet& net) {
  for (std::size_t i = net.weights.size(); i-- > 0;) {
    const weight_array& w = net.layout.weights[i];
    if (w.made_from < 0) continue;
    const auto from = static_cast<std::size_t>(w.made_from);
    net.weights[i] = shrink_kernels(net.weights[from], net.layout.weights[from].kernel, w.kernel, net.weights[i]);
  }
}

} // namespace dynofa
