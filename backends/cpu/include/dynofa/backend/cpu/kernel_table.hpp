#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

// What the hand-written kernels are asked to do: plain structs and one table of function pointers per instruction set.
//
// Activations are blocked by 16 channels: [C/16][H·W][16], channels padded to 16 with zeros. So a pixel's neighbour is
// 64 bytes away, an address known at compile time, whatever the channel count; 16 floats are one AVX-512 register, two
// of AVX2, four of NEON. All extents below are in floats unless they say otherwise.

namespace dynofa::backend::cpu_detail {

/// Channels per block of the layout and per panel of packed weights, on every instruction set.
inline constexpr int lane_block = 16;

constexpr int blocks_of(int channels) { return (channels + lane_block - 1) / lane_block; }
constexpr int padded(int channels) { return blocks_of(channels) * lane_block; }

constexpr std::size_t floats_of(int blocks) { return static_cast<std::size_t>(blocks) * lane_block; }

/// The upper half of a float. Pointwise weights of this type lie in panels of pairs, [panel][k/2][16][2]: the two
/// inputs that one dot-product instruction takes are neighbours, as they are in the activations.
enum class bfloat16 : std::uint16_t {};
/// IEEE half precision, in panels and blocks as fp32. Of weights, which are widened as they are loaded; where an
/// instruction set computes in half precision, of activations too.
enum class float16 : std::uint16_t {};

template <class T>
inline constexpr bool is_bfloat16 = std::is_same_v<T, bfloat16>;
template <class T>
inline constexpr bool is_float16 = std::is_same_v<T, float16>;

/// What an epilogue applies after scale and shift.
enum class epilogue : std::uint8_t { identity, relu, h_swish, h_sigmoid, relu6 };

/// 1×1 convolution of consecutive pixels: in [k][pixels] → out [panels·16][pixels],
/// out = act(Σ in·weight · scale + shift) (+ residual). Sums are fp32 unless Value is float16 (isa_neon_half.hpp);
/// extents are in values.
template <class Value, class Out, class Weight = Value>
struct pointwise_of {
  const Value* in;       ///< first pixel of channel block 0
  std::size_t in_plane;  ///< from one channel block to the next
  const Weight* weights; ///< panels [panel][k][16]
  std::size_t panel;     ///< from one panel to the next
  int k;                 ///< input channels, a multiple of 4
  Out* out;
  std::size_t out_plane;
  const float *scale, *shift;
  const Out* residual; ///< added before the activation, or null; only with `identity` and `relu`
  std::size_t residual_plane;
  const void* ahead;      ///< weights that will be wanted next, or null: one panel is fetched per tile of pixels …
  std::size_t ahead_step; ///< … for each panel of the last group, this far apart
  epilogue act;           ///< `identity` if Out is bfloat16
};
using pointwise_args = pointwise_of<float, float>;
using pointwise_half_args = pointwise_of<float, float, float16>;

/// A 1×1 convolution of bytes over consecutive pixels: in [k][pixels] → sums Σ (in − zero)·weight.
struct byte_product {
  const std::uint8_t* in;     ///< first pixel of channel block 0
  std::size_t in_plane;       ///< bytes from one channel block to the next
  const std::int8_t* weights; ///< panels [panel][k/4][16][4]
  std::size_t panel;
  int k;                           ///< input channels, a multiple of 4
  int zero;                        ///< the code of zero
  const std::int32_t* weight_sums; ///< [panels·16], of each output's weights
  const void* ahead;               ///< as pointwise_of
  std::size_t ahead_step;
};
/// out [panels·16][pixels] = act(sum · scale + shift) (+ residual)
struct byte_product_to_floats {
  byte_product product;
  float* out;
  std::size_t out_plane;
  const float *scale, *shift;
  const float* residual; ///< or null; only with `identity`
  std::size_t residual_plane;
  epilogue act;
};
/// One row of a depthwise convolution's input, in codes: out [panels][1 + pixels/4, rounded up, + 1][16][4].
/// `bytes.inl` says what a quad is.
struct byte_product_to_quads {
  byte_product product;
  std::uint8_t* out;
  std::size_t out_plane;
  const float *scale, *shift, *bend, *zero; ///< per output, in codes
  epilogue act;
};
/// As depthwise_args: in rows of quads → out [rows][16] bytes.
struct depthwise_bytes_args {
  const std::uint8_t* in; ///< rows with a quad of zero codes on both sides
  const std::int32_t* row_offset;
  int in_rows;
  std::uint8_t* out;
  int out_width;
  const std::int8_t* weights;                   ///< [kernel][kernel / 4, rounded up][16][4]
  const std::uint8_t* zero_in;                  ///< [16][4], the code of zero four times
  const float *scale, *shift, *bend, *zero_out; ///< [16]
  float* sum; ///< [16], or null: the sum of all codes before they are rounded is added
  int y0, y1;
  epilogue act;
};

/// k×k depthwise convolution of one block of 16 channels, rows [y0, y1).
template <class In, class Weight = float>
struct depthwise_of {
  const In* in;                   ///< rows with kernel/2 zero pixels on both sides
  const std::int32_t* row_offset; ///< where input row i lies behind `in`: rows may be kept in a ring
  int in_rows;                    ///< of the whole image: rows outside are not there, and cost nothing
  void* out;                      ///< row y0, of float or bfloat16; of float16 if In is
  int out_width;
  const Weight* weights; ///< [kernel·kernel][16]
  const float *scale, *shift;
  float* sum; ///< [16], the sum of all outputs is added: the mean that squeeze-excite wants
  int y0, y1;
  epilogue act;
  bool to_bf16 = false; ///< the type of `out`, unless In is float16
};
using depthwise_args = depthwise_of<float>;

/// k×k convolution of all channels, rows [y0, y1): rows as depthwise_args has them, in [k][rows] → out
/// [panels·16][rows], out = act(Σ in·weight · scale + shift) (+ residual).
struct dense_args {
  const float* in;
  const std::int32_t* row_offset;
  int in_rows;
  std::size_t in_plane;   ///< from one channel block to the next
  const float* weights;   ///< panels [panel][kernel·kernel][k][16]
  std::size_t panel, tap; ///< from one panel, and from one tap, to the next
  int k, kernel, stride;  ///< k: input channels, a multiple of 4
  float* out;             ///< row y0
  std::size_t out_plane;
  int out_width;
  const float *scale, *shift;
  const float* residual; ///< row y0, or null
  std::size_t residual_plane;
  int y0, y1;
  epilogue act;
};

/// A row of tiles of one block of 16 channels for Winograd's F(2×2, 3×3): rows [2·tiles + 2][16] → out
/// [position][tiles][16]. Their first pixel is the one left of the image; rows beyond the border are zeros.
struct winograd_input_args {
  const float* rows[4];
  float* out;
  std::size_t step; ///< from one position to the next
  int tiles;
};
/// And back: in [position][tiles][16] → two rows of out [out_width][16] = act(in · scale + shift) (+ residual).
struct winograd_output_args {
  const float* in;
  std::size_t step;
  float* out;
  std::ptrdiff_t out_row;
  const float* residual; ///< or null
  std::ptrdiff_t residual_row;
  int tiles, out_width, rows; ///< rows: 1 if the second is not wanted
  const float *scale, *shift;
  epilogue act;
};

/// Rows [y0, y1) of windows of one block of 16 channels: in [size][size][16] → out [rows][out_size][16]. Windows are
/// cut off at the border.
struct window_args {
  const float* in;
  float* out; ///< row y0
  int size, out_size, y0, y1, stride;
};

/// One output row of the 3×3 stride-2 convolution of three-channel pixels.
struct stem_args {
  const float* rows[3]; ///< input rows, interleaved RGB, one pixel of padding on the left
  const float* weights; ///< panels [panel][28][16], k = 27 padded to 28
  float* out;
  std::size_t out_plane;
  int out_width, panels;
  const float *scale, *shift;
  epilogue act;
};

/// Matrix-vector product: out [panels·16] = act(Σ in·weight + bias).
struct matvec_args {
  const float* in;
  int k;
  const void* weights; ///< panels [panel][k][16], of float, of half precision or of signed bytes
  std::size_t panel;   ///< in values
  const float* bias;   ///< or null
  float* out;
  int panels;
  epilogue act;
  const float* scale = nullptr; ///< of bytes: what each output's sum is multiplied by
};

/// Batch norm of one block of 16 channels: out [pixels][16] = act(in · scale + shift) (+ residual); `out` may be `in`.
struct normalise_args {
  const float* in;
  float* out;
  int pixels;
  const float *scale, *shift;
  epilogue act;
  const float* residual; ///< or null
  float* centred;        ///< out + offset, or null
  const float* offset;
};

/// Gram matrix of in [blocks][pixels][16]: out [blocks][k = 16·blocks][16] = Σ in[k]·in[channel], where the channel's
/// block is not before that of k: the rest follows from symmetry and is left as it is.
struct gram_args {
  const float* in;
  std::size_t plane; ///< from one block of `in` to the next
  int blocks, pixels;
  float* out;
};

/// Everything of one instruction set that the block drivers call.
struct kernel_table {
  void (*pointwise)(const pointwise_args&, int panels, int pixels);
  void (*pointwise_half)(const pointwise_half_args&, int panels, int pixels);
  void (*depthwise[3][2])(const depthwise_args&); ///< [kernel / 2 − 1][stride − 1]
  void (*dense)(const dense_args&, int panels);
  void (*winograd_input)(const winograd_input_args&);
  void (*winograd_output)(const winograd_output_args&);
  void (*max_windows)(const window_args&);  ///< 3×3 windows, a pixel beyond the border on each side
  void (*mean_windows)(const window_args&); ///< stride×stride windows
  void (*stem)(const stem_args&);
  void (*matvec)(const matvec_args&);
  void (*matvec_half)(const matvec_args&); ///< the same with weights stored as IEEE half precision
  /// out [k][16] = in [k][16] · gate[k]
  void (*scale_rows)(const float* in, const float* gate, float* out, int k);
  void (*scale_rows_half)(const float16* in, const float* gate, float* out, int k);
  void (*widen_half)(const float16* in, float* out, int blocks); ///< 16 · blocks values, exactly
  /// data [pixels][16] *= gate[16]
  void (*scale_pixels)(float* data, const float* gate, int pixels);
  /// out[16] = mean over pixels of in [pixels][16]
  void (*mean)(const float* in, int pixels, float* out);

  // The bf16 levels.
  void (*expand_bf16)(const pointwise_of<bfloat16, float>&, int panels, int pixels);
  void (*project_bf16)(const pointwise_of<bfloat16, bfloat16>&, int panels, int pixels);
  /// out [k/2][16][2] = in · gate[k]
  void (*scale_pairs_bf16)(const bfloat16* in, const float* gate, bfloat16* out, int k);
  void (*scale_pixels_bf16)(bfloat16* data, const float* gate, int pixels);
  void (*narrow)(const float* in, bfloat16* out, int blocks); ///< 16 · blocks values, round to nearest even
  void (*widen)(const bfloat16* in, float* out, int blocks);

  // Calibration's (statistics.inl).
  /// sum[16] and square[16] of in [pixels][16]
  void (*moments)(const float* in, int pixels, float* sum, float* square);
  void (*normalise)(const normalise_args&);
  void (*gram)(const gram_args&);
  /// out[16] = Σ a[k][16]·b[k][16]; k a multiple of 4
  void (*dot)(const float* a, const float* b, int k, float* out);

  // The int8 levels (bytes.inl).
  bool adds_pairs = false; ///< of products in 16 bits: weights follow byte_weight_rule::pairs
  void (*product_to_floats)(const byte_product_to_floats&, int panels, int pixels) = nullptr;
  void (*product_to_quads)(const byte_product_to_quads&, int panels, int pixels) = nullptr;
  void (*depthwise_bytes[3][2])(const depthwise_bytes_args&) = {};
  /// codes of in [blocks][16]
  void (*to_bytes)(const float* in, std::uint8_t* out, int blocks, float inverse, float zero) = nullptr;
  /// data [pixels][16] = data · factor[16] + shift[16]
  void (*rescale_bytes)(std::uint8_t* data, const float* factor, const float* shift, int pixels) = nullptr;
  void (*matvec_bytes)(const matvec_args&) = nullptr;
  int stored_offset = 0; ///< codes that these kernels store and read are less this; those of zero are not

  // Half precision throughout (isa_neon_half.hpp): null where the instruction set has no arithmetic of it.
  void (*pointwise_in_half)(const pointwise_of<float16, float16>&, int panels, int pixels) = nullptr;
  void (*depthwise_in_half[3][2])(const depthwise_of<float16>&) = {};
  void (*mean_of_halves)(const float16* in, int pixels, float* out) = nullptr;
  /// out [k][16] = in [k][16] · gate[k]; k a multiple of 4
  void (*scale_rows_in_half)(const float16* in, const float* gate, float16* out, int k) = nullptr;
  void (*scale_pixels_in_half)(float16* data, const float* gate, int pixels) = nullptr;
  void (*narrow_to_half)(const float* in, float16* out, int blocks) = nullptr; ///< round to nearest even
  bool computes_in_half() const { return pointwise_in_half != nullptr; }
};

} // namespace dynofa::backend::cpu_detail
