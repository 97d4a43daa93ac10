#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/image.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

// Pictures that somebody else holds: what a camera, a decoder or a window hands over. Each layout has a view of its
// own, so that BGR given as RGB, or values of 0 … 255 as 0 … 1, is not a matter of wrong classes: the caller has to
// name it.

namespace dynofa::data {

/// How a frame's pixels lie in memory.
enum class pixel_layout : std::uint8_t {
  rgb,       ///< 3 bytes a pixel
  bgr,       ///< 3 bytes a pixel: OpenCV's order
  rgba,      ///< 4 bytes a pixel, the fourth is not read
  bgra,      ///< 4 bytes a pixel, the fourth is not read
  grey,      ///< 1 byte a pixel
  nv12,      ///< a plane of Y, and one of U and V in turn for every 2 × 2 pixels
  yuyv,      ///< Y U Y V for every 2 pixels
  rgb_float, ///< three planes of float
};

/// For people: "NV12".
constexpr std::string_view name_of(pixel_layout layout) {
  constexpr std::string_view names[] = {"RGB", "BGR", "RGBA", "BGRA", "grey", "NV12", "YUYV", "planar float RGB"};
  return names[static_cast<std::size_t>(layout)];
}

/// Which colours Y, U and V mean.
enum class yuv_colours : std::uint8_t {
  bt601,      ///< cameras and standard definition, Y of 16 … 235
  bt709,      ///< high definition, Y of 16 … 235
  bt601_full, ///< JPEG and many webcams, Y of 0 … 255
  bt709_full, ///< Y of 0 … 255
};

/// What the values of a planar float frame lie between.
enum class value_range : std::uint8_t {
  unit, ///< 0 … 1
  byte, ///< 0 … 255
};

/// A view of pixels in one of the layouts that have a single plane of bytes. `stride` is the distance between the
/// beginnings of two rows, in bytes; 0: rows without a gap. The pixels stay the caller's. That view and picture fit
/// each other is checked where a `frame` is made of it.
template <pixel_layout Layout>
struct packed_view {
  std::span<const std::uint8_t> pixels; ///< [height][stride], the last row may end early
  int width, height;                    ///< in pixels
  std::size_t stride = 0;               ///< in bytes
};
using rgb_view = packed_view<pixel_layout::rgb>;   ///< R G B, a byte each
using bgr_view = packed_view<pixel_layout::bgr>;   ///< B G R, as OpenCV has it
using rgba_view = packed_view<pixel_layout::rgba>; ///< the fourth byte is not read
using bgra_view = packed_view<pixel_layout::bgra>; ///< likewise
using grey_view = packed_view<pixel_layout::grey>; ///< one byte a pixel

/// A view of Y U Y V; an odd width has a last U and V all the same. Fields as in `packed_view`.
struct yuyv_view {
  std::span<const std::uint8_t> pixels;     ///< 4 bytes for 2 pixels
  int width, height;                        ///< in pixels
  std::size_t stride = 0;                   ///< in bytes
  yuv_colours colours = yuv_colours::bt601; ///< what Y, U and V mean
};

/// A view of two planes: luma [height][luma_stride] and chroma [(height + 1) / 2][chroma_stride], U and V in turn.
struct nv12_view {
  std::span<const std::uint8_t> luma, chroma;     ///< Y, and U V
  int width, height;                              ///< of luma, in pixels
  std::size_t luma_stride = 0, chroma_stride = 0; ///< in bytes
  yuv_colours colours = yuv_colours::bt601;       ///< what Y, U and V mean
};

/// A view of three planes [height][stride] of float, `stride` in floats. `range` has no default: a network that is fed
/// 0 … 255 for 0 … 1 names classes all the same.
struct rgb_float_view {
  value_range range;                       ///< what the floats lie between
  std::span<const float> red, green, blue; ///< [height][stride] each
  int width, height;                       ///< in pixels
  std::size_t stride = 0;                  ///< in floats
};

/// Any of these views, found to fit its memory. Made of the view without a word: a function that takes a frame takes
/// all layouts. Copies refer to the same pixels, which must outlive them. Cost: a few comparisons, no allocation.
class frame {
public:
  static constexpr int longest_side = 65'535; ///< in pixels

  /// Throws errc::invalid_argument for a side outside 1 … 65535, a stride shorter than a row, or memory that ends
  /// before the last row does.
  template <pixel_layout Layout>
  frame(const packed_view<Layout>& v)
      : frame(Layout, v.width, v.height) {
    add(v.pixels, v.stride, row_values(), v.height);
  }
  /// Likewise.
  frame(const yuyv_view& v)
      : frame(pixel_layout::yuyv, v.width, v.height) {
    colours_ = v.colours;
    add(v.pixels, v.stride, row_values(), v.height);
  }
  /// Likewise.
  frame(const nv12_view& v)
      : frame(pixel_layout::nv12, v.width, v.height) {
    colours_ = v.colours;
    add(v.luma, v.luma_stride, row_values(), v.height);
    add(v.chroma, v.chroma_stride, static_cast<std::size_t>(v.width + 1) / 2 * 2, (v.height + 1) / 2);
  }
  /// Likewise.
  frame(const rgb_float_view& v)
      : frame(pixel_layout::rgb_float, v.width, v.height) {
    range_ = v.range;
    for (const auto plane : {v.red, v.green, v.blue}) add(plane, v.stride, row_values(), v.height);
  }
  /// Of a picture of the library.
  frame(const image& picture)
      : frame(rgb_view{picture.pixels, picture.width, picture.height}) {}
  frame(const image&&) = delete; ///< its pixels would be gone

  pixel_layout layout() const noexcept { return layout_; }  ///< that of the view
  int width() const noexcept { return width_; }             ///< in pixels
  int height() const noexcept { return height_; }           ///< in pixels
  yuv_colours colours() const noexcept { return colours_; } ///< of nv12 and yuyv
  value_range range() const noexcept { return range_; }     ///< of rgb_float

  /// The first value of row `y` of a plane: bytes, or floats of `rgb_float`. Plane 1 of nv12 has half the rows.
  const std::uint8_t* row(int y, std::size_t plane = 0) const noexcept {
    return static_cast<const std::uint8_t*>(planes_[plane].first) + static_cast<std::size_t>(y) * planes_[plane].stride;
  }
  /// Likewise, of rgb_float.
  const float* float_row(int y, std::size_t plane) const noexcept {
    return static_cast<const float*>(planes_[plane].first) + static_cast<std::size_t>(y) * planes_[plane].stride;
  }

  /// For messages: "640×480 NV12".
  std::string to_string() const { return text(width_, "×", height_, " ", name_of(layout_)); }

private:
  struct plane {
    const void* first;
    std::size_t stride; // in values
  };

  frame(pixel_layout layout, int width, int height)
      : layout_{layout}
      , width_{width}
      , height_{height} {
    if (width < 1 || height < 1 || width > longest_side || height > longest_side)
      throw error(errc::invalid_argument, "frame", text("sides of 1 to ", longest_side, " pixels"),
                  text(width, "×", height));
  }

  /// Of one row of the first plane.
  std::size_t row_values() const {
    const auto w = static_cast<std::size_t>(width_);
    switch (layout_) {
    case pixel_layout::rgb:
    case pixel_layout::bgr: return 3 * w;
    case pixel_layout::rgba:
    case pixel_layout::bgra: return 4 * w;
    case pixel_layout::yuyv: return (w + 1) / 2 * 4;
    default: return w;
    }
  }

  template <class Value>
  void add(std::span<const Value> values, std::size_t stride, std::size_t row, int rows) {
    if (stride == 0) stride = row;
    if (stride < row)
      throw error(errc::invalid_argument, to_string(), text("a stride of at least ", row), text(stride));
    // rows ≤ 65535; a stride that would overflow is longer than the memory there is
    const auto gaps = static_cast<std::size_t>(rows - 1);
    if (values.size() < row || (gaps > 0 && stride > (values.size() - row) / gaps))
      throw error(errc::invalid_argument, to_string(),
                  text("memory for ", rows, " rows of ", row, ", ", stride, " apart"), text(values.size(), " values"));
    planes_[planes_used_++] = {values.data(), stride};
  }

  pixel_layout layout_;
  yuv_colours colours_ = yuv_colours::bt601;
  value_range range_ = value_range::unit;
  std::uint8_t planes_used_ = 0;
  int width_, height_;
  std::array<plane, 3> planes_{};
};

} // namespace dynofa::data
