#pragma once
#include "dynofa/core/activation.hpp"

#include <cstddef>
#include <cstdint>

// What a backend computes, and nothing else: plain values.

namespace dynofa {

/// The kinds of block a plan is made of, in the order in which a network meets them.
enum class block_kind : std::uint8_t {
  stem,              ///< 3×3 stride-2 convolution of the image, batch norm, activation
  convolution,       ///< k×k convolution, batch norm, activation, [residual]
  max_pool,          ///< maximum of 3×3 windows, two apart
  separable,         ///< depthwise, batch norm, activation, 1×1 projection, batch norm, residual (block 0 of OFA)
  inverted_residual, ///< 1×1 expansion, BN, activation, depthwise, BN, activation, [SE], 1×1 projection, BN, [residual]
  bottleneck, ///< 1×1, BN, activation, k×k, BN, activation, 1×1 projection, BN, plus a shortcut: its input, or that
              ///< averaged over stride × stride windows (the last ones are cut off), 1×1, BN; activation
  final_expand, ///< 1×1 convolution, batch norm, activation, mean over the image: in [N,H,W,C] → out [N,1,1,C']
  average_pool, ///< mean over the image: in [N,H,W,C] → out [N,1,1,C]
  feature_mix,  ///< 1×1 convolution of the pooled vector without batch norm or bias, activation; not in every network
  classifier,   ///< fully connected with bias: logits
};

/// Values of one image [r,r,3].
constexpr std::size_t image_values(int r) { return static_cast<std::size_t>(r) * static_cast<std::size_t>(r) * 3; }

/// One block with its shapes. Images are square, activations `in [N,in_size,in_size,in_channels] →
/// out [N,out_size,out_size,out_channels]`; padding is kernel/2 on every side, so out = (in − 1)/stride + 1.
///
/// A block says all that a backend needs to run it: nothing follows from its kind or its place.
struct block {
  block_kind kind = block_kind::stem;            ///< for sentences and for what is chosen per kind
  activation act = activation::identity;         ///< after every convolution or product but a projection
  activation project_act = activation::identity; ///< after the projection, before the residual is added
  activation out_act = activation::identity;     ///< after the residual or the shortcut is added
  activation se_act = activation::relu;          ///< of squeeze-excite's hidden layer …
  activation se_gate = activation::h_sigmoid;    ///< … and of its gates
  bool residual = false;                         ///< out += in
  bool deepest_only = false;                     ///< runs at the largest depth of the first stage only
  std::int8_t output = -1; ///< which output of the network this is: 0, the logits; from 1 on a named map; −1: none
  std::int8_t width = -1;  ///< which of the architecture's widths the output has; −1: it is fixed
  std::uint8_t kernel = 1; ///< of the stem, the dense or the depthwise convolution: 3, 5 or 7
  std::uint8_t stride = 1; ///< 1 or 2
  std::int16_t unit = 0;   ///< which of the super-network's units the weights come from (model/layout.hpp)
  std::int16_t gene = -1;  ///< which of the architecture's blocks this is; −1: none, it is in every sub-network
  std::int32_t in_size = 0, out_size = 0;                           ///< sides in pixels
  std::int32_t in_channels = 0, mid_channels = 0, out_channels = 0; ///< mid: of a block's k×k convolution, else 0
  std::int32_t se_channels = 0;                                     ///< hidden width of squeeze-excite, 0 for none

  friend constexpr bool operator==(const block&, const block&) = default;

  ///@{
  /// Values of one image.
  constexpr std::int64_t in_values() const { return std::int64_t(in_size) * in_size * in_channels; }
  constexpr std::int64_t out_values() const { return std::int64_t(out_size) * out_size * out_channels; }
  ///@}

  /// Whether what follows works on a vector per image.
  constexpr bool pools() const { return kind == block_kind::final_expand || kind == block_kind::average_pool; }
  /// Whether it has a k×k convolution of all its channels, not of each for itself; the image's apart.
  constexpr bool has_dense() const { return kind == block_kind::convolution || kind == block_kind::bottleneck; }
  /// Whether a bottleneck's shortcut has a convolution of its own.
  constexpr bool projects_shortcut() const { return kind == block_kind::bottleneck && !residual; }

  /// How many batch norms the block has.
  constexpr int norm_count() const {
    switch (kind) {
    case block_kind::bottleneck: return projects_shortcut() ? 4 : 3;
    case block_kind::inverted_residual: return 3;
    case block_kind::separable: return 2;
    case block_kind::stem:
    case block_kind::convolution:
    case block_kind::final_expand: return 1;
    default: return 0;
    }
  }
  /// Which of them is the projection's: those before it have the block's inner channels. −1 without inner channels.
  constexpr int projection_norm() const { return mid_channels == 0 ? -1 : kind == block_kind::separable ? 1 : 2; }
  /// What follows batch norm i of the block.
  constexpr activation norm_act(int i) const { return mid_channels > 0 && i >= projection_norm() ? project_act : act; }
  /// Channels of batch norm i of the block: (expand, k×k, project, [shortcut]), (depthwise, project) or (the one).
  constexpr int norm_channels(int i) const { return i >= projection_norm() ? out_channels : mid_channels; }

  /// Multiply-accumulates of one image: convolutions, squeeze-excite and the classifier; biases, batch norms,
  /// activations and pooling do not count (the rule of once-for-all's flops counter).
  constexpr std::int64_t macs() const {
    const std::int64_t in_area = std::int64_t(in_size) * in_size, out_area = std::int64_t(out_size) * out_size;
    const std::int64_t in = in_channels, mid = mid_channels, out = out_channels, window = kernel * kernel;
    switch (kind) {
    case block_kind::stem:
    case block_kind::convolution: return window * in * out * out_area;
    case block_kind::max_pool:
    case block_kind::average_pool: return 0;
    case block_kind::bottleneck:
      return in * mid * in_area + window * mid * mid * out_area + mid * out * out_area +
             (projects_shortcut() ? in * out * out_area : 0);
    case block_kind::separable: return window * mid * out_area + mid * out * out_area;
    case block_kind::inverted_residual:
      return in * mid * in_area + window * mid * out_area + 2 * mid * se_channels + mid * out * out_area;
    case block_kind::final_expand: return in * out * in_area;
    default: return in * out;
    }
  }
  /// Learnable scalars: weights, biases, batch-norm weight and bias; running statistics do not count.
  constexpr std::int64_t parameters() const {
    const std::int64_t in = in_channels, mid = mid_channels, out = out_channels, window = kernel * kernel;
    switch (kind) {
    case block_kind::stem:
    case block_kind::convolution: return window * in * out + 2 * out;
    case block_kind::max_pool:
    case block_kind::average_pool: return 0;
    case block_kind::bottleneck:
      return in * mid + 2 * mid + window * mid * mid + 2 * mid + mid * out + 2 * out +
             (projects_shortcut() ? in * out + 2 * out : 0);
    case block_kind::separable: return window * mid + 2 * mid + mid * out + 2 * out;
    case block_kind::inverted_residual: {
      const std::int64_t se = se_channels ? 2 * mid * se_channels + se_channels + mid : 0;
      return in * mid + 2 * mid + window * mid + 2 * mid + se + mid * out + 2 * out;
    }
    case block_kind::final_expand: return in * out + 2 * out;
    case block_kind::feature_mix: return in * out;
    default: return in * out + out;
    }
  }
};

/// Channels are multiples of 8, never more than 10 % below the wanted width:
/// n = max(8, ⌊v + 4⌋ / 8 · 8), plus 8 if n < 0.9 v (once-for-all's make_divisible).
constexpr int make_divisible(double v, int divisor = 8) {
  int n = static_cast<int>(v + divisor / 2.0) / divisor * divisor;
  if (n < divisor) n = divisor;
  return n < 0.9 * v ? n + divisor : n;
}

/// Hidden channels of squeeze-excite behind `mid` channels.
constexpr int se_width(int mid) { return make_divisible(mid / 4); }

} // namespace dynofa
