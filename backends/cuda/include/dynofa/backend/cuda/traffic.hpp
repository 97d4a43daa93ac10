#pragma once
#include "dynofa/backend/cuda/step.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dynofa::backend::cuda_detail {

inline std::string_view kernel_name(kernel_id kernel) {
  constexpr std::string_view names[] = {// in the order of the enumeration
                                        "front",
                                        "expand_depthwise",
                                        "gate",
                                        "pointwise_wide",
                                        "pointwise_narrow",
                                        "pointwise_deep",
                                        "pointwise_deepest",
                                        "vector",
                                        "expand_pool",
#define DYNOFA_VISIT(id, ...) #id,
                                        DYNOFA_FOR_EACH_CONVOLUTION(DYNOFA_VISIT)
#undef DYNOFA_VISIT
                                            "max_pool",
                                        "average_pool",
                                        "depthwise_alone",
                                        "normalise",
                                        "sum_channels",
                                        "sum_parts",
                                        "mean_pool",
                                        "resize_rows",
                                        "resize_columns",
                                        "interpolate"};
  return names[static_cast<std::size_t>(kernel)];
}

/// Bytes that a launch cannot avoid moving: each of its operands once. What thread blocks read again, halos and
/// weights, comes on top and mostly from the L2 cache.
inline std::int64_t least_bytes(const step& s) {
  const auto size = static_cast<std::int64_t>(value_bytes(s.values));
  const auto images = [](std::uint32_t n) { return static_cast<std::int64_t>(n); };
  switch (s.kernel) {
  case kernel_id::front: {
    const front_args& a = s.front;
    const std::int64_t out = std::int64_t(a.size) * a.size * a.channels * size;
    return images(s.grid[1]) * (out + (a.with_stem ? std::int64_t(a.image_size) * a.image_size * 12 : out));
  }
  case kernel_id::expand_depthwise: {
    const expand_depthwise_args& a = s.expand_depthwise;
    const std::int64_t in = std::int64_t(a.in_size) * a.in_size * a.in_channels;
    const std::int64_t out = std::int64_t(a.out_size) * a.out_size * a.mid_channels;
    const std::int64_t weights = std::int64_t(a.mid_channels) * (a.in_channels + a.hidden) * size +
                                 std::int64_t(s.depthwise_size) * s.depthwise_size * a.mid_channels * 4;
    const std::int64_t shares = a.hidden * images(s.grid[0]) * s.grid[1] * 4;
    return images(s.grid[2]) * ((in + out) * size + shares) + weights;
  }
  case kernel_id::gate: {
    const gate_args& a = s.gate;
    return std::int64_t(a.mid_channels) * a.hidden * size +
           images(s.grid[1]) * (std::int64_t(a.parts) * a.hidden * 4 + a.mid_channels * size);
  }
  case kernel_id::pointwise_wide:
  case kernel_id::pointwise_narrow:
  case kernel_id::pointwise_deep:
  case kernel_id::pointwise_deepest:
  case kernel_id::vector: {
    const pointwise_args& a = s.pointwise;
    const std::int64_t out = std::int64_t(a.m) * a.n;
    return (std::int64_t(a.m) * a.k + std::int64_t(a.n) * a.k + out * (a.residual ? 2 : 1)) * size +
           (a.gates ? std::int64_t(a.m / a.pixels) * a.k * size : 0);
  }
  case kernel_id::expand_pool: {
    const expand_pool_args& a = s.expand_pool;
    return (images(s.grid[1]) * (std::int64_t(a.pixels) * a.k + a.n) + std::int64_t(a.n) * a.k) * size;
  }
#define DYNOFA_VISIT(id, ...) case kernel_id::id:
    DYNOFA_FOR_EACH_CONVOLUTION(DYNOFA_VISIT)
#undef DYNOFA_VISIT
    {
      std::int64_t values = 0;
      const bool second = s.convolution.second_from < s.convolution.windows_from;
      if (const window_args& w = s.convolution.windows; w.images > 0)
        values += std::int64_t(w.images) * (w.in_size * w.in_size + w.out_size * w.out_size) * w.channels;
      for (int i = 0; i <= int(second); ++i) {
        const convolution_args& a = s.convolution.of[i];
        const std::int64_t out = std::int64_t(a.m) * a.n, in_area = std::int64_t(a.in_size) * a.in_size;
        values += a.m / (a.out_size * a.out_size) * in_area * a.in_channels + out * (a.residual ? 2 : 1) +
                  std::int64_t(a.kernel) * a.kernel * a.in_channels * a.n;
      }
      return values * size;
    }
  case kernel_id::max_pool:
  case kernel_id::average_pool: {
    const window_args& a = s.window;
    return std::int64_t(a.images) * (a.in_size * a.in_size + a.out_size * a.out_size) * a.channels * size;
  }
  case kernel_id::depthwise_alone: {
    const depthwise_args& a = s.depthwise_alone;
    return std::int64_t(a.images) * (a.in_size * a.in_size + a.out_size * a.out_size) * a.channels * 4;
  }
  case kernel_id::normalise:
    return s.normalise.rows * s.normalise.channels * (s.normalise.residual != nullptr ? 12 : 8);
  case kernel_id::sum_channels: return s.sum_channels.rows * s.sum_channels.channels * 4;
  case kernel_id::sum_parts: return std::int64_t(s.sum_parts.count) * s.sum_parts.values * 8;
  case kernel_id::mean_pool: return images(s.grid[1]) * s.mean_pool.pixels * s.mean_pool.channels * 4;
  case kernel_id::resize_rows: return std::int64_t(s.picture.rows) * 3 * (s.picture.in_width + s.picture.out_width);
  case kernel_id::resize_columns:
    return std::int64_t(s.picture.out_width) * 3 * (s.picture.in_height + 4 * s.picture.rows);
  case kernel_id::interpolate:
    return 3 * (std::int64_t(s.picture.in_height) * s.picture.in_width + 4 * s.picture.rows * s.picture.rows);
  }
  return 0;
}

} // namespace dynofa::backend::cuda_detail
