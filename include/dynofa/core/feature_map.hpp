#pragma once
#include "dynofa/core/half.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace dynofa {

/// A map inside a network, [size,size,channels], where the backend left it: a view, valid until the level's workspace
/// runs again.
///
/// Backends keep channels in groups: value (y, x, c) is element
/// `c / group · plane + (y · size + x) · pixel + c % group`. Interleaved maps have one group of all channels.
struct feature_map {
  /// How a value is stored.
  enum class element : std::uint8_t {
    f32,  ///< IEEE 754, 4 bytes
    f16,  ///< IEEE 754, 2 bytes
    bf16, ///< the upper half of an f32
  };

  const void* data = nullptr;       ///< of value (0, 0, 0)
  element type = element::f32;      ///< of every value
  bool on_device = false;           ///< `data` is a GPU's address: `at` and `copy` are for host memory only
  int size = 0, channels = 0;       ///< side in pixels; channels, without those that pad a group
  int group = 1;                    ///< channels that lie side by side
  std::size_t pixel = 0, plane = 0; ///< elements from one pixel, and from one group, to the next

  /// Size · size · channels.
  std::size_t values() const {
    return static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * static_cast<std::size_t>(channels);
  }
  /// One value, widened; indices are not checked. For host memory.
  float at(int y, int x, int c) const {
    const auto i = static_cast<std::size_t>(c / group) * plane + static_cast<std::size_t>(y * size + x) * pixel +
                   static_cast<std::size_t>(c % group);
    switch (type) {
    case element::f16: return half_to_float(static_cast<const std::uint16_t*>(data)[i]);
    case element::bf16: return bfloat16_to_float(static_cast<const std::uint16_t*>(data)[i]);
    default: return static_cast<const float*>(data)[i];
    }
  }
  /// → out [size,size,channels], as long as `values()`
  void copy(std::span<float> out) const {
    std::size_t i = 0;
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x)
        for (int c = 0; c < channels; ++c) out[i++] = at(y, x, c);
  }
};

} // namespace dynofa
