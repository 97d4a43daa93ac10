#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/finite.hpp"
#include "dynofa/data/frame.hpp"
#include "dynofa/data/image.hpp"
#include "dynofa/data/resize.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

// What bytes of R, G and B the pixels of a frame are, by plain rules in integers, so that every machine has the same.

namespace dynofa::data {

/// Y, U and V of a byte each to R, G and B of a byte each:
///
///     R = byte(y · (Y − black) + r_v · (V − 128))
///     G = byte(y · (Y − black) + g_u · (U − 128) + g_v · (V − 128))
///     B = byte(y · (Y − black) + b_u · (U − 128))
///
/// The factors have 16 binary places; byte() rounds half up and clamps to 0 … 255. Grey (U = V = 128) stays grey.
struct yuv_factors {
  int black, y, r_v, g_u, g_v, b_u; ///< as in the formulas
};

/// From the shares of red and blue in the luma that the standards give: BT.601 0.299 and 0.114, BT.709 0.2126 and
/// 0.0722. Limited colours have Y of 16 … 235 and U, V of 16 … 240.
constexpr yuv_factors factors_of(yuv_colours colours) {
  constexpr auto of = [](double red, double blue, bool full) {
    const double green = 1 - red - blue, luma = full ? 1 : 255.0 / 219, chroma = full ? 1 : 255.0 / 224;
    const auto fixed = [](double factor) { return static_cast<int>(factor * 65536 + (factor < 0 ? -0.5 : 0.5)); };
    return yuv_factors{full ? 0 : 16,
                       fixed(luma),
                       fixed(2 * (1 - red) * chroma),
                       fixed(-2 * (1 - blue) * blue / green * chroma),
                       fixed(-2 * (1 - red) * red / green * chroma),
                       fixed(2 * (1 - blue) * chroma)};
  };
  constexpr yuv_factors all[] = {of(0.299, 0.114, false), of(0.2126, 0.0722, false), of(0.299, 0.114, true),
                                 of(0.2126, 0.0722, true)};
  return all[static_cast<std::size_t>(colours)];
}

namespace detail {

/// The values that planar floats may have: one step of a byte beyond their range is taken for its end, since whoever
/// computed them rounded; beyond that they were meant as something else.
struct float_limits {
  float least, most, to_byte; ///< to_byte: their factor to 0 … 255

  explicit float_limits(value_range range)
      : least{range == value_range::unit ? -1.0f / 255 : -1.0f}
      , most{range == value_range::unit ? 256.0f / 255 : 256.0f}
      , to_byte{range == value_range::unit ? 255.0f : 1.0f} {}

  bool contain(float v) const { return v >= least && v <= most; } // false for NaN
};

[[gnu::cold]] inline error value_fault(const frame& f, float value) {
  return error(errc::invalid_argument, f.to_string(),
               text("values of 0 … ", f.range() == value_range::unit ? "1" : "255"), shown(value));
}

/// The pixels `first` … `first + count − 1` of row `y` as RGB bytes. U and V of a pixel are those of the pair, or of
/// the 2 × 2 pixels, that it belongs to: the nearest sample, nothing mixed. Floats are scaled to 0 … 255 and rounded
/// half up. Throws errc::invalid_argument for floats outside their range.
inline void rgb_row(const frame& f, int y, int first, int count, std::uint8_t* to) {
  const auto copy = [&](int step, int red, int green, int blue) {
    const std::uint8_t* from = f.row(y) + std::ptrdiff_t{step} * first;
    for (int x = 0; x < count; ++x, from += step, to += 3) to[0] = from[red], to[1] = from[green], to[2] = from[blue];
  };
  // `luma`: the row's first Y, the next ones `step` apart; `chroma`: its first U, V `v` bytes on, pairs `pair` apart.
  const auto convert = [&](const std::uint8_t* luma, int step, const std::uint8_t* chroma, int v, int pair) {
    const yuv_factors by = factors_of(f.colours());
    const auto byte = [](int sum) { return static_cast<std::uint8_t>(std::clamp(sum >> 16, 0, 255)); };
    for (int x = first; x < first + count;) {
      const std::uint8_t* uv = chroma + std::ptrdiff_t{pair} * (x / 2);
      const int u_part = uv[0] - 128, v_part = uv[v] - 128;
      const int red = by.r_v * v_part, green = by.g_u * u_part + by.g_v * v_part, blue = by.b_u * u_part;
      for (const int end = std::min((x / 2 + 1) * 2, first + count); x < end; ++x, to += 3) {
        const int grey = by.y * (luma[std::ptrdiff_t{step} * x] - by.black) + 32768;
        to[0] = byte(grey + red), to[1] = byte(grey + green), to[2] = byte(grey + blue);
      }
    }
  };
  switch (f.layout()) {
  case pixel_layout::rgb: return copy(3, 0, 1, 2);
  case pixel_layout::bgr: return copy(3, 2, 1, 0);
  case pixel_layout::rgba: return copy(4, 0, 1, 2);
  case pixel_layout::bgra: return copy(4, 2, 1, 0);
  case pixel_layout::grey: return copy(1, 0, 0, 0);
  case pixel_layout::nv12: return convert(f.row(y), 1, f.row(y / 2, 1), 1, 2);
  case pixel_layout::yuyv: return convert(f.row(y), 2, f.row(y) + 1, 2, 4);
  case pixel_layout::rgb_float: break;
  }
  const float_limits limits(f.range());
  for (std::size_t c = 0; c < 3; ++c) {
    const float* from = f.float_row(y, c) + first;
    for (int x = 0; x < count; ++x) {
      if (!limits.contain(from[x])) throw value_fault(f, from[x]);
      const int byte = static_cast<int>(from[x] * limits.to_byte + 0.5f); // what is below 0 becomes 0
      to[3 * static_cast<std::size_t>(x) + c] = static_cast<std::uint8_t>(std::min(byte, 255));
    }
  }
}

/// What a resizer reads of each row of a frame, as RGB bytes: those of RGB where they lie, others in `room` until the
/// next call.
class rgb_rows {
public:
  /// `columns`: ascending runs, rows are given from the first one's beginning. `room`: 3 bytes for each pixel from
  /// there to the last one's end; none are needed for RGB. Refers to all three.
  rgb_rows(const frame& f, std::span<const column_run> columns, std::span<std::uint8_t> room)
      : frame_{f}
      , columns_{columns}
      , room_{room} {}

  const std::uint8_t* operator()(int y) const {
    const int first = columns_.front().first;
    if (frame_.layout() == pixel_layout::rgb) return frame_.row(y) + std::ptrdiff_t{3} * first;
    for (const column_run& run : columns_)
      rgb_row(frame_, y, run.first, run.count, room_.data() + std::ptrdiff_t{3} * (run.first - first));
    return room_.data();
  }

private:
  const frame& frame_;
  std::span<const column_run> columns_;
  std::span<std::uint8_t> room_;
};

} // namespace detail

/// The frame as a picture of the library: what `frame_preprocessor` resizes where it is exact. Allocates the picture.
/// Throws errc::invalid_argument for floats outside their range: 0 … 1 or 0 … 255, and a 255th of that beyond.
inline image to_image(const frame& f) {
  image picture(f.height(), f.width());
  for (int y = 0; y < f.height(); ++y) detail::rgb_row(f, y, 0, f.width(), picture.row(y));
  return picture;
}

} // namespace dynofa::data
