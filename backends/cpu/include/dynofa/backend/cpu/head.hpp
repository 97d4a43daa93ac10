#pragma once
#include "dynofa/backend/cpu/blocks.hpp"
#include "dynofa/backend/cpu/engine.hpp"
#include "dynofa/backend/cpu/level.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

namespace dynofa::backend::cpu_detail {

/// Feature mix and classifier of a batch. For one image they are matrix-vector products that read 8–13 MB of
/// weights for one multiply-add each. N pooled vectors are an image of N pixels to the pointwise kernel, and the
/// weights are read once.
///
/// An output's products are added in the order of the inputs, whatever its place in the batch; the matrix-vector
/// kernel adds four or eight interleaved sums. Logits of a batch and of single images agree but for that rounding.
class batched_head {
public:
  batched_head(const engine& e, const level& l, arena& a)
      : engine_{e}
      , level_{l}
      , arena_{a}
      , images_{static_cast<std::size_t>(l.plan.batch)} {}

  /// Batches that the workspace was not made for stay with one image at a time.
  bool serves() const { return images_ > 1 && images_ <= arena_.sizes.batch; }
  static constexpr std::size_t steps = 2;

  /// The pooled vector of image n.
  void keep(std::size_t n, const float* pooled) const {
    const auto blocks = static_cast<std::size_t>(mix().in_blocks);
    for (std::size_t c = 0; c < blocks; ++c)
      std::copy_n(pooled + c * lane_block, lane_block, arena_.together[0] + (c * images_ + n) * lane_block);
  }

  /// Of all images kept → logits [N,classes].
  void run(std::span<float> logits) const {
    product(mix(), arena_.together[0], arena_.together[1], arena_.zeros);
    const float* const bias = level_.weights->floats(level_.weights->classifier_bias);
    product(level_.steps.back(), arena_.together[1], arena_.together[0], bias);
    const std::size_t classes = logits.size() / images_;
    for (std::size_t n = 0; n < images_; ++n)
      for (std::size_t c = 0; c < classes; c += lane_block)
        std::copy_n(arena_.together[0] + (c / lane_block * images_ + n) * lane_block,
                    std::min<std::size_t>(lane_block, classes - c), logits.data() + n * classes + c);
  }

private:
  const step& mix() const { return level_.steps[level_.steps.size() - 2]; }

  void product(const step& s, const float* in, float* out, const float* bias) const {
    if (level_.weights->half)
      product_by<float16>(s, in, out, bias);
    else
      product_by<float>(s, in, out, bias);
  }

  /// in, out: [C/16][N][16]
  template <class Weight>
  void product_by(const step& s, const float* in, float* out, const float* bias) const {
    const std::size_t plane = images_ * lane_block;
    engine_.parallel([&](int thread) {
      const share p = share::of(s.out_blocks, thread, engine_.threads());
      const auto first = static_cast<std::size_t>(p.begin);
      const pointwise_of<float, float, Weight> a{in,
                                                 plane,
                                                 static_cast<const Weight*>(s.project) + first * s.project_panel,
                                                 s.project_panel,
                                                 s.b.in_channels,
                                                 out + first * plane,
                                                 plane,
                                                 arena_.ones,
                                                 bias + first * lane_block,
                                                 nullptr,
                                                 0,
                                                 nullptr,
                                                 0,
                                                 s.act};
      if (p.begin < p.end) pointwise(engine_.kernels(), a, p.end - p.begin, level_.plan.batch);
    });
  }

  const engine& engine_;
  const level& level_;
  arena& arena_;
  std::size_t images_;
};

} // namespace dynofa::backend::cpu_detail
