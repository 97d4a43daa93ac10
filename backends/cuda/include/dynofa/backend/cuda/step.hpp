#pragma once
#include "dynofa/core/block.hpp"

#include <cstddef>
#include <cstdint>

// What the host decides and the device reads: kernel arguments as plain values. A level is a list of `step`s.
// Nothing here needs CUDA, so the planning is tested on any machine.

namespace dynofa::backend::cuda_detail {

inline constexpr int threads_per_block = 128;
inline constexpr int channel_chunk = 32; ///< channels that one thread block of the fused kernels works on

/// Stem and block 0 in one kernel, or one of the two alone.
struct front_args {
  const float* image;     ///< [N][r][r][3], read if `with_stem`
  const void* in;         ///< [N][size][size][C], read if not
  void* out;              ///< [N][size][size][C]
  const float* stem;      ///< [3·3·3][C]: (row, column, input) × output
  const float* depthwise; ///< [3·3][C]
  const float* project;   ///< [C][C]: input × output
  const float *scale[3], *shift[3];
  std::int32_t image_size, size, channels, tiles_across;
  activation stem_act, act;
  bool with_stem, with_separable;
};

/// 1×1 expansion, batch norm, activation, depthwise k×k, batch norm, activation; with squeeze-excite also this tile's
/// share of the hidden layer before its activation.
struct expand_depthwise_args {
  const void* in;         ///< [N][in_size][in_size][in_channels]
  const void* expand;     ///< [mid][expand_pitch]
  const float* depthwise; ///< [k·k][depthwise_pitch]
  const void* se_reduce;  ///< [hidden][se_reduce_pitch], or null
  const float *scale[2], *shift[2];
  void* out;       ///< [N][out_size][out_size][mid]
  float* partials; ///< [N][tiles][chunks][hidden]
  std::int32_t in_size, out_size, in_channels, mid_channels, hidden;
  std::int32_t expand_pitch, depthwise_pitch, se_reduce_pitch;
  std::int32_t tile_height, tile_width, tiles_across; ///< of outputs; the width a multiple of 4
  activation act;
};

/// The gates of squeeze-excite: h_sigmoid(W2 · relu(Σ partials + b1) + b2).
struct gate_args {
  const float* partials; ///< [N][parts][hidden]
  const float *reduce_bias, *expand_bias;
  const void* se_expand; ///< [mid][pitch]
  float* gates;          ///< [N][mid]
  std::int32_t parts, hidden, mid_channels, pitch;
};

/// out[m][n] = act(scale[n] · Σ_k a[m][k] · gate[image of m][k] · w[n][k] + shift[n]) + residual[m][n].
struct pointwise_args {
  const void* a;
  const void* w;
  const float* gates;   ///< [images][k], or null
  const float* scale;   ///< null: 1
  const float* shift;   ///< null: 0
  const void* residual; ///< null: none
  void* out;
  std::int32_t m, k, n, pitch, pixels; ///< pixels of one image
  activation act;
  bool float_out; ///< the logits are fp32 whatever the network's precision
};

/// 1×1 convolution, batch norm, activation, mean over the image.
struct expand_pool_args {
  const void* in; ///< [N][pixels][k]
  const void* w;  ///< [n][pitch]
  const float *scale, *shift;
  void* out; ///< [N][n]
  std::int32_t pixels, k, n, pitch;
  activation act;
};

enum class kernel_id : std::uint8_t {
  front,
  expand_depthwise,
  gate,
  pointwise_wide,
  pointwise_deep,
  vector,
  expand_pool
};
enum class precision : std::uint8_t { fp32, fp16 };

/// One launch.
struct step {
  kernel_id kernel;
  precision values;
  std::uint8_t depthwise_size = 3, stride = 1;
  std::int16_t block = 0; ///< of the plan; for profiles
  std::uint32_t grid[3] = {1, 1, 1};
  std::uint32_t shared_bytes = 0;
  union {
    front_args front;
    expand_depthwise_args expand_depthwise;
    gate_args gate;
    pointwise_args pointwise; ///< also of the vector kernel
    expand_pool_args expand_pool;
  };
};

constexpr std::size_t value_bytes(precision p) { return p == precision::fp16 ? 2 : 4; }
constexpr std::int32_t ceil_div(std::int32_t a, std::int32_t b) { return (a + b - 1) / b; }

// Shared memory of the kernels, computed on the host with the same expressions as in the kernels.

inline constexpr int slice = 32; ///< of the inner dimension that a warp multiplies at a time

/// Values from one row of an operand tile to the next: padded so that a warp's reads meet 32 different banks.
constexpr int operand_pitch(precision p, int depth) { return depth + (p == precision::fp16 ? 8 : 4); }
constexpr int padded_depth(int k) { return (k + slice - 1) / slice * slice; }

struct halo {
  std::int32_t height, width;
};
constexpr halo halo_of(int kernel, int stride, int tile_height, int tile_width) {
  return {(tile_height - 1) * stride + kernel, (tile_width - 1) * stride + kernel};
}

constexpr std::uint32_t expand_operands_bytes(precision p, int k) {
  const int weights = channel_chunk * operand_pitch(p, padded_depth(k));
  const int pixels = threads_per_block / 32 * 32 * operand_pitch(p, slice);
  return static_cast<std::uint32_t>(weights + pixels) * static_cast<std::uint32_t>(value_bytes(p));
}
constexpr std::uint32_t expand_depthwise_bytes(precision p, int k, halo h) {
  return expand_operands_bytes(p, k) +
         static_cast<std::uint32_t>(h.height * h.width * channel_chunk) * static_cast<std::uint32_t>(value_bytes(p)) +
         (threads_per_block / 32 + 1) * channel_chunk * 4;
}
constexpr std::uint32_t expand_pool_bytes(precision p, int k) {
  return expand_operands_bytes(p, k) + threads_per_block / 32 * 8 * channel_chunk * 4;
}
/// Operands of one step along k, or the tile of sums, whichever is larger.
constexpr std::uint32_t pointwise_bytes(precision p, bool deep) {
  const int tile = deep ? 32 : 64, depth = deep ? 4 * slice : slice;
  const auto operands =
      static_cast<std::uint32_t>(2 * tile * operand_pitch(p, depth)) * static_cast<std::uint32_t>(value_bytes(p));
  const std::uint32_t sums = 64 * 64 * 4;
  return operands > sums ? operands : sums;
}
inline constexpr int front_tile = 8;
constexpr std::uint32_t front_bytes(int channels) {
  return static_cast<std::uint32_t>(((front_tile + 2) * (front_tile + 2) + front_tile * front_tile) * channels) * 4;
}

} // namespace dynofa::backend::cuda_detail
