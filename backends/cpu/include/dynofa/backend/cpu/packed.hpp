#pragma once
#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/winograd.hpp"
#include "dynofa/core/half.hpp"
#include "dynofa/model/byte_weights.hpp"
#include "dynofa/model/supernet.hpp"
#include "dynofa/model/supernet_part.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// How weights are stored, and with bf16, int8 and, where the instruction set has arithmetic of halves, fp16
/// activations inside blocks too. Sums are fp32, and so are stem, depthwise kernels, biases and batch norm, but for the
/// bytes of int8.
///
/// fp16 computed in half precision: all tensors between the stem and the pooled vector are halves, and depthwise
/// kernels, scales, shifts and gates are narrowed when they are used. Sums of up to 128 products are halves, longer
/// ones add such sums in fp32. What goes beyond 65504 becomes infinity, and NaN stays NaN.
enum class number_format : std::uint8_t {
  fp32,
  fp16,     ///< 1×1 convolutions, squeeze-excite, feature mix and classifier in IEEE half precision; computed in half
            ///< precision where kernel_table::computes_in_half and no block is a dense k×k convolution
  lossless, ///< fp16 where each of those weights is a half already, else fp32; a packed network has one of the two
  bf16,     ///< as fp16, but the weights and activations of all 1×1 convolutions in bf16
  int8      ///< inverted residuals and the head in bytes: 1×1 and depthwise convolutions multiply bytes by bytes,
            ///< squeeze-excite, feature mix and classifier floats by bytes; stem and separable block are fp32
};

/// The super-network as the kernels read it. Pointwise weights lie in panels of 16 output channels,
/// [c_out/16][c_in][16], so that fewer outputs are fewer panels and fewer inputs the front of each panel; depthwise
/// weights as [c/16][k·k][16], those of dense k×k convolutions panels tap by tap, [c_out/16][k·k][c_in][16]; bf16
/// panels hold pairs of inputs, [c_out/16][c_in/2][16][2], byte panels fours, [c_out/16][c_in/4][16][4], and depthwise
/// bytes the taps of a row in fours, [c/16][k][k/4, rounded up][16][4]. Every sub-network is a prefix: nothing is
/// copied for a level. Of the blocks it may be a part, which again is a prefix. Immutable, one allocation.
struct packed_supernet {
  /// Panels: where they start and how far apart they are, in values.
  struct panels {
    std::size_t start = 0, step = 0;
    std::size_t tap = 0;   ///< of a k×k convolution: from one tap to the next
    std::size_t steps = 0; ///< of bytes: where their rows' scales start
  };

  space_description space;
  network_layout layout; ///< of the space
  supernet_part part;    ///< what is here of each array
  number_format format = number_format::fp32;
  byte_weight_rule byte_rule = byte_weight_rule::full; ///< of int8
  bool half = false;          ///< squeeze-excite, feature mix and classifier are stored in half precision: not fp32
  bool exact = false;         ///< packed as lossless: halves are widened, whatever the instruction set computes in
  std::vector<panels> arrays; ///< as layout.weights
  std::vector<panels>
      transformed; ///< as layout.weights: the same transformed, where a block may be worked out that way
  aligned_bytes data;

  std::size_t bytes() const { return data.size(); }
  std::uint64_t source() const { return source_; }
  const float* floats(const panels& p) const { return data.as<const float>(p.start); }
  const float* steps(const panels& p) const { return p.steps ? data.as<const float>(p.steps) : nullptr; }

  explicit packed_supernet(const supernet& net, number_format stored, byte_weight_rule rule = byte_weight_rule::full)
      : packed_supernet{net, stored, supernet_part::all(net), rule} {}
  /// Only what some plans read. Throws errc::unsupported for weights beyond half precision where they are to be halves.
  packed_supernet(const supernet& net, number_format stored, supernet_part wanted,
                  byte_weight_rule rule = byte_weight_rule::full)
      : space{net.space}
      , layout{net.layout}
      , part{std::move(wanted)}
      , format{stored != number_format::lossless ? stored
               : are_halves(net)                 ? number_format::fp16
                                                 : number_format::fp32}
      , byte_rule{rule}
      , half{format != number_format::fp32 && format != number_format::int8}
      , exact{stored == number_format::lossless}
      , source_{net.fingerprint()} {
    std::vector<bool> in_tiles(layout.units.size());
    for (const block& b : make_plan(space, largest(space)).blocks)
      in_tiles[static_cast<std::size_t>(b.unit)] = winograd::suits(b);
    lay_out(net, in_tiles);       // once to count …
    data = aligned_bytes{cursor}; // … and once to write
    writing = true;
    lay_out(net, in_tiles);
  }

private:
  std::uint64_t source_; ///< fingerprint of the super-network
  std::size_t cursor = 0;
  bool writing = false;

  /// Whether an int8 level multiplies this array as bytes, and whether by a vector of floats.
  bool is_bytes(const weight_array& w) const {
    if (format != number_format::int8 || w.shape.size() < 2) return false;
    const block_kind kind = layout.units[static_cast<std::size_t>(w.unit)].kind;
    return kind == block_kind::inverted_residual || kind == block_kind::final_expand || multiplies_vector(w);
  }
  bool multiplies_vector(const weight_array& w) const {
    const bool of_image = layout.units[static_cast<std::size_t>(w.unit)].norm_count() > 0;
    return w.shape.size() == 2 &&
           (!of_image || w.role() == weight_role::se_reduce || w.role() == weight_role::se_expand);
  }

  /// The format in which an array is stored. Stem, depthwise kernels and biases are fp32 always; what multiplies one
  /// vector per image has no bf16.
  number_format format_of(const weight_array& w) const {
    const block& unit = layout.units[static_cast<std::size_t>(w.unit)];
    if (w.shape.size() != 2 || format == number_format::int8) return number_format::fp32;
    const bool of_image =
        unit.norm_count() > 0 &&
        (w.role() == weight_role::expand || w.role() == weight_role::output || w.role() == weight_role::shortcut);
    return format == number_format::bf16 && !of_image ? number_format::fp16 : format;
  }
  /// Whether the matrices lose nothing in half precision.
  bool are_halves(const supernet& net) const {
    bool all = true;
    for (std::size_t i = 0; i < net.weights.size() && all; ++i)
      if (layout.weights[i].shape.size() == 2)
        for (const float w : net.weights[i]) all &= is_half(w);
    return all;
  }

  /// The rows of `use` in `from` become panels of `depth` values per row; the order within a row stays. A bias is a
  /// matrix of one column, depthwise kernels one of k·k.
  panels pack(const std::vector<float>& from, const weight_extent& use, int depth, number_format as) {
    const panels p{cursor, floats_of(depth)};
    if (writing)
      for (int o = 0; o < use.rows; ++o)
        for (int i = 0; i < use.columns; ++i) {
          const float w =
              from[static_cast<std::size_t>(o) * static_cast<std::size_t>(use.pitch) + static_cast<std::size_t>(i)];
          const std::size_t panel = static_cast<std::size_t>(o / lane_block) * p.step;
          const std::size_t at = panel + static_cast<std::size_t>(i * lane_block + o % lane_block);
          const std::size_t in_pairs =
              panel + static_cast<std::size_t>((i / 2 * lane_block + o % lane_block) * 2 + i % 2);
          switch (as) {
          case number_format::fp16:
            data.as<std::uint16_t>(cursor)[at] = weight_to_half(w, "cpu backend weights");
            break;
          case number_format::bf16: data.as<std::uint16_t>(cursor)[in_pairs] = float_to_bfloat16(w); break;
          default: data.as<float>(cursor)[at] = w;
          }
        }
    const std::size_t size =
        static_cast<std::size_t>(blocks_of(use.rows)) * p.step * (as == number_format::fp32 ? 4 : 2);
    cursor += (size + 63) / 64 * 64;
    return p;
  }

  /// The same of [out][in][taps], tap by tap.
  panels pack_convolution(const std::vector<float>& from, const weight_extent& use, int depth, int taps) {
    const int inputs = use.columns / taps;
    const auto turned = writing ? taps_first(detail::prefix_of(from, use), static_cast<std::size_t>(inputs),
                                             static_cast<std::size_t>(taps), static_cast<std::size_t>(use.columns))
                                : std::vector<float>{};
    panels p = pack(turned, {use.rows, use.columns, use.columns}, depth, number_format::fp32);
    p.tap = floats_of(inputs);
    return p;
  }

  /// Bytes in panels of so many bytes per row, `at(column)` from the row's first; the rows' steps behind them.
  template <class At>
  panels pack_bytes(const std::vector<float>& from, const weight_extent& use, int depth, int lane_bytes, At at) {
    panels p{cursor, floats_of(depth)};
    const auto panels_here = static_cast<std::size_t>(blocks_of(use.rows));
    p.steps = cursor + (panels_here * p.step + 63) / 64 * 64;
    if (writing) {
      const byte_rows rows(from, use, byte_rule);
      auto* const codes = data.as<std::int8_t>(cursor);
      for (int o = 0; o < use.rows; ++o) {
        const std::size_t row =
            static_cast<std::size_t>(o / lane_block) * p.step + static_cast<std::size_t>(o % lane_block * lane_bytes);
        for (int i = 0; i < use.columns; ++i)
          codes[row + at(i)] = rows.codes[static_cast<std::size_t>(o * use.columns + i)];
        data.as<float>(p.steps)[o] = rows.steps[static_cast<std::size_t>(o)];
      }
    }
    cursor = p.steps + (panels_here * lane_block * sizeof(float) + 63) / 64 * 64;
    return p;
  }
  panels pack_bytes(const std::vector<float>& from, const weight_extent& use, const weight_array& w) {
    if (multiplies_vector(w))
      return pack_bytes(from, use, (use.columns + 3) / 4 * 4, 1,
                        [](int i) { return static_cast<std::size_t>(i) * lane_block; });
    const auto in_fours = [](int i) { return static_cast<std::size_t>(i / 4 * 4 * lane_block + i % 4); };
    if (w.role() != weight_role::depthwise) return pack_bytes(from, use, (use.columns + 3) / 4 * 4, 4, in_fours);
    const int k = w.kernel, row = (k + 3) / 4 * 4;
    return pack_bytes(from, use, k * row, 4, [=](int i) { return in_fours(i / k * row + i % k); });
  }

  /// `in_tiles`: units that may be worked out by Winograd's tiles at the largest resolution.
  void lay_out(const supernet& net, const std::vector<bool>& in_tiles) {
    cursor = 0;
    arrays.resize(net.weights.size());
    transformed.resize(net.weights.size());
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      const weight_array& w = layout.weights[i];
      const weight_extent& use = part.weights[i];
      if (use.rows == 0) continue;
      const bool sums_inputs = w.role() != weight_role::depthwise && w.shape.size() > 1;
      const int depth = sums_inputs ? (use.columns + 3) / 4 * 4 : use.columns; // the kernels' step
      if (is_bytes(w)) {
        arrays[i] = pack_bytes(net.weights[i], use, w);
      } else if (w.shape.size() == 4) {
        arrays[i] = pack_convolution(net.weights[i], use, depth, static_cast<int>(w.shape[2] * w.shape[3]));
        if (!in_tiles[static_cast<std::size_t>(w.unit)]) continue;
        const int columns = use.columns / winograd::taps * winograd::positions;
        const auto tiles =
            writing ? winograd::transformed(detail::prefix_of(net.weights[i], use)) : std::vector<float>{};
        transformed[i] = pack_convolution(tiles, {use.rows, columns, columns}, columns, winograd::positions);
      } else {
        arrays[i] = pack(net.weights[i], use, depth, format_of(w));
      }
    }
  }
};

} // namespace dynofa::backend::cpu_detail
