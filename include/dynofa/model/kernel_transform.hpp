#pragma once
#include <Eigen/Core>

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
  using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto channels = static_cast<Eigen::Index>(kernels.size()) / (from * from);
  const int margin = (from - to) / 2;
  row_major centre(channels, to * to);
  for (Eigen::Index c = 0; c < channels; ++c)
    for (int y = 0; y < to; ++y)
      for (int x = 0; x < to; ++x)
        centre(c, y * to + x) = kernels[static_cast<std::size_t>(c * from * from + (y + margin) * from + x + margin)];
  if (!matrix.empty()) {
    const Eigen::Map<const row_major> m(matrix.data(), to * to, to * to);
    centre = (centre * m.transpose()).eval();
  }
  return {centre.data(), centre.data() + centre.size()};
}

} // namespace dynofa
