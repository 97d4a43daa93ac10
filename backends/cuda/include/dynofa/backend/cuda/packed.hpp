#pragma once
#include "dynofa/backend/cuda/step.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/core/half.hpp"
#include "dynofa/model/supernet.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace dynofa::backend::cuda_detail {

/// The super-network in the layout of the GPU kernels, as one block of bytes to copy to the device. Matrices keep the
/// checkpoint's rows, [out][in], with the inner dimension running fastest as tensor cores want it: a sub-network is the
/// front of the first rows; rows of a k×k convolution are [k·k][in], a sub-network's the front of every tap. Vectors
/// and depthwise taps are fp32, [taps][channel], in both precisions.
struct packed_layout {
  struct matrix {
    std::size_t offset = 0; ///< bytes
    std::int32_t pitch = 0; ///< values from row to row
  };
  space_description space;
  network_layout layout;
  precision values = precision::fp32;
  std::vector<matrix> arrays;   ///< as layout.weights
  std::vector<std::byte> bytes; ///< what goes to the device; may be dropped afterwards

  packed_layout(const supernet& net, precision p)
      : space{net.space}
      , layout{net.layout}
      , values{p} {
    for (std::size_t i = 0; i < layout.weights.size(); ++i) {
      const weight_array& w = layout.weights[i];
      const std::vector<float>& from = net.weights[i];
      const weight_extent whole = w.extent();
      if (w.role() == weight_role::depthwise)
        arrays.push_back(add_floats(transposed(from, whole), whole.rows));
      else if (w.shape.size() == 1)
        arrays.push_back(add_floats(from, whole.rows));
      else if (w.shape.size() == 4 && layout.units[static_cast<std::size_t>(w.unit)].kind == block_kind::stem)
        arrays.push_back(add_values(taps_first(w, from, front_depth), front_depth, front_depth, w));
      else if (w.shape.size() == 4)
        arrays.push_back(add_values(taps_first(w, from, whole.pitch), whole.pitch, static_cast<int>(w.shape[1]), w));
      else
        arrays.push_back(add_values(from, whole.pitch, whole.pitch, w));
    }
  }

  /// The array of a block; of its kernel size where there are several. It must have one of this role.
  const matrix& of(const block& b, weight_role role) const { return arrays[layout.find(b, role).value()]; }

private:
  std::byte* room(std::size_t size) {
    const std::size_t at = bytes.size();
    bytes.resize(at + (size + 15) / 16 * 16); // kernels read 16 bytes at a time
    return bytes.data() + at;
  }
  matrix add_floats(const std::vector<float>& from, int pitch) {
    const matrix m{bytes.size(), pitch};
    std::memcpy(room(from.size() * 4), from.data(), from.size() * 4);
    return m;
  }
  matrix add_values(const std::vector<float>& from, int pitch, int channels, const weight_array& w) {
    if (channels % 8 != 0)
      throw error(errc::unsupported, text("cuda backend, ", layout.key(w)), "channels in multiples of 8",
                  text(channels));
    if (values == precision::fp32) return add_floats(from, pitch);
    const matrix m{bytes.size(), pitch};
    auto* to = reinterpret_cast<std::uint16_t*>(room(from.size() * 2));
    const std::string where = "cuda backend, " + layout.key(w);
    std::transform(from.begin(), from.end(), to, [&](float v) { return weight_to_half(v, where); });
    return m;
  }
  static std::vector<float> taps_first(const weight_array& w, const std::vector<float>& from, int depth) {
    return dynofa::taps_first(from, static_cast<std::size_t>(w.shape[1]),
                              static_cast<std::size_t>(w.shape[2] * w.shape[3]), static_cast<std::size_t>(depth));
  }
  static std::vector<float> transposed(const std::vector<float>& from, const weight_extent& e) {
    const auto rows = static_cast<std::size_t>(e.rows), columns = static_cast<std::size_t>(e.columns);
    std::vector<float> to(from.size());
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
    return to;
  }
};

} // namespace dynofa::backend::cuda_detail
