#pragma once
#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/backend/cpu/tiling.hpp"
#include "dynofa/backend/cpu/workspace.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/plan.hpp"

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// One block of a level, ready to run: shapes, pointers into the packed weights and into the level's scales and shifts.
struct step {
  block b;
  tiling cut;
  int in_blocks, mid_blocks, out_blocks; ///< channels / 16, rounded up
  epilogue act;
  const void *expand, *project; ///< of the level's number format
  const float* depthwise;
  std::size_t expand_panel, project_panel;
  const void *se_reduce, *se_expand;
  std::size_t se_reduce_panel, se_expand_panel;
  const float *se_reduce_bias, *se_expand_bias;
  const float *scale[3], *shift[3];
  const void* following; ///< the weights that the next step reads first, or null
};

constexpr epilogue epilogue_of(activation a) {
  return a == activation::relu ? epilogue::relu : a == activation::h_swish ? epilogue::h_swish : epilogue::identity;
}

/// One level: its plan and its batch-norm scale and shift, padded to whole blocks of 16 channels. It owns no weights.
struct level {
  dynofa::plan plan;
  std::shared_ptr<const packed_supernet> weights;
  aligned_bytes norms; ///< per batch norm: scale, shift; zeros in the padding keep padded channels at zero
  std::vector<step> steps;
  bool fused_front = false; ///< the first three blocks run as one

  std::size_t bytes() const {
    return norms.size() + steps.size() * sizeof(step) + plan.blocks.size() * sizeof(block) +
           plan.norms.size() * sizeof(plan::norm) + plan.first_norms.size() * sizeof(std::int32_t) + sizeof(*this);
  }

  level(std::shared_ptr<const packed_supernet> w, const dynofa::plan& p, const scale_shift& affine, const caches& c)
      : plan{p}
      , weights{std::move(w)} {
    if (!(plan.space == weights->space))
      throw error(errc::mismatch, "cpu backend bind", "a plan of the packed super-network's space",
                  text("a plan of another space, ", plan.arch));
    for (const block& b : plan.blocks)
      if (!weights->part.holds(b))
        throw error(errc::mismatch, "cpu backend bind", "a plan that the super-network was packed for",
                    text("one that reads more of block ", b.supernet_index, ", ", plan.arch));
    const auto channels = static_cast<std::size_t>(plan.norm_values());
    if (affine.scale.size() != channels || affine.shift.size() != channels)
      throw error(errc::mismatch, "cpu backend bind", text(channels, " scales and shifts for ", plan.arch),
                  text(affine.scale.size(), " scales and ", affine.shift.size(), " shifts"));
    std::size_t total = 0;
    for (const auto& n : plan.norms) total += 2 * static_cast<std::size_t>(padded(n.channels));
    norms = aligned_bytes{total * sizeof(float)};
    std::size_t at = 0;
    std::vector<const float*> scales;
    for (const auto& n : plan.norms) {
      const auto count = static_cast<std::size_t>(n.channels), room = static_cast<std::size_t>(padded(n.channels));
      float* scale = norms.as<float>() + at;
      std::memcpy(scale, affine.scale.data() + n.offset, count * sizeof(float));
      std::memcpy(scale + room, affine.shift.data() + n.offset, count * sizeof(float));
      scales.push_back(scale);
      at += 2 * room;
    }
    for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
      steps.push_back(make_step(plan.blocks[i], c));
      step& s = steps.back();
      for (int n = 0; n < s.b.norm_count(); ++n) {
        const auto index = static_cast<std::size_t>(plan.first_norm(i) + n);
        s.scale[n] = scales[index];
        s.shift[n] = scales[index] + padded(plan.norms[index].channels);
      }
    }
    for (std::size_t i = 0; i + 1 < steps.size(); ++i)
      steps[i].following = steps[i + 1].expand ? steps[i + 1].expand : steps[i + 1].project;
    fused_front = front_is_fused(plan, c);
  }

private:
  step make_step(const block& b, const caches& c) const {
    step s{};
    s.b = b;
    s.in_blocks = blocks_of(b.in_channels);
    s.mid_blocks = blocks_of(b.mid_channels);
    s.out_blocks = blocks_of(b.out_channels);
    s.act = epilogue_of(b.act);
    const packed_supernet& w = *weights;
    auto dense = [&](const packed_supernet::panels& p) { s.project = w.floats(p), s.project_panel = p.step; };
    switch (b.kind) {
    case block_kind::stem: dense(w.stem); break;
    case block_kind::final_expand: dense(w.final_expand); break;
    case block_kind::feature_mix: dense(w.feature_mix); break;
    case block_kind::classifier: dense(w.classifier); break;
    case block_kind::separable:
    case block_kind::inverted_residual: {
      const auto& from = w.blocks[static_cast<std::size_t>(b.supernet_index)];
      s.cut = tiling::of(b, c);
      dense(from.project);
      s.depthwise = w.floats(from.depthwise[static_cast<std::size_t>(b.kernel / 2 - 1)]);
      if (b.kind == block_kind::inverted_residual) s.expand = w.floats(from.expand), s.expand_panel = from.expand.step;
      if (b.se_channels > 0) {
        s.se_reduce = w.floats(from.se_reduce), s.se_reduce_panel = from.se_reduce.step;
        s.se_expand = w.floats(from.se_expand), s.se_expand_panel = from.se_expand.step;
        s.se_reduce_bias = w.floats(from.se_reduce_bias), s.se_expand_bias = w.floats(from.se_expand_bias);
      }
      break;
    }
    }
    return s;
  }
};

} // namespace dynofa::backend::cpu_detail
