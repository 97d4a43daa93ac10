#pragma once
#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/core/half.hpp"
#include "dynofa/model/supernet.hpp"
#include "dynofa/model/supernet_part.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// How weights are stored, and with bf16 the activations between pointwise products too. Sums are fp32 always, and so
/// are stem, depthwise kernels, biases and batch norm.
enum class number_format : std::uint8_t {
  fp32,
  fp16,     ///< 1×1 convolutions, squeeze-excite, feature mix and classifier in IEEE half precision
  lossless, ///< fp16 where each of those weights is a half already, else fp32; a packed network has one of the two
  bf16      ///< as fp16, but the weights and activations of all 1×1 convolutions in bf16
};

/// The super-network as the kernels read it. Pointwise weights lie in panels of 16 output channels,
/// [c_out/16][c_in][16], so that fewer outputs are fewer panels and fewer inputs the front of each panel; depthwise
/// weights as [c/16][k·k][16]; bf16 panels hold pairs of inputs, [c_out/16][c_in/2][16][2]. Every sub-network is a
/// prefix: nothing is copied for a level. Of the blocks it may be a part, which again is a prefix. Immutable, one
/// allocation.
struct packed_supernet {
  /// Panels: where they start and how far apart they are, in values.
  struct panels {
    std::size_t start = 0, step = 0;
  };
  struct elastic_block {
    panels expand, project;          ///< of the type that `format` says
    panels se_reduce, se_expand;     ///< half precision if `half`
    std::array<panels, 3> depthwise; ///< k = 3, 5, 7
    panels se_reduce_bias, se_expand_bias;
  };

  space_description space;
  supernet_part part; ///< what is here of `blocks`
  number_format format = number_format::fp32;
  bool half = false; ///< squeeze-excite, feature mix and classifier are stored in half precision: not fp32
  panels stem, final_expand, feature_mix, classifier, classifier_bias;
  std::vector<elastic_block> blocks;
  aligned_bytes data;

  std::size_t bytes() const { return data.size(); }
  const float* floats(const panels& p) const { return data.as<const float>(p.start); }

  packed_supernet(const supernet& net, number_format stored)
      : packed_supernet{net, stored, supernet_part::all(net)} {}
  /// Only what some plans read. Throws errc::unsupported for weights beyond half precision where they are to be halves.
  packed_supernet(const supernet& net, number_format stored, supernet_part wanted)
      : space{net.space}
      , part{std::move(wanted)}
      , format{stored != number_format::lossless ? stored
               : are_halves(net)                 ? number_format::fp16
                                                 : number_format::fp32}
      , half{format != number_format::fp32} {
    lay_out(net);                 // once to count …
    data = aligned_bytes{cursor}; // … and once to write
    writing = true;
    lay_out(net);
  }

private:
  std::size_t cursor = 0;
  bool writing = false;

  /// Whether 1×1 convolutions, squeeze-excite, feature mix and classifier lose nothing in half precision.
  static bool are_halves(const supernet& net) {
    const auto exact = [](const std::vector<float>& weights) {
      bool all = true;
      for (const float w : weights) all &= is_half(w);
      return all;
    };
    return exact(net.final_expand) && exact(net.feature_mix) && exact(net.classifier) &&
           std::all_of(net.blocks.begin(), net.blocks.end(), [&](const block_weights& b) {
             return exact(b.expand) && exact(b.project) && exact(b.se_reduce) && exact(b.se_expand);
           });
  }

  static std::uint16_t half_of(float w) {
    if (std::abs(w) >= 65520) // would be rounded to infinity
      throw error(errc::unsupported, "cpu backend weights", "weights that fit half precision", text(w));
    return float_to_half(w);
  }

  /// The first `outs` rows of `from` [.][row], of each the first `ins` values, become panels; the order of the inputs
  /// stays. k is padded to the kernels' step of 4.
  panels pack(const std::vector<float>& from, int row, int outs, int ins, number_format as = number_format::fp32) {
    const auto depth = static_cast<std::size_t>(ins + 3) / 4 * 4;
    const panels p{cursor, depth * lane_block};
    if (writing)
      for (int o = 0; o < outs; ++o)
        for (int i = 0; i < ins; ++i) {
          const float w =
              from[static_cast<std::size_t>(o) * static_cast<std::size_t>(row) + static_cast<std::size_t>(i)];
          const std::size_t panel = static_cast<std::size_t>(o / lane_block) * p.step;
          const std::size_t at = panel + static_cast<std::size_t>(i * lane_block + o % lane_block);
          const std::size_t in_pairs =
              panel + static_cast<std::size_t>((i / 2 * lane_block + o % lane_block) * 2 + i % 2);
          switch (as) {
          case number_format::fp16: data.as<std::uint16_t>(cursor)[at] = half_of(w); break;
          case number_format::bf16: data.as<std::uint16_t>(cursor)[in_pairs] = float_to_bfloat16(w); break;
          default: data.as<float>(cursor)[at] = w;
          }
        }
    const std::size_t size = static_cast<std::size_t>(blocks_of(outs)) * p.step * (as == number_format::fp32 ? 4 : 2);
    cursor += (size + 63) / 64 * 64;
    return p;
  }

  void lay_out(const supernet& net) {
    cursor = 0;
    const number_format pointwise = format;
    const number_format vectors = half ? number_format::fp16 : number_format::fp32;
    // [out][channel][row][column] → k in the order (row, column, channel) in which an interleaved image is read
    std::vector<float> stem_weights(net.stem.size());
    for (std::size_t o = 0; o < net.stem.size() / 27; ++o)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t tap = 0; tap < 9; ++tap) stem_weights[o * 27 + tap * 3 + c] = net.stem[o * 27 + c * 9 + tap];
    stem = pack(stem_weights, 27, space.stem_width, 27);
    blocks.resize(net.blocks.size());
    for (std::size_t n = 0; n < blocks.size(); ++n) {
      const block_weights& from = net.blocks[n];
      const supernet_part::block_part& use = part.blocks[n];
      elastic_block& to = blocks[n];
      if (use.mid_channels == 0) continue;
      if (!from.expand.empty())
        to.expand = pack(from.expand, from.in_channels, use.mid_channels, from.in_channels, pointwise);
      for (std::size_t k = 0; k < 3; ++k)
        if (use.depthwise[k] > 0)
          to.depthwise[k] = pack_taps(from.depthwise[k], static_cast<int>(2 * k + 3), use.depthwise[k]);
      if (use.se_channels > 0) {
        to.se_reduce = pack(from.se_reduce, from.mid_channels, use.se_channels, use.mid_channels, vectors);
        to.se_reduce_bias = pack_bias(from.se_reduce_bias, use.se_channels);
        to.se_expand = pack(from.se_expand, from.se_channels, use.mid_channels, use.se_channels, vectors);
        to.se_expand_bias = pack_bias(from.se_expand_bias, use.mid_channels);
      }
      to.project = pack(from.project, from.mid_channels, from.out_channels, use.mid_channels, pointwise);
    }
    const int last_width = space.stages.size() ? space.stages[space.stages.size() - 1].width : space.stem_width;
    final_expand = pack(net.final_expand, last_width, space.final_width, last_width, pointwise);
    feature_mix = pack(net.feature_mix, space.final_width, space.mix_width, space.final_width, vectors);
    classifier = pack(net.classifier, space.mix_width, space.classes, space.mix_width, vectors);
    classifier_bias = pack_bias(net.classifier_bias, space.classes);
  }

  /// The first `channels` of [c][k·k] → [c/16][k·k][16]
  panels pack_taps(const std::vector<float>& from, int k, int channels) {
    const auto taps = static_cast<std::size_t>(k * k);
    const panels p{cursor, taps * lane_block};
    if (writing)
      for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c)
        for (std::size_t t = 0; t < taps; ++t)
          data.as<float>(cursor)[c / lane_block * p.step + t * lane_block + c % lane_block] = from[c * taps + t];
    cursor += static_cast<std::size_t>(blocks_of(channels)) * p.step * 4;
    return p;
  }

  panels pack_bias(const std::vector<float>& from, int count) {
    const panels p{cursor, 0};
    if (writing) std::copy_n(from.begin(), count, data.as<float>(cursor));
    cursor += (static_cast<std::size_t>(count) * 4 + 63) / 64 * 64;
    return p;
  }
};

} // namespace dynofa::backend::cpu_detail
