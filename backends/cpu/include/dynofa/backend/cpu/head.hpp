#pragma once
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/execution.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

namespace dynofa::backend::cpu_detail {

/// Final expand, feature mix and classifier of one image. Value and Weight: as of the blocks before.
template <class Value, class Weight>
class image_head : image_run {
public:
  explicit image_head(const image_run& where)
      : image_run{where} {}

  /// The wide map is pooled chunk by chunk and never stored.
  void final_expand(const step& s, const Value* in, float* out) const {
    const int pixels = s.b.in_size * s.b.in_size;
    execution_.parallel([&](int thread) {
      const share p = share::of(s.out_blocks, thread, execution_.threads());
      const arena::per_thread& mine = own(thread);
      for (int first = p.begin, count; first < p.end; first += count) {
        count = next_chunk(p.end - first);
        const auto stored = weight_panels<Weight>{static_cast<const Weight*>(s.project), s.project_panel}.from(first);
        const void* const ahead = first + count < p.end ? stored.from(count).data : nullptr;
        with_panels<Value>(stored, count, s.b.in_channels, pixels / lane_block, mine.scaled,
                           [&]<class W>(weight_panels<W> by) {
                             const pointwise_of<Value, row_value<Value>, W> product{
                                 .in = in,
                                 .in_plane = at(pixels),
                                 .weights = by.data,
                                 .panel = by.step,
                                 .k = s.b.in_channels,
                                 .out = reinterpret_cast<row_value<Value>*>(mine.ring),
                                 .out_plane = at(pixels),
                                 .scale = s.scale[0] + at(first),
                                 .shift = s.shift[0] + at(first),
                                 .residual = nullptr,
                                 .residual_plane = 0,
                                 .ahead = ahead,
                                 .ahead_step = s.project_panel * sizeof(Weight) / sizeof(W),
                                 .act = s.act};
                             pointwise(kernels_, product, count, pixels);
                           });
        for (int c = 0; c < count; ++c)
          mean(reinterpret_cast<const row_value<Value>*>(mine.ring) + static_cast<std::size_t>(c) * at(pixels), pixels,
               out + at(first + c));
      }
    });
  }

  /// in [C/16][pixels][16] → out [C]
  void average_pool(const step& s, const Value* in, float* out) const {
    const int pixels = s.b.in_size * s.b.in_size;
    execution_.parallel([&](int thread) {
      const share p = share::of(s.in_blocks, thread, execution_.threads());
      for (int c = p.begin; c < p.end; ++c) {
        const Value* const from = in + static_cast<std::size_t>(c) * at(pixels);
        if constexpr (std::is_same_v<Value, bfloat16>) {
          kernels_.widen(from, own(thread).ring, pixels);
          kernels_.mean(own(thread).ring, pixels, out + at(c));
        } else {
          mean(from, pixels, out + at(c));
        }
      }
    });
  }

  /// in [K] → out [C]
  void product(const step& s, const float* in, float* out) const {
    execution_.parallel([&](int thread) {
      matvec(in, s.b.in_channels, s.project, s.project_panel, s.project_steps, s.output_bias, out,
             share::of(s.out_blocks, thread, execution_.threads()), s.act);
    });
  }

private:
  void mean(const float* in, int pixels, float* out) const { kernels_.mean(in, pixels, out); }
  void mean(const float16* in, int pixels, float* out) const { kernels_.mean_of_halves(in, pixels, out); }
};

/// What follows pooling, feature mix and classifier or the classifier alone, of a batch. For one image they are
/// matrix-vector products that read 8–13 MB of weights for one multiply-add each. N pooled vectors are an image of N
/// pixels to the pointwise kernel, and the weights are read once.
///
/// An output's products are added in the order of the inputs, whatever its place in the batch; the matrix-vector
/// kernel adds four or eight interleaved sums. Logits of a batch and of single images agree but for that rounding.
class batched_head : image_run {
public:
  batched_head(const execution& e, const bound_level& l, arena& a)
      : image_run{e, l, a}
      , images_{static_cast<std::size_t>(l.plan.batch)}
      , first_{l.after_pooling} {}

  /// Batches that the workspace was not made for stay with one image at a time, and weights in bytes too.
  bool serves() const {
    return images_ > 1 && images_ <= arena_.sizes.batch && level_.weights->format != number_format::int8;
  }
  std::size_t steps() const { return level_.steps.size() - first_; }

  /// The pooled vector of image n.
  void keep(std::size_t n, const float* pooled) const {
    const auto blocks = static_cast<std::size_t>(level_.steps[first_].in_blocks);
    for (std::size_t c = 0; c < blocks; ++c)
      std::copy_n(pooled + c * lane_block, lane_block, arena_.batch_vectors[0] + (c * images_ + n) * lane_block);
  }

  /// Of all images kept → logits [N,classes].
  void run(std::span<float> logits) const {
    int from = 0;
    for (std::size_t i = first_; i < level_.steps.size(); ++i, from ^= 1)
      product(level_.steps[i], arena_.batch_vectors[from], arena_.batch_vectors[from ^ 1]);
    const std::size_t classes = logits.size() / images_;
    for (std::size_t n = 0; n < images_; ++n)
      for (std::size_t c = 0; c < classes; c += lane_block)
        std::copy_n(arena_.batch_vectors[from] + (c / lane_block * images_ + n) * lane_block,
                    std::min<std::size_t>(lane_block, classes - c), logits.data() + n * classes + c);
  }

private:
  void product(const step& s, const float* in, float* out) const {
    if (level_.weights->half)
      product_by<float16>(s, in, out);
    else
      product_by<float>(s, in, out);
  }

  /// in, out: [C/16][N][16]
  template <class Weight>
  void product_by(const step& s, const float* in, float* out) const {
    const float* const bias = s.output_bias ? s.output_bias : arena_.zeros;
    const std::size_t plane = images_ * lane_block;
    execution_.parallel([&](int thread) {
      const share p = share::of(s.out_blocks, thread, execution_.threads());
      const auto first = static_cast<std::size_t>(p.begin);
      const pointwise_of<float, float, Weight> a{.in = in,
                                                 .in_plane = plane,
                                                 .weights =
                                                     static_cast<const Weight*>(s.project) + first * s.project_panel,
                                                 .panel = s.project_panel,
                                                 .k = s.b.in_channels,
                                                 .out = out + first * plane,
                                                 .out_plane = plane,
                                                 .scale = arena_.ones,
                                                 .shift = bias + first * lane_block,
                                                 .residual = nullptr,
                                                 .residual_plane = 0,
                                                 .ahead = nullptr,
                                                 .ahead_step = 0,
                                                 .act = s.act};
      if (p.begin < p.end) pointwise(kernels_, a, p.end - p.begin, level_.plan.batch);
    });
  }

  std::size_t images_, first_; ///< first_: the step that takes the pooled vector
};

} // namespace dynofa::backend::cpu_detail
