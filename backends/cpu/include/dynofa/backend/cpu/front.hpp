#pragma once
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// The first blocks of a network, row by row. Their tensors are the largest of all (112×112 pixels, 1–2 MB) with the
// least arithmetic per value: run one after the other they are bound by the L3 cache.

namespace dynofa::backend::cpu_detail {

/// Rows of the stem, in order.
class stem_rows {
public:
  /// `slots`: three padded input rows. The first row asked for will be `first`.
  stem_rows(const kernel_table& kernels, const step& s, const float* image, float* slots, int first)
      : kernels_{kernels}
      , step_{s}
      , image_{image}
      , slots_{slots}
      , row_floats_{arena_sizes::stem_row(s.b.in_size)} {
    std::fill_n(slots_, 3 * row_floats_, 0.f);
    bring(2 * first - 1);
  }

  /// Row y to out [C/16][plane].
  void compute(int y, float* out, std::size_t plane) {
    bring(2 * y), bring(2 * y + 1);
    kernels_.stem({.rows = {slot(2 * y - 1), slot(2 * y), slot(2 * y + 1)},
                   .weights = static_cast<const float*>(step_.project),
                   .out = out,
                   .out_plane = plane,
                   .out_width = step_.b.out_size,
                   .panels = step_.out_blocks,
                   .scale = step_.scale[0],
                   .shift = step_.shift[0],
                   .act = step_.act});
  }

private:
  float* slot(int y) { return slots_ + static_cast<std::size_t>((y + 3) % 3) * row_floats_; }
  /// A row of the image with a pixel of zeros before and after it.
  void bring(int y) {
    const std::size_t floats = static_cast<std::size_t>(step_.b.in_size) * 3;
    if (y < 0 || y >= step_.b.in_size)
      std::fill_n(slot(y), row_floats_, 0.f);
    else
      std::memcpy(slot(y) + 3, image_ + static_cast<std::size_t>(y) * floats, floats * sizeof(float));
  }

  const kernel_table& kernels_;
  const step& step_;
  const float* image_;
  float* slots_;
  std::size_t row_floats_;
};

/// Rows of a whole image that is already there.
template <class Value>
struct image_rows {
  const Value* data;
  std::size_t row_floats, plane;

  image_rows(const Value* in, int size)
      : data{in}
      , row_floats{floats_of(size)}
      , plane{static_cast<std::size_t>(size) * row_floats} {}
  const Value* row(int y) const { return data + static_cast<std::size_t>(y) * row_floats; }
  void bring(int, int) const {}
};

/// Rows of the separable block, made from the image when they are asked for: stem rows → depthwise → projection, three
/// stem rows and as many output rows at a time as the block behind wants at once. Stem and depthwise rows are fp32;
/// Value is what the projection reads and writes, Weight its weights.
template <class Value, class Weight>
class front_rows {
public:
  std::size_t plane;

  front_rows(const kernel_table& kernels, const step& stem, const step& separable, int kept, const float* image,
             const arena::per_thread& own, int first)
      : plane{floats_of(kept * separable.b.out_size)}
      , kernels_{kernels}
      , step_{separable}
      , kept_{kept}
      , row_floats_{floats_of(separable.b.out_size)}
      , stem_row_floats_{floats_of(separable.b.out_size + 2)}
      , stem_plane_{arena_sizes::stem_rows_kept * stem_row_floats_}
      , row_offset_{own.front_row_offset}
      , sums_{own.front}
      , ring_{reinterpret_cast<Value*>(own.front + lane_block)}
      , stem_ring_{own.front + lane_block + plane * static_cast<std::size_t>(step_.out_blocks)}
      , wide_{stem_ring_ + stem_plane_ * static_cast<std::size_t>(step_.mid_blocks)}
      , stem_made_{std::max(0, first - 1)}
      , stem_{kernels, stem, image, wide_ + row_floats_ * static_cast<std::size_t>(step_.mid_blocks), stem_made_} {
    std::fill_n(stem_ring_, stem_plane_ * static_cast<std::size_t>(step_.mid_blocks), 0.f); // its sides stay zero
    for (int y = 0; y < step_.b.in_size; ++y)
      row_offset_[y] =
          static_cast<std::int32_t>(stem_row_floats_) * (y % static_cast<int>(arena_sizes::stem_rows_kept));
  }

  const Value* row(int y) const { return ring_ + static_cast<std::size_t>(y % kept_) * row_floats_; }

  void bring(int begin, int end) {
    for (int y = begin; y < end; ++y) {
      for (; stem_made_ < std::min(y + 2, step_.b.in_size); ++stem_made_)
        stem_.compute(stem_made_, stem_ring_ + row_offset_[stem_made_] + lane_block, stem_plane_);
      Value* const wide = reinterpret_cast<Value*>(wide_);
      for (int c = 0; c < step_.mid_blocks; ++c)
        kernels_.depthwise[0][0]({.in = stem_ring_ + static_cast<std::size_t>(c) * stem_plane_,
                                  .row_offset = row_offset_,
                                  .in_rows = step_.b.in_size,
                                  .out = wide + static_cast<std::size_t>(c) * row_floats_,
                                  .out_width = step_.b.out_size,
                                  .weights = step_.depthwise + floats_of(9 * c),
                                  .scale = step_.scale[0] + floats_of(c),
                                  .shift = step_.shift[0] + floats_of(c),
                                  .sum = sums_,
                                  .y0 = y,
                                  .y1 = y + 1,
                                  .act = step_.act,
                                  .to_bf16 = bf16});
      const residual_row residual = step_.b.residual ? residual_of(y) : residual_row{};
      const pointwise_of<Value, Value, Weight> product{.in = wide,
                                                       .in_plane = row_floats_,
                                                       .weights = static_cast<const Weight*>(step_.project),
                                                       .panel = step_.project_panel,
                                                       .k = step_.b.mid_channels,
                                                       .out = ring_ + static_cast<std::size_t>(y % kept_) * row_floats_,
                                                       .out_plane = plane,
                                                       .scale = step_.scale[1],
                                                       .shift = step_.shift[1],
                                                       .residual = residual.row,
                                                       .residual_plane = residual.plane,
                                                       .ahead = nullptr,
                                                       .ahead_step = 0,
                                                       .act = step_.project_act};
      pointwise(kernels_, product, step_.out_blocks, step_.b.out_size);
    }
  }

private:
  static constexpr bool bf16 = std::is_same_v<Value, bfloat16>;
  struct residual_row {
    const Value* row = nullptr;
    std::size_t plane = 0;
  };
  /// The stem's row y; in bf16 a narrowed copy, in the half of `wide_` that the depthwise row leaves.
  residual_row residual_of(int y) const {
    const float* stem = stem_ring_ + row_offset_[y] + lane_block;
    if constexpr (bf16) {
      Value* const to = reinterpret_cast<Value*>(wide_) + row_floats_ * static_cast<std::size_t>(step_.mid_blocks);
      for (int c = 0; c < step_.mid_blocks; ++c)
        kernels_.narrow(stem + static_cast<std::size_t>(c) * stem_plane_,
                        to + static_cast<std::size_t>(c) * row_floats_, step_.b.out_size);
      return {to, row_floats_};
    } else {
      return {stem, stem_plane_};
    }
  }

  const kernel_table& kernels_;
  const step& step_;
  int kept_;
  std::size_t row_floats_, stem_row_floats_, stem_plane_;
  std::int32_t* row_offset_;
  float* sums_;
  Value* ring_;
  float *stem_ring_, *wide_;
  int stem_made_;
  stem_rows stem_;
};

} // namespace dynofa::backend::cpu_detail
