#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/decimal.hpp"

// The words in which a search space and a sub-network are written. Each is an empty type; order never matters.

namespace dynofa {

/// What is legal in one stage, where the stages differ: `kernel_per_stage<offer<3>, offer<3, 5>, …>`.
template <int... Values>
struct offer {};

namespace tag {
struct depth;
struct expand;
struct kernel;
struct resolution;
struct width;
struct stem_width;
struct stem_activation;
struct first_block;
struct stage_widths;
struct stage_blocks;
struct fixed_blocks;
struct stage_kind;
struct deep_stem;
struct strides;
struct activations;
struct squeeze_excite;
struct final_width;
struct mix_width;
struct head_activation;
struct classes;
struct norm_epsilon;
} // namespace tag

// Choices of a space (what an architecture may pick) or of a sub-network (what it picked). In a sub-network one value
// holds for every stage; several give one per stage, or one per block for kernel and expand.

/// Active blocks of a stage. In a space: the offered numbers, `depth<2, 3, 4>`; in a sub-network: `depth<3>` or
/// `depth<2, 3, 4, 2, 2>`.
template <int... Values>
struct depth {
  using tag = tag::depth;
};
/// Expand ratio: channels of a block's depthwise convolution over its input channels; of a bottleneck's k×k convolution
/// over its output channels, `expand<0.2, 0.25, 0.35>`.
template <decimal... Values>
struct expand {
  using tag = tag::expand;
};
/// Side of the depthwise kernel: 3, 5 or 7.
template <int... Values>
struct kernel {
  using tag = tag::kernel;
};
/// Side of the input image in pixels.
template <int... Values>
struct resolution {
  using tag = tag::resolution;
};
/// The same with another offer in every stage.
template <class... Offers>
struct depth_per_stage {
  using tag = tag::depth;
};
/// The same for expand ratios.
template <class... Offers>
struct expand_per_stage {
  using tag = tag::expand;
};
/// The same for kernels.
template <class... Offers>
struct kernel_per_stage {
  using tag = tag::kernel;
};

// The fixed geometry of a network.

/// Multiplies every width below (not the class count), rounded with `make_divisible`. In a space one value fixes the
/// widths; several, the largest of which is 1, are offered: `width<0.65, 0.8, 1.0>`, a choice for the stem and one for
/// each stage. In a sub-network one value holds everywhere; several are one per choice.
template <decimal... Multipliers>
struct width {
  using tag = tag::width;
};
/// Offers the multipliers to all of the network at once, as slimmable networks do.
template <decimal... Multipliers>
struct one_width {
  using tag = tag::width;
};
/// Output channels of the stem; of block 0 too unless `first_block` says otherwise.
template <int Value>
struct stem_width {
  using tag = tag::stem_width;
  static constexpr int value = Value; ///< channels, before the width multiplier
};
/// Of the stem; h-swish without it.
template <activation Value>
struct stem_activation {
  using tag = tag::stem_activation;
  static constexpr activation value = Value; ///< as given
};
/// Block 0, which every sub-network has: output channels, activation, whether its input is added to its output. Without
/// it: the stem's channels, ReLU, and the input is added.
template <int Width, activation Act, bool Residual>
struct first_block {
  using tag = tag::first_block;
  ///@{
  /// As given; the width before the width multiplier.
  static constexpr int width = Width;
  static constexpr activation act = Act;
  static constexpr bool residual = Residual;
  ///@}
};
/// Output channels of each stage.
template <int... Values>
struct stage_widths {
  using tag = tag::stage_widths;
};
/// Blocks of each stage in the super-network, where they differ; the depths on offer are then cut off there. Without
/// it: as many as the largest depth on offer.
template <int... Values>
struct stage_blocks {
  using tag = tag::stage_blocks;
};
/// Blocks of each stage that run whatever its depth; `depth` then counts those beyond, `depth<0, 1, 2>`.
template <int... Values>
struct fixed_blocks {
  using tag = tag::fixed_blocks;
};
/// What the stages consist of: inverted residuals without it, or bottlenecks.
template <block_kind Kind>
struct stage_kind {
  using tag = tag::stage_kind;
  static constexpr block_kind value = Kind; ///< as given
};
/// In place of block 0: a 3×3 convolution with a residual, which runs at the largest depth only, one to this many
/// channels, and a max pool. It has a depth of its own, before those of the stages.
template <int Width, activation Act>
struct deep_stem {
  using tag = tag::deep_stem;
  ///@{
  /// As given; the width before the width multiplier.
  static constexpr int width = Width;
  static constexpr activation act = Act;
  ///@}
};
/// Stride of the first block of each stage: 1 or 2.
template <int... Values>
struct strides {
  using tag = tag::strides;
};
/// Activation of each stage.
template <activation... Values>
struct activations {
  using tag = tag::activations;
};
/// Whether the blocks of each stage have squeeze-excite.
template <bool... Values>
struct squeeze_excite {
  using tag = tag::squeeze_excite;
};
/// Output channels of the last 1×1 convolution before pooling. `final_width<0>`: that of `mix_width` stands before
/// pooling, with a batch norm.
template <int Value>
struct final_width {
  using tag = tag::final_width;
  static constexpr int value = Value; ///< channels, before the width multiplier
};
/// Output channels of the 1×1 convolution before the classifier. `mix_width<0>`: there is none, and pooling alone
/// stands before the classifier.
template <int Value>
struct mix_width {
  using tag = tag::mix_width;
  static constexpr int value = Value; ///< channels, before the width multiplier
};
/// Of both; h-swish without it.
template <activation Value>
struct head_activation {
  using tag = tag::head_activation;
  static constexpr activation value = Value; ///< as given
};
/// Number of classes.
template <int Value>
struct classes {
  using tag = tag::classes;
  static constexpr int value = Value; ///< logits of an image
};

/// What batch norms add to variances, 1e-5 without it.
template <decimal Value>
struct norm_epsilon {
  using tag = tag::norm_epsilon;
  static constexpr double value = Value.value(); ///< as given
};

/// The fixed geometry of a MobileNetV3-like network, before the width multiplier.
template <class... Policies>
struct network {};

/// The network of once-for-all's `ofa_mbv3` super-networks.
using ofa_mobilenet_v3 = network<
    stem_width<16>, stage_widths<24, 40, 80, 112, 160>, strides<2, 2, 2, 1, 2>,
    activations<activation::relu, activation::relu, activation::h_swish, activation::h_swish, activation::h_swish>,
    squeeze_excite<false, true, false, true, true>, final_width<960>, mix_width<1280>, classes<1000>>;

/// The network of once-for-all's `ofa_proxyless` super-networks: ReLU6 everywhere, no squeeze-excite, a sixth stage of
/// one block, and one 1×1 convolution before pooling.
using ofa_proxyless_nas =
    network<stem_width<32>, stem_activation<activation::relu6>, first_block<16, activation::relu6, false>,
            stage_widths<24, 40, 80, 96, 192, 320>, stage_blocks<4, 4, 4, 4, 4, 1>, strides<2, 2, 2, 1, 2, 1>,
            activations<activation::relu6, activation::relu6, activation::relu6, activation::relu6, activation::relu6,
                        activation::relu6>,
            squeeze_excite<false, false, false, false, false, false>, final_width<0>, mix_width<1280>,
            head_activation<activation::relu6>, classes<1000>, norm_epsilon<0.001>>;

/// MobileNetV2, as slimmable networks widen and narrow it: `search_space<mobilenet_v2, one_width<0.35, 0.5, 0.75, 1.0>,
/// resolution<128, 160, 192, 224>>` is that of US-Net, Slimmable networks and MutualNet. The last convolution keeps its
/// 1280 channels.
using mobilenet_v2 =
    network<stem_width<32>, stem_activation<activation::relu6>, first_block<16, activation::relu6, false>,
            stage_widths<24, 32, 64, 96, 160, 320>, stage_blocks<2, 3, 4, 3, 3, 1>, strides<2, 2, 2, 1, 2, 1>,
            activations<activation::relu6, activation::relu6, activation::relu6, activation::relu6, activation::relu6,
                        activation::relu6>,
            squeeze_excite<false, false, false, false, false, false>, depth<4>, expand<6>, kernel<3>, final_width<0>,
            mix_width<1280>, head_activation<activation::relu6>, classes<1000>>;

/// MnasNet as AutoSlim narrows it: kernels and ratios differ from stage to stage.
using mnasnet =
    network<stem_width<32>, stem_activation<activation::relu6>, first_block<16, activation::relu6, false>,
            stage_widths<24, 40, 80, 96, 192, 320>, stage_blocks<3, 3, 3, 2, 4, 1>, strides<2, 2, 2, 1, 2, 1>,
            activations<activation::relu6, activation::relu6, activation::relu6, activation::relu6, activation::relu6,
                        activation::relu6>,
            squeeze_excite<false, false, false, false, false, false>, depth<4>,
            expand_per_stage<offer<3>, offer<3>, offer<6>, offer<6>, offer<6>, offer<6>>,
            kernel_per_stage<offer<3>, offer<5>, offer<5>, offer<3>, offer<5>, offer<3>>, final_width<0>,
            mix_width<1280>, head_activation<activation::relu6>, classes<1000>>;

/// The network of once-for-all's `ofa_resnet50`: ResNet-50D, 3×3 kernels, expand ratios of the output width.
using ofa_resnet50 =
    network<stem_width<32>, stem_activation<activation::relu>, deep_stem<64, activation::relu>,
            stage_kind<block_kind::bottleneck>, stage_widths<256, 512, 1024, 2048>, stage_blocks<4, 4, 6, 4>,
            fixed_blocks<2, 2, 4, 2>, strides<1, 2, 2, 2>,
            activations<activation::relu, activation::relu, activation::relu, activation::relu>,
            squeeze_excite<false, false, false, false>, kernel<3>, final_width<0>, mix_width<0>, classes<1000>>;

} // namespace dynofa
