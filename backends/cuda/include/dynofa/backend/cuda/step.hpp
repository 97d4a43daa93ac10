#pragma once
#include "dynofa/core/activation.hpp"

#include <cstddef>
#include <cstdint>

// What the host decides and the device reads: kernel arguments as plain values. A level is a list of `step`s.
// Nothing here needs CUDA, so the planning is tested on any machine.

namespace dynofa::backend::cuda_detail {

inline constexpr int most_threads = 256; ///< of a thread block
inline constexpr int channel_chunk = 32; ///< channels that one thread block of the fused kernels works on
inline constexpr int most_down = 65535;  ///< thread blocks of a grid's second and third dimension

/// Stem and block 0 in one kernel, or one of the two alone, or of block 0 the depthwise convolution alone.
struct front_args {
  const float* image;     ///< [N][r][r][3], read if `with_stem`
  const void* in;         ///< [N][size][size][C], read if not
  void* out;              ///< [N][size][size][C]
  const void* stem;       ///< [C][32]: output × (row, column, input), padded with zeros
  const float* depthwise; ///< [3·3][depthwise_pitch], of which C are used
  const void* project;    ///< [C][project_pitch]: output × input; null: the depthwise convolution is all
  const float *scale[3], *shift[3];
  std::int32_t image_size, size, channels, tiles_across, depthwise_pitch, project_pitch;
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
  void* gates;           ///< [N][mid]
  std::int32_t parts, hidden, mid_channels, pitch;
};

/// out[m][n] = act(scale[n] · Σ_k a[m][k] · gate[image of m][k] · w[n][k] + shift[n]) + residual[m][n].
struct pointwise_args {
  const void* a;
  const void* w;
  const void* gates;    ///< [images][k], or null
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

/// A k×k convolution of all its input channels (padding k/2), batch norm, activation, then a residual or a shortcut,
/// then another activation. As a matrix product: a row for each output pixel, an inner dimension of taps × channels.
struct convolution_args {
  const void* in; ///< [N][in_size][in_size][in_channels]
  const void* w;  ///< [n][pitch]: output × (tap, input), `tap_pitch` inputs to a tap, of which the first are read
  const float *scale, *shift;
  const void* residual; ///< [m][n], or null; may be `out`
  void* out;            ///< [m][n]
  std::int32_t m, n, in_size, out_size, in_channels, kernel, stride, pitch, tap_pitch;
  float* shares;                     ///< [tiles][splits][tile_m][tile_n], if the inner dimension is split
  std::uint32_t* counters;           ///< [tiles]: of shares that are there; zeros before and after
  std::int32_t tiles_across, stages; ///< tiles of n; steps of the operands that shared memory holds
  std::int32_t splits;               ///< thread blocks that share a tile's inner dimension
  activation act, out_act;           ///< of the norm's output, and of its sum with the residual
};

/// Windows of an image: the maximum of 3×3 ones, or the mean of those that do not overlap; or the mean of it all.
struct window_args {
  const void* in; ///< [N][in_size][in_size][channels]
  void* out;      ///< [N][out_size][out_size][channels]
  std::int32_t images, in_size, out_size, channels, stride;
};

/// What one launch convolves: one layer, or two of a bottleneck that do not wait for each other, or one beside the mean
/// of windows for the shortcut.
struct convolution_launch {
  convolution_args of[2];
  window_args windows;
  std::int32_t second_from, windows_from; ///< thread blocks from there on work on these
};

// What calibration adds (calibration.cuh); all fp32.

/// A depthwise convolution without what follows it.
struct depthwise_args {
  const float* in;   ///< [images][in_size][in_size][channels]
  const float* taps; ///< [k·k][pitch]
  float* out;        ///< [images][out_size][out_size][channels]
  std::int32_t images, in_size, out_size, channels, pitch, kernel, stride;
};
/// x[row][c] = out_act(act(x[row][c] · scale[c] + shift[c]) + residual[row][c]).
struct normalise_args {
  float* x;
  const float *scale, *shift;
  const float* residual; ///< null: none
  std::int64_t rows;
  std::int32_t channels;
  activation act, out_act;
};
/// Σ x and Σ x² of every channel, of each part of the rows.
struct sum_channels_args {
  const float* in; ///< [rows][channels]
  double* parts;   ///< [parts][2][channels]
  std::int64_t rows, rows_of_part;
  std::int32_t channels;
};
struct sum_parts_args {
  const double* parts; ///< [count][values]
  double* out;         ///< [values]
  std::int32_t count, values;
};
struct mean_pool_args {
  const float* in; ///< [images][pixels][channels]
  float* out;      ///< [images][channels]
  std::int32_t pixels, channels;
};

/// A picture on its way to an input (preprocess.cuh): along the rows, down the columns, or both at once.
struct picture_args {
  const std::uint8_t* in;   ///< [·][in_width][3]; down the columns [in_height][out_width][3]
  const std::int32_t* taps; ///< per output of the axis: first input, how many, room for `most_taps` weights
  void* out;                ///< bytes or floats [rows][out_width][3]
  std::int32_t in_height, in_width, rows, out_width, most_taps;
  float mean[3], deviation[3];
};

/// How warps share a tile of a convolution's outputs, and its inner dimension: `warps_m`, `warps_n`, `warps_k` of a
/// pointwise_shape.
#define DYNOFA_FOR_EACH_CONVOLUTION(X)                                                                                 \
  X(convolution_wide, 2, 2, 1)                                                                                         \
  X(convolution_deep, 2, 2, 2)                                                                                         \
  X(convolution_tall, 2, 1, 4)                                                                                         \
  X(convolution_low, 1, 2, 4)                                                                                          \
  X(convolution_small, 1, 1, 4)                                                                                        \
  X(convolution_deepest, 1, 1, 8)

enum class kernel_id : std::uint8_t {
  front,
  expand_depthwise,
  gate,
  pointwise_wide,
  pointwise_narrow,
  pointwise_deep,
  pointwise_deepest,
  vector,
  expand_pool,
#define DYNOFA_VISIT(id, ...) id,
  DYNOFA_FOR_EACH_CONVOLUTION(DYNOFA_VISIT)
#undef DYNOFA_VISIT
      max_pool,
  average_pool,
  depthwise_alone,
  normalise,
  sum_channels,
  sum_parts,
  mean_pool,
  resize_rows,
  resize_columns,
  interpolate
};
enum class precision : std::uint8_t { fp32, fp16 };

/// What planning has to know of a device.
struct device_limits {
  std::size_t shared_bytes; ///< of one thread block
  std::int32_t multiprocessors;
  std::int32_t down = most_down; ///< less only in tests
};

/// One launch.
struct step {
  kernel_id kernel;
  precision values;
  std::uint8_t depthwise_size = 3, stride = 1;
  std::int16_t block = 0; ///< of the plan; for profiles
  std::int32_t threads = 128;
  std::uint32_t grid[3] = {1, 1, 1};
  std::uint32_t shared_bytes = 0;
  union {
    front_args front;
    expand_depthwise_args expand_depthwise;
    gate_args gate;
    pointwise_args pointwise; ///< also of the vector kernel
    expand_pool_args expand_pool;
    convolution_launch convolution;
    window_args window; ///< of both poolings
    depthwise_args depthwise_alone;
    normalise_args normalise;
    sum_channels_args sum_channels;
    sum_parts_args sum_parts;
    mean_pool_args mean_pool;
    picture_args picture; ///< of the last three
  };
};

constexpr std::size_t value_bytes(precision p) { return p == precision::fp16 ? 2 : 4; }
constexpr std::uint32_t bytes_of(precision p, std::int32_t values) {
  return static_cast<std::uint32_t>(values) * static_cast<std::uint32_t>(value_bytes(p));
}
constexpr std::int32_t ceil_div(std::int32_t a, std::int32_t b) { return (a + b - 1) / b; }

// Shared memory of the kernels, computed on the host with the same expressions as in the kernels.

/// Values of the inner dimension that a warp multiplies at a time: 64 bytes.
constexpr int slice_of(precision p) { return p == precision::fp16 ? 32 : 16; }
/// Values from one row of an operand tile to the next: padded so that a warp's reads meet 32 different banks.
constexpr int operand_pitch(precision p, int depth) { return depth + (p == precision::fp16 ? 8 : 4); }
constexpr int padded_depth(precision p, int k) { return (k + slice_of(p) - 1) / slice_of(p) * slice_of(p); }

struct halo {
  std::int32_t height, width;
};
constexpr halo halo_of(int kernel, int stride, int tile_height, int tile_width) {
  return {(tile_height - 1) * stride + kernel, (tile_width - 1) * stride + kernel};
}

/// Weights of 32 channels and a strip of 32 pixels per warp.
constexpr std::uint32_t expand_operands_bytes(precision p, int k, int warps) {
  const int weights = channel_chunk * operand_pitch(p, padded_depth(p, k));
  return bytes_of(p, weights + warps * 32 * operand_pitch(p, slice_of(p)));
}
/// Values from one expanded pixel to the next: such that the two halves of a warp, four outputs apart, read different
/// banks.
constexpr int expanded_pitch(precision p, int stride) {
  return channel_chunk + (p == precision::fp16 && stride == 2 ? 4 : 8);
}
/// Operands of the expansion, then what it made, then the depthwise taps, then sums for the pooling.
struct expand_depthwise_room {
  std::uint32_t expanded, taps, sums, bytes;
  constexpr expand_depthwise_room(precision p, int k, int kernel, int stride, halo h, int warps)
      : expanded{expand_operands_bytes(p, k, warps)}
      , taps{expanded + bytes_of(p, (h.height * h.width * expanded_pitch(p, stride) + 7) / 8 * 8)}
      , sums{taps + static_cast<std::uint32_t>(kernel * kernel * channel_chunk) * 4}
      , bytes{sums + static_cast<std::uint32_t>((2 * warps + 1) * channel_chunk) * 4} {}
};
constexpr std::uint32_t expand_pool_bytes(precision p, int k, int warps) {
  return expand_operands_bytes(p, k, warps) + static_cast<std::uint32_t>(warps * 8 * channel_chunk) * 4;
}

/// How the warps of a pointwise kernel share a tile of outputs, 32×32 each, and its inner dimension.
struct pointwise_shape {
  int warps_m, warps_n, warps_k;
  constexpr int threads() const { return 32 * warps_m * warps_n * warps_k; }
  constexpr int tile_m() const { return 32 * warps_m; }
  constexpr int tile_n() const { return 32 * warps_n; }
  constexpr int outputs() const { return tile_m() * tile_n(); }
  /// Of the inner dimension, per step.
  constexpr int depth(precision p) const { return slice_of(p) * (warps_k == 1 ? 2 : warps_k); }
  constexpr std::uint32_t operand_bytes(precision p) const {
    return bytes_of(p, (tile_m() + tile_n()) * operand_pitch(p, depth(p)));
  }
  /// Operands of so many steps or the tiles of sums, whichever is larger.
  constexpr std::uint32_t bytes(precision p, int stages = 1) const {
    const auto operands = static_cast<std::uint32_t>(stages) * operand_bytes(p);
    const auto sums = static_cast<std::uint32_t>(warps_k * tile_m() * (tile_n() + 4)) * 4;
    return operands > sums ? operands : sums;
  }
};
/// Squeeze-excite gates behind the operands: a row of k for every image that the rows of a tile can touch.
constexpr std::uint32_t gate_rows_bytes(precision p, const pointwise_shape& shape, const pointwise_args& a) {
  if (a.gates == nullptr) return 0;
  const int touched = (shape.tile_m() + a.pixels - 2) / a.pixels + 1, all = ceil_div(a.m, a.pixels);
  return bytes_of(p, (touched < all ? touched : all) * a.k);
}
/// What a launch of convolutions is cut for.
#define DYNOFA_VISIT(id, ...) kernel_id::id,
inline constexpr kernel_id convolution_kernels[] = {DYNOFA_FOR_EACH_CONVOLUTION(DYNOFA_VISIT)};
#undef DYNOFA_VISIT
constexpr bool is_convolution(kernel_id kernel) {
  for (const kernel_id one : convolution_kernels)
    if (one == kernel) return true;
  return false;
}
/// Many outputs: 64×64, or 128×32 where there are few channels. Few: 32×32, the inner dimension shared by 4 or 8 warps.
constexpr pointwise_shape shape_of(kernel_id kernel) {
  switch (kernel) {
  case kernel_id::pointwise_narrow: return {4, 1, 1};
  case kernel_id::pointwise_deep: return {1, 1, 4};
  case kernel_id::pointwise_deepest: return {1, 1, 8};
#define DYNOFA_VISIT(id, m, n, k)                                                                                      \
  case kernel_id::id: return {m, n, k};
    DYNOFA_FOR_EACH_CONVOLUTION(DYNOFA_VISIT)
#undef DYNOFA_VISIT
  default: return {2, 2, 1};
  }
}
/// For the shares of convolutions whose inner dimension thread blocks share: room, and tiles at most.
inline constexpr std::uint32_t split_bytes = 2 << 20, split_tiles = 512;
inline constexpr int most_splits = 8;
inline constexpr int front_tile = 8, front_patch_side = 2 * (front_tile + 2) + 1; ///< of outputs and of the image
inline constexpr int front_depth = 32;                                            ///< 27 values of a window, padded
/// Image, taps, windows, weights of stem and projection, what the stem gives.
struct front_room {
  std::uint32_t taps, windows, stem, project, pixels, bytes;
  constexpr explicit front_room(precision p)
      : taps{(front_patch_side * front_patch_side * 3 + 3) / 4 * 16}
      , windows{taps + 9 * channel_chunk * 4}
      , stem{windows + rows(p, 128)}
      , project{stem + rows(p, channel_chunk)}
      , pixels{project + rows(p, channel_chunk)}
      , bytes{pixels + bytes_of(p, (front_tile + 2) * (front_tile + 2) * expanded_pitch(p, 1))} {}

private:
  static constexpr std::uint32_t rows(precision p, int count) {
    return bytes_of(p, count * operand_pitch(p, front_depth));
  }
};
inline constexpr int average_pool_threads = 128;
/// Sums of 32 channels by each group of threads that reads a pixel's.
constexpr std::uint32_t average_pool_bytes(precision p) {
  return average_pool_threads * 16 / bytes_of(p, channel_chunk) * channel_chunk * 4;
}
/// How the gate kernel cuts its shared memory: hidden layer, its sums by group of threads, 32 rows of weights.
struct gate_room {
  std::int32_t groups, pitch;
  std::uint32_t bytes;
  static constexpr int threads = 256;
  constexpr gate_room(precision p, int hidden)
      : groups{hidden >= 2 * threads ? 1 : threads * 4 / hidden}
      , pitch{operand_pitch(p, hidden)}
      , bytes{static_cast<std::uint32_t>((1 + groups) * hidden * 4) + bytes_of(p, channel_chunk * pitch)} {}
};

} // namespace dynofa::backend::cuda_detail
