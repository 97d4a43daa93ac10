#pragma once
#include "dynofa/backend/cuda/step.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/core/half.hpp"
#include "dynofa/model/supernet.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace dynofa::backend::cuda_detail {

/// The super-network in the layout of the GPU kernels, as one block of bytes to copy to the device. Matrices keep the
/// checkpoint's rows, [out][in], with the inner dimension running fastest as tensor cores want it: a sub-network is the
/// front of the first rows. Vectors and depthwise taps are fp32, [taps][channel], in both precisions.
struct packed_layout {
  struct matrix {
    std::size_t offset = 0; ///< bytes
    std::int32_t pitch = 0; ///< values from row to row
  };
  struct elastic_block {
    matrix expand, project, se_reduce, se_expand;
    std::array<matrix, 3> depthwise; ///< k = 3, 5, 7
    matrix se_reduce_bias, se_expand_bias;
  };
  space_description space;
  precision values = precision::fp32;
  matrix stem, final_expand, feature_mix, classifier, classifier_bias;
  std::vector<elastic_block> blocks;
  std::vector<std::byte> bytes; ///< what goes to the device; may be dropped afterwards

  packed_layout(const supernet& net, precision p)
      : space{net.space}
      , values{p} {
    if (space.stem_width > channel_chunk)
      throw error(errc::unsupported, "cuda backend, stem", text("at most ", channel_chunk, " channels"),
                  text(space.stem_width));
    // [out][channel][row][column] → [out][row][column][channel], 27 values padded to 32
    const auto width = static_cast<std::size_t>(space.stem_width), depth = static_cast<std::size_t>(front_depth);
    std::vector<float> turned(depth * width);
    for (std::size_t o = 0; o < width; ++o)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t tap = 0; tap < 9; ++tap) turned[o * depth + tap * 3 + c] = net.stem[o * 27 + c * 9 + tap];
    stem = add_values(turned, front_depth, "stem");
    for (std::size_t i = 0; i < net.blocks.size(); ++i) {
      const block_weights& from = net.blocks[i];
      elastic_block to;
      const std::string name = text("blocks.", i);
      if (!from.expand.empty()) to.expand = add_values(from.expand, from.in_channels, name);
      for (std::size_t k = 0; k < 3; ++k)
        if (!from.depthwise[k].empty())
          to.depthwise[k] = add_floats(transposed(from.depthwise[k], from.mid_channels), from.mid_channels, name);
      if (from.se_channels > 0) {
        to.se_reduce = add_values(from.se_reduce, from.mid_channels, name);
        to.se_reduce_bias = add_floats(from.se_reduce_bias, from.se_channels, name);
        to.se_expand = add_values(from.se_expand, from.se_channels, name);
        to.se_expand_bias = add_floats(from.se_expand_bias, from.mid_channels, name);
      }
      to.project = add_values(from.project, from.mid_channels, name);
      blocks.push_back(to);
    }
    const int last_width = space.stages.size() ? space.stages[space.stages.size() - 1].width : space.stem_width;
    final_expand = add_values(net.final_expand, last_width, "final_expand_layer");
    feature_mix = add_values(net.feature_mix, space.final_width, "feature_mix_layer");
    classifier = add_values(net.classifier, space.mix_width, "classifier");
    classifier_bias = add_floats(net.classifier_bias, space.classes, "classifier");
  }

private:
  std::byte* room(std::size_t size) {
    const std::size_t at = bytes.size();
    bytes.resize(at + (size + 15) / 16 * 16); // kernels read 16 bytes at a time
    return bytes.data() + at;
  }
  matrix add_floats(const std::vector<float>& from, int pitch, const std::string&) {
    const matrix m{bytes.size(), pitch};
    std::memcpy(room(from.size() * 4), from.data(), from.size() * 4);
    return m;
  }
  matrix add_values(const std::vector<float>& from, int pitch, const std::string& name) {
    if (pitch % 8 != 0)
      throw error(errc::unsupported, text("cuda backend, ", name), "channels in multiples of 8", text(pitch));
    if (values == precision::fp32) return add_floats(from, pitch, name);
    const matrix m{bytes.size(), pitch};
    auto* to = reinterpret_cast<std::uint16_t*>(room(from.size() * 2));
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = float_to_half(from[i]);
    return m;
  }
  static std::vector<float> transposed(const std::vector<float>& from, int rows_count) {
    const auto rows = static_cast<std::size_t>(rows_count), columns = from.size() / rows;
    std::vector<float> to(from.size());
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
    return to;
  }
};

} // namespace dynofa::backend::cuda_detail
