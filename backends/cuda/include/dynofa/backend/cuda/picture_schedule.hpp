#pragma once
#include "dynofa/backend/cuda/step.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/data/image.hpp"
#include "dynofa/data/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

namespace dynofa::backend::cuda_detail {

/// How pictures of one size become an input [r,r,3] on the device: one allocation of taps, picture and, between the two
/// passes of Pillow's filter, narrowed rows; and the launches.
class picture_schedule {
public:
  /// Throws errc::invalid_argument for sizes that `preprocessing::apply` refuses.
  picture_schedule(const data::preprocessing& rule, int height, int width, int r)
      : rule_{rule}
      , height_{height}
      , width_{width}
      , r_{r} {
    const double side = std::ceil(r / rule.crop_ratio);
    if (height < 1 || width < 1 || r < 1 || r > 16'384 || side > 1e6)
      throw error(errc::invalid_argument, "cuda pictures", "a picture and a resolution of 1 to 16384",
                  text(width, "×", height, " and ", r));
    if (std::int64_t(height) * r > std::numeric_limits<std::int32_t>::max()) // pixels are numbered by an int
      throw error(errc::unsupported, "cuda pictures", text("a height below ", (1u << 31) / unsigned(r)), text(height));
    if (rule.mode == data::preprocessing_mode::imagenet_crop) {
      const auto size = data::shorter_side_size(height, width, rule.resized_side(r));
      const auto view = data::centre_window(size, r);
      across_ = axis_of(data::detail::bilinear_taps(width, size.width, view.left, r));
      down_ = axis_of(data::detail::bilinear_taps(height, size.height, view.top, r));
    }
  }

  /// Of what the host sends: taps, then the picture's bytes.
  std::size_t upload_bytes() const { return picture_offset() + 3 * area(height_, width_); }
  std::size_t bytes() const { return narrowed_offset() + (across_.table.empty() ? 0 : 3 * area(height_, r_)); }

  /// Throws errc::invalid_argument for a picture of another size, or with another number of bytes than its size.
  void fill(const data::image& picture, std::byte* to) const {
    if (picture.height != height_ || picture.width != width_ || picture.pixels.size() != 3 * area(height_, width_))
      throw error(errc::invalid_argument, "cuda pictures", text(width_, "×", height_, " pixels of 3 bytes"),
                  text(picture.width, "×", picture.height, " and ", picture.pixels.size(), " bytes"));
    for (const axis* a : {&across_, &down_}) {
      const auto table = std::as_bytes(std::span(a->table)); // empty without a filter
      to = std::copy(table.begin(), table.end(), to);
    }
    std::memcpy(to, picture.pixels.data(), picture.pixels.size());
  }

  /// `memory`: on the device, `bytes()` of it, begun by what `fill` wrote.
  std::vector<step> steps(std::byte* memory, float* input) const {
    const auto* taps = reinterpret_cast<const std::int32_t*>(memory);
    auto* picture = reinterpret_cast<std::uint8_t*>(memory + picture_offset());
    auto* narrowed = reinterpret_cast<std::uint8_t*>(memory + narrowed_offset());
    if (across_.table.empty()) return {step_of(kernel_id::interpolate, picture, nullptr, 0, input, r_, r_)};
    return {step_of(kernel_id::resize_rows, picture, taps, across_.most, narrowed, height_, r_),
            step_of(kernel_id::resize_columns, narrowed, taps + across_.table.size(), down_.most, input, r_, r_)};
  }

private:
  /// Per output: the first input, how many, and room for `most` weights.
  struct axis {
    std::vector<std::int32_t> table = {};
    std::int32_t most = 0;
  };
  data::preprocessing rule_;
  std::int32_t height_, width_, r_;
  axis across_, down_;

  static std::size_t area(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }
  std::size_t picture_offset() const { return (across_.table.size() + down_.table.size()) * sizeof(std::int32_t); }
  std::size_t narrowed_offset() const { return (upload_bytes() + 15) / 16 * 16; }

  static axis axis_of(const data::detail::filter_taps& taps) {
    axis a;
    for (const auto& run : taps.runs) a.most = std::max(a.most, run.count);
    for (const auto& run : taps.runs) {
      a.table.push_back(run.first), a.table.push_back(run.count);
      for (int k = 0; k < a.most; ++k)
        a.table.push_back(k < run.count ? taps.weights[run.weight + static_cast<std::size_t>(k)] : 0);
    }
    return a;
  }
  step step_of(kernel_id kernel, const std::uint8_t* in, const std::int32_t* taps, int most, void* out, int rows,
               int out_width) const {
    step s{};
    s.kernel = kernel;
    s.threads = most_threads;
    s.grid[0] = static_cast<std::uint32_t>(ceil_div(rows * out_width, most_threads));
    picture_args& a = s.picture;
    a = {in, taps, out, height_, width_, rows, out_width, most, {}, {}};
    std::copy(rule_.mean.begin(), rule_.mean.end(), a.mean);
    std::copy(rule_.std.begin(), rule_.std.end(), a.deviation);
    return s;
  }
};

} // namespace dynofa::backend::cuda_detail
