#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/data/image.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

// The two resizing rules that supernets were trained with: Pillow's bilinear filter on bytes, bit for bit (the
// ImageNet networks), and plain bilinear interpolation in float. A network sees the difference: use its own.

namespace dynofa::data {

/// Height and width of a picture that need not exist in memory.
struct image_size {
  std::int64_t height, width; ///< in pixels
  bool operator==(const image_size&) const = default;
};

/// A rectangle of a picture, in pixels from the top left corner.
struct window {
  std::int64_t top, left; ///< of its first pixel
  int height, width;      ///< in pixels
  bool operator==(const window&) const = default;
};

/// Neighbouring columns of a picture.
struct column_run {
  int first, count; ///< the first one, and how many
};

namespace detail {

/// For each output pixel of one axis, which input pixels it mixes and with what weights (22-bit fixed point).
struct filter_taps {
  struct run {
    int first;          // input pixel of the first weight
    std::size_t weight; // position of the first weight
    int count;
  };
  std::vector<run> runs;
  std::vector<std::int32_t> weights;
};

inline constexpr int weight_bits = 32 - 8 - 2; // Pillow's PRECISION_BITS

/// Keeps a compiler that may fuse multiply and add from doing so: the sum would be rounded once and not twice.
inline double rounded(double product) {
  volatile double stored = product;
  return stored;
}

/// Taps for the outputs `begin` … `begin + count − 1` of an axis of `in` pixels resized to `out` (Pillow's Resample.c:
/// precompute_coeffs and normalize_coeffs_8bpc with the triangle filter). When shrinking, the triangle is as wide as
/// two output pixels, which is what removes aliasing.
inline filter_taps bilinear_taps(int in, std::int64_t out, std::int64_t begin, int count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  filter_taps taps;
  std::vector<double> raw;
  for (std::int64_t i = begin; i < begin + count; ++i) {
    const double centre = rounded((static_cast<double>(i) + 0.5) * scale);
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int last = static_cast<int>(std::min(centre + support + 0.5, static_cast<double>(in)));
    double sum = 0;
    raw.clear();
    for (int x = first; x < last; ++x) {
      const double distance = std::abs(rounded((x - centre + 0.5) * (1.0 / support)));
      raw.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += raw.back();
    }
    taps.runs.push_back({first, taps.weights.size(), last - first});
    for (double w : raw) taps.weights.push_back(static_cast<std::int32_t>(0.5 + w / sum * (1 << weight_bits)));
  }
  return taps;
}

/// Weights are rounded one by one, so their sum may pass 1 by a hair.
inline std::uint8_t byte_of(std::int32_t fixed_point) {
  return static_cast<std::uint8_t>(std::clamp(fixed_point >> weight_bits, 0, 255));
}

/// Pillow's filter made ready for pictures of one size: taps and buffers, so that a picture allocates nothing. Of the
/// picture it asks for rows, which need not lie in an `image`. One picture at a time.
class pil_resizer {
public:
  /// Of a picture [height,width,3] the part `view` of what `size` makes of it. Throws errc::invalid_argument if the
  /// view leaves the resized picture.
  pil_resizer(int height, int width, image_size size, window view)
      : across_{bilinear_taps(width, size.width, checked(size, view).left, view.width)}
      , down_{bilinear_taps(height, size.height, view.top, view.height)}
      , width_{static_cast<std::size_t>(view.width) * 3}
      , sums_(width_)
      , bytes_(width_) {
    const int first = across_.runs.front().first;
    columns_[0] = {first, across_.runs.back().first + across_.runs.back().count - first};
    for (auto& run : across_.runs) run.first -= first;
    for (const auto& run : down_.runs) rows_kept_ = std::max(rows_kept_, run.count);
    narrowed_.resize(static_cast<std::size_t>(rows_kept_) * width_);
  }

  /// The columns of a row that it reads, one run of them.
  std::span<const column_run> columns() const { return columns_; }

  /// `row(y)`: the first of the RGB bytes of these columns, good until the next call; each row once, from top to
  /// bottom. `use(y, bytes)` gets the rows of the view, [view.width,3].
  template <class Rows, class Use>
  void run(Rows&& row, Use&& use) {
    int next = down_.runs.front().first; // a row is narrowed once and kept while a row of the view still mixes it
    for (std::size_t y = 0; y < down_.runs.size(); ++y) {
      const auto& run = down_.runs[y];
      for (; next < run.first + run.count; ++next) narrow(row(next), narrowed(next));
      std::fill(sums_.begin(), sums_.end(), half);
      for (int k = 0; k < run.count; ++k) {
        const std::uint8_t* from = narrowed(run.first + k);
        const std::int32_t weight = down_.weights[run.weight + static_cast<std::size_t>(k)];
        for (std::size_t x = 0; x < width_; ++x) sums_[x] += from[x] * weight;
      }
      std::transform(sums_.begin(), sums_.end(), bytes_.begin(), byte_of);
      use(static_cast<int>(y), std::span<const std::uint8_t>(bytes_));
    }
  }

private:
  static constexpr std::int32_t half = 1 << (weight_bits - 1);

  static const window& checked(image_size size, const window& view) {
    if (view.top < 0 || view.left < 0 || view.height < 1 || view.width < 1 || view.top > size.height - view.height ||
        view.left > size.width - view.width)
      throw error(errc::invalid_argument, "resize_pil_bilinear",
                  text("a window inside the resized ", size.width, "×", size.height),
                  text(view.width, "×", view.height, " at ", view.left, ",", view.top));
    return view;
  }

  std::uint8_t* narrowed(int row) { return narrowed_.data() + static_cast<std::size_t>(row % rows_kept_) * width_; }

  void narrow(const std::uint8_t* from, std::uint8_t* to) const {
    for (const auto& run : across_.runs) {
      std::int32_t r = half, g = half, b = half;
      const std::uint8_t* pixel = from + std::ptrdiff_t{3} * run.first;
      const std::int32_t* weight = across_.weights.data() + run.weight;
      for (int k = 0; k < run.count; ++k, pixel += 3) {
        r += pixel[0] * weight[k];
        g += pixel[1] * weight[k];
        b += pixel[2] * weight[k];
      }
      *to++ = byte_of(r);
      *to++ = byte_of(g);
      *to++ = byte_of(b);
    }
  }

  filter_taps across_, down_;
  std::size_t width_; // of the view, in bytes
  std::array<column_run, 1> columns_;
  int rows_kept_ = 1;
  std::vector<std::uint8_t> narrowed_; // [rows_kept,width]: row y of the picture at y modulo rows_kept
  std::vector<std::int32_t> sums_;
  std::vector<std::uint8_t> bytes_;
};

/// Bilinear interpolation to r × r in float, made ready for pictures of one size likewise.
class exact_resizer {
public:
  exact_resizer(int height, int width, int r)
      : across_(taps(width, r))
      , down_(taps(height, r))
      , mixed_(2 * across_.size() * 3) {
    // Columns between two that are read are few, enlarging and shrinking a little: reading them costs less than leaving
    // them out.
    constexpr int gap = 8;
    for (const tap& t : across_)
      if (columns_.empty() || t.low > columns_.back().first + columns_.back().count + gap)
        columns_.push_back({t.low, t.high - t.low + 1});
      else
        columns_.back().count = t.high - columns_.back().first + 1;
    const int first = columns_.front().first;
    for (tap& t : across_) t.low -= first, t.high -= first;
  }

  /// The columns of a row that it reads.
  std::span<const column_run> columns() const { return columns_; }

  /// `row(y)`: the first of the RGB bytes of these columns, and what lies between them, good until the next call; from
  /// top to bottom, the last one perhaps twice. → out [r,r,3].
  template <class Rows>
  void run(Rows&& row, std::span<float> out) {
    // Rows of the picture mixed across; enlarging, several rows of the output lie between the same two.
    const std::size_t width = across_.size() * 3;
    float *above = mixed_.data(), *below = above + width, *to = out.data();
    int above_row = -1, below_row = -1;
    for (const tap& down : down_) {
      if (down.low == below_row) std::swap(above, below), std::swap(above_row, below_row);
      if (down.low != above_row) mix(row(above_row = down.low), above);
      if (down.high != below_row) mix(row(below_row = down.high), below);
      const float low_y = 1.0f - down.high_weight;
      for (std::size_t i = 0; i < width; ++i) to[i] = low_y * above[i] + down.high_weight * below[i];
      to += width;
    }
  }

private:
  struct tap {
    int low, high;
    float high_weight;
  };

  static std::vector<tap> taps(int in, int r) {
    std::vector<tap> all;
    const float scale = static_cast<float>(in) / static_cast<float>(r);
    for (int i = 0; i < r; ++i) {
      const float at = std::max(scale * (static_cast<float>(i) + 0.5f) - 0.5f, 0.0f);
      const int low = std::min(static_cast<int>(at), in - 1);
      all.push_back({low, std::min(low + 1, in - 1), at - static_cast<float>(low)});
    }
    return all;
  }

  void mix(const std::uint8_t* from, float* to) const {
    for (const tap& t : across_) {
      const std::uint8_t *low = from + std::ptrdiff_t{3} * t.low, *high = from + std::ptrdiff_t{3} * t.high;
      const float low_x = 1.0f - t.high_weight;
      for (int c = 0; c < 3; ++c)
        *to++ = low_x * static_cast<float>(low[c]) + t.high_weight * static_cast<float>(high[c]);
    }
  }

  std::vector<tap> across_, down_;
  std::vector<column_run> columns_;
  std::vector<float> mixed_;
};

} // namespace detail

/// The part `view` of `picture` resized to `size` by Pillow's BILINEAR filter, bit for bit: a triangle filter, widened
/// when shrinking, along rows first, bytes in between. Pixels outside the view are never computed. in [h,w,3] → out
/// [view.height,view.width,3]. Throws errc::invalid_argument if the view leaves the resized picture.
inline image resize_pil_bilinear(const image& picture, image_size size, window view) {
  if (picture.height < 1 || picture.width < 1)
    throw error(errc::invalid_argument, "resize_pil_bilinear", "a picture", "an empty one");
  detail::pil_resizer resizer(picture.height, picture.width, size, view);
  image out(view.height, view.width);
  resizer.run([&](int y) { return picture.row(y) + std::ptrdiff_t{3} * resizer.columns()[0].first; },
              [&](int y, std::span<const std::uint8_t> bytes) { std::copy(bytes.begin(), bytes.end(), out.row(y)); });
  return out;
}

/// The whole picture resized to `height` × `width` by Pillow's BILINEAR filter, bit for bit.
inline image resize_pil_bilinear(const image& picture, int height, int width) {
  return resize_pil_bilinear(picture, {height, width}, {0, 0, height, width});
}

/// The size at which the shorter side is `side` and the longer int(side · long / short), as in torchvision's Resize.
constexpr image_size shorter_side_size(int height, int width, int side) {
  const auto longer = [&](std::int64_t l, std::int64_t s) { return side * l / s; };
  return height < width ? image_size{side, longer(width, height)} : image_size{longer(height, width), side};
}

/// Where a centred crop of `crop` starts on an axis of `full` ≥ `crop` pixels: (full − crop) / 2, half to even.
constexpr std::int64_t centre_offset(std::int64_t full, std::int64_t crop) {
  const std::int64_t twice = full - crop, down = twice / 2;
  return twice % 2 == 0 ? down : down + down % 2;
}

/// The centred r × r window of a picture of this size.
constexpr window centre_window(image_size size, int r) {
  return {centre_offset(size.height, r), centre_offset(size.width, r), r, r};
}

/// The picture with its shorter side resized to `side` (Pillow's filter). Throws errc::invalid_argument when a very
/// long picture would exceed 100 megapixels; `resize_pil_bilinear` with a window has no such limit.
inline image resize_shorter_side(const image& picture, int side) {
  if (picture.height < 1 || picture.width < 1 || side < 1)
    throw error(errc::invalid_argument, "resize_shorter_side", "a picture and a side of at least 1",
                text("side ", side));
  const auto size = shorter_side_size(picture.height, picture.width, side);
  if (size.height > 100'000'000 / size.width)
    throw error(errc::invalid_argument, "resize_shorter_side", "at most 100 megapixels",
                text(size.width, "×", size.height));
  return resize_pil_bilinear(picture, static_cast<int>(size.height), static_cast<int>(size.width));
}

/// A copy of the part `view`. Throws errc::invalid_argument if it leaves the picture.
inline image crop(const image& picture, window view) {
  if (view.top < 0 || view.left < 0 || view.top > picture.height - view.height ||
      view.left > picture.width - view.width)
    throw error(errc::invalid_argument, "crop", text("a window inside ", picture.width, "×", picture.height),
                text(view.width, "×", view.height, " at ", view.left, ",", view.top));
  image out(view.height, view.width);
  for (int y = 0; y < view.height; ++y)
    std::copy_n(picture.row(static_cast<int>(view.top) + y) + 3 * view.left, std::ptrdiff_t{3} * view.width,
                out.row(y));
  return out;
}

/// The centred r × r part. Throws errc::invalid_argument if a side is below r.
inline image centre_crop(const image& picture, int r) {
  if (r < 1 || picture.height < r || picture.width < r)
    throw error(errc::invalid_argument, "centre_crop", text("a picture of at least ", r, "×", r),
                text(picture.width, "×", picture.height));
  return crop(picture, centre_window({picture.height, picture.width}, r));
}

/// Bilinear interpolation to exactly r × r in float, half-pixel centres, edges repeated, no antialias: torch's
/// `interpolate(mode="bilinear", align_corners=False)`. in [h,w,3] → out [r,r,3], 0 … 255, not rounded.
/// Meant for enlarging. Throws errc::invalid_argument if `out` does not hold r·r·3 values.
inline void resize_exact_float(const image& picture, int r, std::span<float> out) {
  if (picture.height < 1 || picture.width < 1 || r < 1 || out.size() != image_values(r))
    throw error(errc::invalid_argument, "resize_exact_float", text("a picture and room for [", r, ",", r, ",3] values"),
                text(picture.width, "×", picture.height, " and room for ", out.size()));
  detail::exact_resizer resizer(picture.height, picture.width, r);
  resizer.run([&](int y) { return picture.row(y) + std::ptrdiff_t{3} * resizer.columns()[0].first; }, out);
}

/// `resize_exact_float` into a vector of its own.
inline std::vector<float> resize_exact_float(const image& picture, int r) {
  std::vector<float> out(r < 1 ? 0 : image_values(r));
  resize_exact_float(picture, r, out);
  return out;
}

} // namespace dynofa::data
