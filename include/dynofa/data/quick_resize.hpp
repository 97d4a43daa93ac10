#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/frame.hpp"
#include "dynofa/data/frame_to_rgb.hpp"
#include "dynofa/data/preprocess.hpp"
#include "dynofa/data/resize.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

// Resizing for frames of cameras: at most four rows and four columns of the frame for a pixel of the network's input,
// in the frame's own layout; Y, U and V become R, G and B after that, once for each pixel of the input.

namespace dynofa::data::detail {

/// Which samples of one axis each output mixes. An output's weights add up to `total`.
struct quick_axis {
  struct output {
    std::array<std::int32_t, 4> at, weight;
  };
  std::vector<output> outputs;
  int taps = 2; ///< 2 or 4; of more, the others weigh nothing

  /// Outputs `begin` … `begin + count − 1` of an axis of `in` samples resized to `in / scale`. Enlarging, and where
  /// `antialias` is not asked for, the two nearest samples, edges repeated. Shrinking, Pillow's triangle, which is as
  /// wide as two outputs: all of its samples where they are at most four (a scale of up to 2), else four of them in
  /// its four quarters, weighed by their distance.
  static quick_axis make(int in, double scale, std::int64_t begin, int count, bool antialias, int total) {
    quick_axis axis;
    axis.taps = antialias && scale > 1 ? 4 : 2;
    const double reach = axis.taps == 4 ? scale : 1;
    for (std::int64_t i = begin; i < begin + count; ++i) {
      const double centre = std::clamp((static_cast<double>(i) + 0.5) * scale, 0.5, in - 0.5);
      const double step = reach / (axis.taps / 2);
      const double first = reach > 2 ? centre - 1.5 * step : centre - reach + 0.5;
      output out{};
      std::array<double, 4> weight{};
      double sum = 0;
      for (int t = 0; t < axis.taps; ++t) {
        const int at = static_cast<int>(reach > 2 ? std::floor(first + t * step) : std::ceil(first - 0.5) + t);
        const double distance = std::abs(at + 0.5 - centre) / reach;
        weight[static_cast<std::size_t>(t)] = at >= 0 && at < in ? std::max(0.0, 1 - distance) : 0;
        out.at[static_cast<std::size_t>(t)] = std::clamp(at, 0, in - 1);
        sum += weight[static_cast<std::size_t>(t)];
      }
      // Rounded so that what is left over goes to the heaviest: a picture of one colour keeps it.
      int left = total;
      for (std::size_t t = 0; t < 4; ++t) left -= out.weight[t] = static_cast<std::int32_t>(weight[t] / sum * total);
      *std::max_element(out.weight.begin(), out.weight.end()) += left;
      axis.outputs.push_back(out);
    }
    return axis;
  }
};

/// sum[i] = Σ row[t][i] · weight[t]: bytes with weights that add up to 256, so that a sum fits 16 bits. Sixteen at a
/// time, which compilers turn into vectors at -O2 since the number is a constant.
template <int Taps>
void mix_rows(const std::array<const std::uint8_t*, 4>& row, const std::array<std::int32_t, 4>& weight,
              std::size_t count, std::uint16_t* sum) {
  constexpr std::size_t step = 16;
  std::uint16_t by[4];
  for (std::size_t t = 0; t < 4; ++t) by[t] = static_cast<std::uint16_t>(weight[t]);
  const auto mix = [&](std::size_t i) {
    unsigned s = 0;
    for (int t = 0; t < Taps; ++t) s += unsigned{row[static_cast<std::size_t>(t)][i]} * by[t];
    return static_cast<std::uint16_t>(s);
  };
  std::size_t i = 0;
  for (; i + step <= count; i += step) {
    std::uint16_t part[step];
    std::uint8_t in[4][step];
    for (int t = 0; t < Taps; ++t) std::memcpy(in[t], row[static_cast<std::size_t>(t)] + i, step);
    for (std::size_t j = 0; j < step; ++j) {
      std::uint16_t s = 0;
      for (int t = 0; t < Taps; ++t) s = static_cast<std::uint16_t>(s + in[t][j] * by[t]);
      part[j] = s;
    }
    std::memcpy(sum + i, part, sizeof part);
  }
  for (; i < count; ++i) sum[i] = mix(i);
}

/// The same of floats.
template <int Taps>
void mix_rows(const std::array<const float*, 4>& row, const std::array<std::int32_t, 4>& weight, std::size_t count,
              float* sum) {
  for (std::size_t i = 0; i < count; ++i) {
    float s = 0;
    for (std::size_t t = 0; t < Taps; ++t) s += row[t][i] * static_cast<float>(weight[t]);
    sum[i] = s;
  }
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
      each_place([&](std::int32_t& at) { at -= first; });
      lines_[l].first = static_cast<std::size_t>(first);
      lines_[l].count = static_cast<std::size_t>(last - first) + 1;
      lines_[l].offset = values;
      values += lines_[l].count;
    }
    for (channel& c : channels_) c.values.resize(static_cast<std::size_t>(r_));
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
        c.across.taps == 2 ? gather<2>(from, c) : gather<4>(from, c);
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
    std::array<const std::uint8_t*, 4> rows{};
    for (std::size_t t = 0; t < static_cast<std::size_t>(l.down.taps); ++t)
      rows[t] = f.row(by.at[t], l.plane) + l.first;
    l.down.taps == 2 ? mix_rows<2>(rows, by.weight, l.count, sums) : mix_rows<4>(rows, by.weight, l.count, sums);
  }
  static void mix(const frame& f, const line& l, const quick_axis::output& by, float* sums) {
    std::array<const float*, 4> rows{};
    for (std::size_t t = 0; t < static_cast<std::size_t>(l.down.taps); ++t) {
      rows[t] = f.float_row(by.at[t], l.plane) + l.first;
      check_values(f, {rows[t], l.count});
    }
    l.down.taps == 2 ? mix_rows<2>(rows, by.weight, l.count, sums) : mix_rows<4>(rows, by.weight, l.count, sums);
  }
  static void check_values(const frame& f, std::span<const float> values) {
    const float_limits limits(f.range());
    int outside = 0;
    for (float v : values) outside |= int(!limits.contain(v));
    if (outside == 0) return;
    throw value_fault(f, *std::find_if_not(values.begin(), values.end(), [&](float v) { return limits.contain(v); }));
  }

  template <int Taps>
  static void gather(const std::uint16_t* from, channel& c) {
    float* to = c.values.data();
    for (const auto& output : c.across.outputs) {
      std::int32_t sum = 0;
      for (std::size_t t = 0; t < Taps; ++t) sum += from[output.at[t]] * output.weight[t];
      *to++ = static_cast<float>(sum);
    }
  }
  template <int Taps>
  static void gather(const float* from, channel& c) {
    float* to = c.values.data();
    for (const auto& output : c.across.outputs) {
      float sum = 0;
      for (std::size_t t = 0; t < Taps; ++t) sum += from[output.at[t]] * static_cast<float>(output.weight[t]);
      *to++ = sum;
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
      for (std::size_t x = 0; x < n; ++x, to += 3) {
        to[0] = red[x] * factor[0] + shift[0];
        to[1] = green[x] * factor[1] + shift[1];
        to[2] = blue[x] * factor[2] + shift[2];
      }
    }
    void from_yuv(const float* luma, const float* blue, const float* red, std::size_t n, float* to) const {
      for (std::size_t x = 0; x < n; ++x, to += 3)
        for (std::size_t c = 0; c < 3; ++c)
          to[c] = std::min(std::max(luma[x] * y[c] + blue[x] * u[c] + red[x] * v[c] + offset[c], least[c]), most[c]);
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
