#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/frame.hpp"
#include "dynofa/data/frame_to_rgb.hpp"
#include "dynofa/data/preprocess.hpp"
#include "dynofa/data/resize.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

// Resizing for frames of cameras: at most eight rows and eight columns of the frame for a pixel of the network's input,
// in the frame's own layout; Y, U and V become R, G and B after that, once for each pixel of the input.

namespace dynofa::data::detail {

/// Which samples of one axis each output mixes. An output's weights add up to `total`.
struct quick_axis {
  static constexpr std::size_t most = 8;
  struct output {
    std::array<std::int32_t, most> at, weight;
  };
  std::vector<output> outputs;
  int taps = 2; ///< 2, 4, 6 or 8; what lies beyond weighs nothing

  /// Outputs `begin` … `begin + count − 1` of an axis of `in` samples resized to `in / scale`. Enlarging, and where
  /// `antialias` is not asked for, the two nearest samples, edges repeated. Shrinking, Pillow's triangle, which is as
  /// wide as two outputs: all of its samples where they are at most eight (a scale of up to 4), else one in the middle
  /// of each eighth, weighed by its distance. Of four alone, a network at r = 64 lost a point by a frame's noise.
  static quick_axis make(int in, double scale, std::int64_t begin, int count, bool antialias, int total) {
    quick_axis axis;
    axis.taps = !antialias || scale <= 1 ? 2 : scale <= 2 ? 4 : scale <= 3 ? 6 : 8;
    const auto taps = static_cast<std::size_t>(axis.taps);
    const double reach = axis.taps == 2 ? 1 : scale;
    const bool all = 2 * reach <= axis.taps;
    for (std::int64_t i = begin; i < begin + count; ++i) {
      const double centre = std::clamp((static_cast<double>(i) + 0.5) * scale, 0.5, in - 0.5);
      const double first = all ? std::ceil(centre - reach - 0.5) : centre - reach + reach / axis.taps;
      const double step = all ? 1 : 2 * reach / axis.taps;
      output out{};
      std::array<double, most> weight{};
      double sum = 0;
      for (std::size_t t = 0; t < taps; ++t) {
        const int at = static_cast<int>(std::floor(first + static_cast<double>(t) * step));
        const double distance = std::abs(at + 0.5 - centre) / reach;
        weight[t] = at >= 0 && at < in ? std::max(0.0, 1 - distance) : 0;
        out.at[t] = std::clamp(at, 0, in - 1);
        sum += weight[t];
      }
      // What rounding leaves over or takes too much is the heaviest's: a picture of one colour keeps it.
      int left = total;
      for (std::size_t t = 0; t < taps; ++t)
        left -= out.weight[t] = static_cast<std::int32_t>(weight[t] / sum * total + 0.5);
      *std::max_element(out.weight.begin(), out.weight.end()) += left;
      axis.outputs.push_back(out);
    }
    return axis;
  }
};

/// use.operator()<Taps>() with the number of taps as a constant, so that loops over them are written out.
template <class Use>
auto with_taps(int taps, Use&& use) {
  switch (taps) {
  case 2: return use.template operator()<2>();
  case 4: return use.template operator()<4>();
  case 6: return use.template operator()<6>();
  default: return use.template operator()<8>();
  }
}

/// use(t) for every t below `Taps`, written out: at -O2 compilers leave short loops as they are.
template <std::size_t Taps, class Use>
void for_each_tap(Use&& use) {
  [&]<std::size_t... T>(std::index_sequence<T...>) { (use(T), ...); }
  (std::make_index_sequence<Taps>());
}

template <class Value>
using tap_rows = std::array<const Value*, quick_axis::most>;

using quad = float __attribute__((vector_size(16)));

inline quad quad_at(const float* from) {
  quad q;
  std::memcpy(&q, from, sizeof q);
  return q;
}

/// Where `mix_rows` puts the sum of byte `i`: of every sixteen first those at even places, then the others.
constexpr std::size_t mixed_place(std::size_t i) {
  const bool later = (i % 2 == 1) == (std::endian::native == std::endian::little);
  return i / 16 * 16 + (later ? 8 : 0) + i % 16 / 2;
}

/// sum[mixed_place(i)] = Σ row[t][i] · weight[t]: bytes with weights that add up to 256, so that a sum fits 16 bits.
/// Sixteen bytes are eight words, each with one byte below and one above: a mask and a shift take them apart, where
/// keeping their order would take a shuffle for each half. `sum` has room for `count` rounded up to sixteen.
template <std::size_t Taps>
void mix_rows(const tap_rows<std::uint8_t>& row, const std::array<std::int32_t, quick_axis::most>& weight,
              std::size_t count, std::uint16_t* sum) {
  using words = std::uint16_t __attribute__((vector_size(16)));
  words by[Taps];
  for (std::size_t t = 0; t < Taps; ++t) by[t] = words{} + static_cast<std::uint16_t>(weight[t]);
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    words below{}, above{};
    for_each_tap<Taps>([&](std::size_t t) {
      words w;
      std::memcpy(&w, row[t] + i, sizeof w);
      below += (w & 255) * by[t], above += (w >> 8) * by[t];
    });
    std::memcpy(sum + i, &below, sizeof below);
    std::memcpy(sum + i + 8, &above, sizeof above);
  }
  for (; i < count; ++i) {
    std::int32_t mixed = 0;
    for (std::size_t t = 0; t < Taps; ++t) mixed += row[t][i] * weight[t];
    sum[mixed_place(i)] = static_cast<std::uint16_t>(mixed);
  }
}

/// sum[i] = Σ row[t][i] · weight[t] of floats. Whether all that was read lies within the limits.
template <std::size_t Taps>
bool mix_rows(const tap_rows<float>& row, const std::array<std::int32_t, quick_axis::most>& weight, std::size_t count,
              const float_limits& limits, float* sum) {
  float by[Taps];
  for (std::size_t t = 0; t < Taps; ++t) by[t] = static_cast<float>(weight[t]);
  using flags = std::int32_t __attribute__((vector_size(16)));
  flags within = flags{} - 1;
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    quad mixed{};
    for_each_tap<Taps>([&](std::size_t t) {
      const quad v = quad_at(row[t] + i);
      within &= (v >= limits.least) & (v <= limits.most); // false for NaN
      mixed += v * by[t];
    });
    std::memcpy(sum + i, &mixed, sizeof mixed);
  }
  bool good = (within[0] & within[1] & within[2] & within[3]) != 0;
  for (; i < count; ++i) {
    sum[i] = 0;
    for (std::size_t t = 0; t < Taps; ++t) good &= limits.contain(row[t][i]), sum[i] += row[t][i] * by[t];
  }
  return good;
}

/// A rule for frames of one layout and size and one resolution, as `preprocessing_plan`, but quick. For each row of the
/// input: the rows that it mixes, mixed along their whole length where they lie; from that line each pixel's columns,
/// channel by channel; then colour and normalisation, one multiplication and addition for each value of RGB.
class quick_resizer {
public:
  /// Throws errc::invalid_argument as `preprocessing_plan` does.
  quick_resizer(const preprocessing& rule, pixel_layout layout, int height, int width, int r)
      : rule_{rule}
      , r_{r} {
    window view{0, 0, r, r};
    double scale_down = double(height) / r, scale_across = double(width) / r;
    const bool antialias = rule.mode == preprocessing_mode::imagenet_crop;
    if (antialias) {
      const image_size size = rule.resized_size(height, width, r);
      view = centre_window(size, r);
      scale_down = double(height) / double(size.height), scale_across = double(width) / double(size.width);
    }
    // U and V of half the resolution are an axis of half as many samples, each in the middle of its two pixels.
    const auto axis = [&](int in, double scale, std::int64_t begin, bool half, int total) {
      return half ? quick_axis::make((in + 1) / 2, scale / 2, begin, r, antialias, total)
                  : quick_axis::make(in, scale, begin, r, antialias, total);
    };
    const auto add_line = [&](std::size_t plane, bool half) {
      lines_.push_back({plane, axis(height, scale_down, view.top, half, down_total), 0, 0, 0});
    };
    // A channel of the last line: `step` values from sample to sample.
    const auto add_channel = [&](int offset, int step, bool half) {
      channels_.push_back({lines_.size() - 1, axis(width, scale_across, view.left, half, across_total), {}});
      for (auto& output : channels_.back().across.outputs)
        for (auto& at : output.at) at = at * step + offset;
    };
    switch (layout) {
    case pixel_layout::rgb:
    case pixel_layout::bgr:
    case pixel_layout::rgba:
    case pixel_layout::bgra: {
      const int step = layout == pixel_layout::rgb || layout == pixel_layout::bgr ? 3 : 4;
      const bool blue_first = layout == pixel_layout::bgr || layout == pixel_layout::bgra;
      add_line(0, false);
      for (int c = 0; c < 3; ++c) add_channel(blue_first ? 2 - c : c, step, false);
      break;
    }
    case pixel_layout::grey:
      add_line(0, false);
      add_channel(0, 1, false);
      break;
    case pixel_layout::nv12:
      add_line(0, false);
      add_channel(0, 1, false);
      add_line(1, true);
      for (int c = 0; c < 2; ++c) add_channel(c, 2, true);
      break;
    case pixel_layout::yuyv:
      add_line(0, false);
      add_channel(0, 2, false);
      for (int c : {1, 3}) add_channel(c, 4, true);
      break;
    case pixel_layout::rgb_float:
      for (std::size_t c = 0; c < 3; ++c) {
        add_line(c, false);
        add_channel(0, 1, false);
      }
    }
    prepare_lines(layout);
  }

  /// f → out [r,r,3]. The frame has the layout and size that this was made for, `out` r·r·3 values. Throws
  /// errc::invalid_argument for floats outside their range, of those that are read; part of `out` is written then.
  void apply(const frame& f, std::span<float> out) {
    if (f.layout() == pixel_layout::rgb_float)
      run(f, float_sums_, out);
    else
      run(f, byte_sums_, out);
  }

private:
  static constexpr int down_total = 256, across_total = 1 << 15; // the sum of a channel fits 31 bits
  static constexpr float unit = 1.0f / (float(down_total) * float(across_total));

  /// Rows of a plane, mixed: the values `first` … `first + count − 1` of them.
  struct line {
    std::size_t plane;
    quick_axis down;
    std::size_t first, count, offset; ///< offset: where it begins in the sums
  };
  struct channel {
    std::size_t line;
    quick_axis across; ///< `at`: in values from the beginning of the line
    std::vector<float> values;
  };

  void prepare_lines(pixel_layout layout) {
    std::size_t values = 0;
    for (std::size_t l = 0; l < lines_.size(); ++l) {
      std::int32_t first = INT32_MAX, last = 0;
      const auto each_place = [&](auto use) {
        for (channel& c : channels_)
          if (c.line == l)
            for (auto& output : c.across.outputs)
              for (std::size_t t = 0; t < static_cast<std::size_t>(c.across.taps); ++t) use(output.at[t]);
      };
      each_place([&](std::int32_t at) { first = std::min(first, at), last = std::max(last, at); });
      each_place([&](std::int32_t& at) {
        const auto i = static_cast<std::size_t>(at - first);
        at = static_cast<std::int32_t>(layout == pixel_layout::rgb_float ? i : mixed_place(i));
      });
      lines_[l].first = static_cast<std::size_t>(first);
      lines_[l].count = static_cast<std::size_t>(last - first) + 1;
      lines_[l].offset = values;
      values += (lines_[l].count + 15) / 16 * 16;
    }
    for (channel& c : channels_) c.values.resize((static_cast<std::size_t>(r_) + 3) / 4 * 4);
    if (layout == pixel_layout::rgb_float)
      float_sums_.resize(values);
    else
      byte_sums_.resize(values);
  }

  template <class Sum>
  void run(const frame& f, std::vector<Sum>& sums, std::span<float> out) {
    const finish to_rgb(rule_, f);
    for (std::size_t y = 0; y < static_cast<std::size_t>(r_); ++y) {
      for (const line& l : lines_) mix(f, l, l.down.outputs[y], sums.data() + l.offset);
      for (channel& c : channels_) {
        const Sum* from = sums.data() + lines_[c.line].offset;
        with_taps(c.across.taps, [&]<std::size_t Taps>() { gather<Taps>(from, c); });
      }
      float* row = out.data() + y * static_cast<std::size_t>(r_) * 3;
      const auto n = static_cast<std::size_t>(r_);
      const float* a = channels_[0].values.data();
      if (channels_.size() == 1)
        to_rgb.straight(a, a, a, n, row);
      else if (f.layout() == pixel_layout::nv12 || f.layout() == pixel_layout::yuyv)
        to_rgb.from_yuv(a, channels_[1].values.data(), channels_[2].values.data(), n, row);
      else
        to_rgb.straight(a, channels_[1].values.data(), channels_[2].values.data(), n, row);
    }
  }

  static void mix(const frame& f, const line& l, const quick_axis::output& by, std::uint16_t* sums) {
    tap_rows<std::uint8_t> rows{};
    for (std::size_t t = 0; t < static_cast<std::size_t>(l.down.taps); ++t)
      rows[t] = f.row(by.at[t], l.plane) + l.first;
    with_taps(l.down.taps, [&]<std::size_t Taps>() { mix_rows<Taps>(rows, by.weight, l.count, sums); });
  }
  static void mix(const frame& f, const line& l, const quick_axis::output& by, float* sums) {
    const float_limits limits(f.range());
    const auto taps = static_cast<std::size_t>(l.down.taps);
    tap_rows<float> rows{};
    for (std::size_t t = 0; t < taps; ++t) rows[t] = f.float_row(by.at[t], l.plane) + l.first;
    if (with_taps(l.down.taps,
                  [&]<std::size_t Taps>() { return mix_rows<Taps>(rows, by.weight, l.count, limits, sums); }))
      return;
    for (std::size_t t = 0; t < taps; ++t)
      for (const float v : std::span(rows[t], l.count))
        if (!limits.contain(v)) throw value_fault(f, v);
  }

  template <std::size_t Taps, class Sum>
  static void gather(const Sum* from, channel& c) {
    using number = std::conditional_t<std::is_same_v<Sum, float>, float, std::int32_t>;
    float* to = c.values.data();
    for (const auto& output : c.across.outputs) {
      number sum = 0;
      for_each_tap<Taps>([&](std::size_t t) { sum += from[output.at[t]] * static_cast<number>(output.weight[t]); });
      *to++ = static_cast<float>(sum);
    }
  }

  /// Sums of a row to normalised RGB.
  struct finish {
    std::array<float, 3> factor, shift;   ///< value 0 … 255 times 1 / unit → (v/255 − mean) / std
    std::array<float, 3> y, u, v, offset; ///< the same of Y, U and V
    std::array<float, 3> least, most;     ///< what bytes of R, G and B become at most

    finish(const preprocessing& rule, const frame& f) {
      const yuv_factors by = factors_of(f.colours());
      const float scale = f.layout() == pixel_layout::rgb_float ? float_limits(f.range()).to_byte : 1.0f;
      const std::array<float, 3> of_u{0, float(by.g_u), float(by.b_u)}, of_v{float(by.r_v), float(by.g_v), 0};
      for (std::size_t c = 0; c < 3; ++c) {
        const float byte = 1 / (255 * rule.std[c]); // what a step of a byte is worth
        shift[c] = -rule.mean[c] / rule.std[c];
        factor[c] = scale * unit * byte;
        const float fixed = unit * byte / 65536;
        y[c] = float(by.y) * fixed, u[c] = of_u[c] * fixed, v[c] = of_v[c] * fixed;
        offset[c] = shift[c] - (float(by.y) * float(by.black) + 128 * (of_u[c] + of_v[c])) / 65536 * byte;
        least[c] = shift[c], most[c] = 255 * byte + shift[c];
      }
    }

    void straight(const float* red, const float* green, const float* blue, std::size_t n, float* to) const {
      const float* channel[] = {red, green, blue};
      by_fours(n, to, [&](std::size_t x, std::size_t c) { return quad_at(channel[c] + x) * factor[c] + shift[c]; });
    }
    void from_yuv(const float* luma, const float* blue, const float* red, std::size_t n, float* to) const {
      by_fours(n, to, [&](std::size_t x, std::size_t c) {
        const quad value = quad_at(luma + x) * y[c] + quad_at(blue + x) * u[c] + quad_at(red + x) * v[c] + offset[c];
        const quad low = quad{} + least[c], high = quad{} + most[c];
        const quad raised = value < low ? low : value;
        return raised > high ? high : raised;
      });
    }

    /// Four pixels at a time; of the last four, those that there are.
    template <class Values>
    static void by_fours(std::size_t n, float* to, Values&& values) {
      for (std::size_t x = 0; x < n; x += 4, to += 12) {
        const quad red = values(x, 0), green = values(x, 1), blue = values(x, 2);
        const float rgb[] = {red[0], green[0], blue[0], red[1], green[1], blue[1],
                             red[2], green[2], blue[2], red[3], green[3], blue[3]};
        if (x + 4 <= n)
          std::memcpy(to, rgb, sizeof rgb);
        else
          std::copy_n(rgb, (n - x) * 3, to);
      }
    }
  };

  preprocessing rule_;
  int r_;
  std::vector<line> lines_;
  std::vector<channel> channels_;
  std::vector<std::uint16_t> byte_sums_;
  std::vector<float> float_sums_;
};

} // namespace dynofa::data::detail
