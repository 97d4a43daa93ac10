#pragma once
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/kernel_table.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

// What calibration does whether tensors are fused or whole. a, b: room for the longest vector.

namespace dynofa::backend::cpu_detail {

/// Adds the sums of raw [pixels][16]: floats over runs, doubles above.
inline void add_moments(const kernel_table& kernels, const float* x, int pixels, double* sums, double* squares) {
  constexpr int run = 256;
  alignas(64) float sum[lane_block], square[lane_block];
  for (int first = 0; first < pixels; first += run) {
    kernels.moments(x + floats_of(first), std::min(run, pixels - first), sum, square);
    for (std::size_t i = 0; i < lane_block; ++i) sums[i] += double(sum[i]), squares[i] += double(square[i]);
  }
}

/// Squeeze-excite's gates in a, where the means of the channels were.
inline void gates_of_means(const kernel_table& kernels, bool half, const step& s, float* a, float* b) {
  const auto matvec = half ? kernels.matvec_half : kernels.matvec;
  matvec(
      {a, s.b.mid_channels, s.se_reduce, s.se_reduce_panel, s.se_reduce_bias, b, blocks_of(s.b.se_channels), s.se_act});
  matvec({b, s.b.se_channels, s.se_expand, s.se_expand_panel, s.se_expand_bias, a, s.mid_blocks, s.se_gate});
}

inline void squeeze_excite(const kernel_table& kernels, bool half, const step& s, float* x, std::size_t plane, float* a,
                           float* b) {
  const int pixels = s.b.out_size * s.b.out_size;
  for (int c = 0; c < s.mid_blocks; ++c)
    kernels.mean(x + static_cast<std::size_t>(c) * plane, pixels, a + floats_of(c));
  gates_of_means(kernels, half, s, a, b);
  for (int c = 0; c < s.mid_blocks; ++c)
    kernels.scale_pixels(x + static_cast<std::size_t>(c) * plane, a + floats_of(c), pixels);
}

/// The logits of the pooled vector in a.
inline void run_head(const kernel_table& kernels, const bound_level& level, float* a, float* b, std::span<float> out) {
  const auto matvec = level.weights->half ? kernels.matvec_half : kernels.matvec;
  for (const step& s : std::span(level.steps).subspan(level.after_pooling)) {
    matvec({a, s.b.in_channels, s.project, s.project_panel, s.output_bias, b, s.out_blocks, s.act});
    std::swap(a, b);
  }
  std::copy_n(a, out.size(), out.begin());
}

} // namespace dynofa::backend::cpu_detail
