#pragma once
#include "dynofa/core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dynofa::data {

/// An 8-bit RGB picture: `pixels` is [height][width][3], row-major, without padding.
struct image {
  ///@{
  /// In pixels; 0 for no picture.
  int height = 0;
  int width = 0;
  ///@}
  std::vector<std::uint8_t> pixels; ///< red, green, blue; 0 … 255

  image() = default;
  /// A black picture. Throws errc::invalid_argument for a side below 1.
  image(int height_, int width_)
      : height{height_}
      , width{width_} {
    if (height < 1 || width < 1)
      throw error(errc::invalid_argument, "image", "sides of at least 1 pixel", text(height, "×", width));
    pixels.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  }

  /// The first of the `width` × 3 bytes of row `y`.
  std::uint8_t* row(int y) { return pixels.data() + row_offset(y); }
  const std::uint8_t* row(int y) const { return pixels.data() + row_offset(y); } ///< the same to read

  bool operator==(const image&) const = default;

private:
  std::size_t row_offset(int y) const { return static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3; }
};

} // namespace dynofa::data
