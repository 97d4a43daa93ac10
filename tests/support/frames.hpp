#pragma once
#include "dynofa/data/frame.hpp"
#include "dynofa/data/image.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

// Pictures of the library laid out as cameras and decoders hand them over, for tests and benchmarks. The memory ends
// with the last row's last value, so that the address sanitizer sees a read beyond it.

namespace support {

inline constexpr std::array<dynofa::data::pixel_layout, 8> all_layouts = {
    dynofa::data::pixel_layout::rgb,  dynofa::data::pixel_layout::bgr,      dynofa::data::pixel_layout::rgba,
    dynofa::data::pixel_layout::bgra, dynofa::data::pixel_layout::grey,     dynofa::data::pixel_layout::nv12,
    dynofa::data::pixel_layout::yuyv, dynofa::data::pixel_layout::rgb_float};

/// A picture in the memory of a frame. Y, U and V are those of BT.601 in full range; U and V of neighbours are
/// averaged.
struct laid_out {
  dynofa::data::pixel_layout layout;
  int width, height;
  std::array<std::size_t, 3> stride{};
  std::array<std::vector<std::uint8_t>, 2> bytes;
  std::array<std::vector<float>, 3> floats;
  dynofa::data::yuv_colours colours = dynofa::data::yuv_colours::bt601_full;
  dynofa::data::value_range range = dynofa::data::value_range::unit;

  /// `gap`: values between the end of a row and the next one.
  laid_out(const dynofa::data::image& from, dynofa::data::pixel_layout to, std::size_t gap = 0)
      : layout{to}
      , width{from.width}
      , height{from.height} {
    using enum dynofa::data::pixel_layout;
    const auto w = static_cast<std::size_t>(width), h = static_cast<std::size_t>(height);
    const auto room = [&](std::size_t plane, std::size_t row, std::size_t rows) {
      stride[plane] = row + gap;
      return stride[plane] * (rows - 1) + row;
    };
    switch (to) {
    case rgb:
    case bgr: bytes[0].resize(room(0, 3 * w, h)); break;
    case rgba:
    case bgra: bytes[0].resize(room(0, 4 * w, h)); break;
    case grey: bytes[0].resize(room(0, w, h)); break;
    case yuyv: bytes[0].resize(room(0, (w + 1) / 2 * 4, h)); break;
    case nv12:
      bytes[0].resize(room(0, w, h));
      bytes[1].resize(room(1, (w + 1) / 2 * 2, (h + 1) / 2));
      break;
    case rgb_float:
      for (std::size_t c = 0; c < 3; ++c) floats[c].resize(room(c, w, h));
    }
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) put(from, y, x);
  }

  dynofa::data::frame view() const {
    using namespace dynofa::data;
    switch (layout) {
    case pixel_layout::rgb: return rgb_view{bytes[0], width, height, stride[0]};
    case pixel_layout::bgr: return bgr_view{bytes[0], width, height, stride[0]};
    case pixel_layout::rgba: return rgba_view{bytes[0], width, height, stride[0]};
    case pixel_layout::bgra: return bgra_view{bytes[0], width, height, stride[0]};
    case pixel_layout::grey: return grey_view{bytes[0], width, height, stride[0]};
    case pixel_layout::nv12: return nv12_view{bytes[0], bytes[1], width, height, stride[0], stride[1], colours};
    case pixel_layout::yuyv: return yuyv_view{bytes[0], width, height, stride[0], colours};
    case pixel_layout::rgb_float: break;
    }
    return rgb_float_view{range, floats[0], floats[1], floats[2], width, height, stride[0]};
  }

private:
  static std::uint8_t byte(double v) { return static_cast<std::uint8_t>(std::clamp(v + 0.5, 0.0, 255.0)); }

  /// Mean Y, U and V of the pixels [y, y + rows) × [x, x + columns) that there are.
  static std::array<double, 3> yuv(const dynofa::data::image& from, int y, int x, int rows, int columns) {
    std::array<double, 3> sum{};
    int pixels = 0;
    for (int i = y; i < std::min(y + rows, from.height); ++i)
      for (int j = x; j < std::min(x + columns, from.width); ++j, ++pixels) {
        const std::uint8_t* p = from.row(i) + std::ptrdiff_t{3} * j;
        const double luma = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        sum[0] += luma, sum[1] += 128 + (p[2] - luma) / 1.772, sum[2] += 128 + (p[0] - luma) / 1.402;
      }
    for (double& s : sum) s /= pixels;
    return sum;
  }

  void put(const dynofa::data::image& from, int y, int x) {
    using enum dynofa::data::pixel_layout;
    const std::uint8_t* p = from.row(y) + std::ptrdiff_t{3} * x;
    const auto i = static_cast<std::size_t>(x), row = static_cast<std::size_t>(y) * stride[0];
    std::uint8_t* to = layout == rgb_float ? nullptr : bytes[0].data() + row;
    switch (layout) {
    case rgb: to[3 * i] = p[0], to[3 * i + 1] = p[1], to[3 * i + 2] = p[2]; break;
    case bgr: to[3 * i] = p[2], to[3 * i + 1] = p[1], to[3 * i + 2] = p[0]; break;
    case rgba: to[4 * i] = p[0], to[4 * i + 1] = p[1], to[4 * i + 2] = p[2], to[4 * i + 3] = 99; break;
    case bgra: to[4 * i] = p[2], to[4 * i + 1] = p[1], to[4 * i + 2] = p[0], to[4 * i + 3] = 99; break;
    case grey: to[i] = byte(yuv(from, y, x, 1, 1)[0]); break;
    case nv12: {
      to[i] = byte(yuv(from, y, x, 1, 1)[0]);
      if (y % 2 != 0 || x % 2 != 0) break;
      const auto mean = yuv(from, y, x, 2, 2);
      std::uint8_t* chroma = bytes[1].data() + static_cast<std::size_t>(y / 2) * stride[1] + i;
      chroma[0] = byte(mean[1]), chroma[1] = byte(mean[2]);
      break;
    }
    case yuyv: {
      to[2 * i] = byte(yuv(from, y, x, 1, 1)[0]);
      if (x % 2 != 0) break;
      const auto mean = yuv(from, y, x, 1, 2);
      to[2 * i + 1] = byte(mean[1]), to[2 * i + 3] = byte(mean[2]);
      break;
    }
    case rgb_float:
      for (std::size_t c = 0; c < 3; ++c) floats[c][row + i] = static_cast<float>(p[c]) / 255.0f;
    }
  }
};

} // namespace support
