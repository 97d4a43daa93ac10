#pragma once
#include "dynofa/backend/cpu/byte_level.hpp"
#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/backend/cpu/tiling.hpp"
#include "dynofa/backend/cpu/workspace.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// One block of a level, ready to run: shapes, pointers into the packed weights and into the level's scales and shifts.
struct step {
  block b;
  tiling tiles;
  int in_blocks, mid_blocks, out_blocks; ///< channels / 16, rounded up
  epilogue act, project_act, out_act, se_act, se_gate;
  const void *expand, *project; ///< of the level's number format
  const float* depthwise;
  const float* dense;               ///< k×k, of a bottleneck or a convolution
  packed_supernet::panels winograd; ///< its transformed weights, `step` 0 if it is worked out directly
  const void* shortcut;             ///< 1×1 of a bottleneck's shortcut
  std::size_t expand_panel, project_panel, dense_panel, dense_tap, shortcut_panel;
  const void *se_reduce, *se_expand;
  std::size_t se_reduce_panel, se_expand_panel;
  const float *se_reduce_bias, *se_expand_bias, *output_bias;
  const float *se_reduce_steps, *se_expand_steps, *project_steps; ///< of weights in bytes, else null
  const float *scale[4], *shift[4];
  std::size_t map;        ///< of a named map: where it starts in the maps of one image, in floats
  const byte_step* bytes; ///< of an int8 level's blocks that multiply bytes, else null
  const void* following;  ///< the weights that the next step reads first, or null
};

constexpr epilogue epilogue_of(activation a) {
  switch (a) {
  case activation::relu: return epilogue::relu;
  case activation::relu6: return epilogue::relu6;
  case activation::h_swish: return epilogue::h_swish;
  case activation::h_sigmoid: return epilogue::h_sigmoid;
  default: return epilogue::identity;
  }
}

/// One level: its plan and its batch-norm scale and shift, padded to whole blocks of 16 channels. It owns no weights.
struct bound_level {
  dynofa::plan plan;
  std::shared_ptr<const packed_supernet> weights;
  aligned_bytes norms; ///< per batch norm: scale, shift; zeros in the padding keep padded channels at zero
  std::vector<step> steps;
  byte_level in_bytes;           ///< of an int8 level
  bool fused_front = false;      ///< the first three blocks run as one, unless in half precision
  bool fits_half = false;        ///< computed in half precision if the instruction set does
  std::size_t after_pooling = 0; ///< the first step that works on vectors
  std::size_t map_floats = 0;    ///< of all named maps of one image

  std::size_t bytes() const {
    return norms.size() + in_bytes.bytes() + steps.size() * sizeof(step) + plan.blocks.size() * sizeof(block) +
           plan.norms.size() * sizeof(plan::norm) + plan.first_norms.size() * sizeof(std::int32_t) + sizeof(*this);
  }

  bound_level(std::shared_ptr<const packed_supernet> w, const dynofa::plan& p, const scale_shift& affine,
              const caches& c)
      : plan{p}
      , weights{std::move(w)} {
    check_bind("cpu backend bind", weights->space, plan, affine);
    for (const block& b : plan.blocks)
      if (!weights->part.holds(weights->layout, b))
        throw error(errc::mismatch, "cpu backend bind", "a plan that the super-network was packed for",
                    text("one that reads more of block ", weights->layout.number_of(b.unit), ", ", plan.arch));
    for (const block& b : plan.blocks) {
      if (b.act == activation::h_sigmoid || b.project_act == activation::h_sigmoid ||
          (b.out_act != activation::identity && b.out_act != activation::relu) ||
          (b.mid_channels > 0 && b.residual && b.project_act != activation::identity) ||
          (weights->format == number_format::bf16 && b.project_act != activation::identity))
        throw error(errc::unsupported, "cpu backend bind", "activations that its stores compute",
                    text("another in unit ", b.unit));
      if ((weights->format == number_format::bf16 || weights->format == number_format::int8) && b.has_dense())
        throw error(errc::unsupported, "cpu backend bind", "fp32 or fp16 weights for k×k convolutions",
                    weights->format == number_format::bf16 ? "bf16" : "int8");
    }
    if (weights->format == number_format::int8) in_bytes = byte_binding::of(*weights, plan, affine, c);
    std::size_t total = 0;
    for (std::size_t i = 0; i < plan.blocks.size(); ++i)
      for (int n = 0; !is_in_bytes(i) && n < plan.blocks[i].norm_count(); ++n)
        total += 2 * static_cast<std::size_t>(padded(plan.blocks[i].norm_channels(n)));
    norms = aligned_bytes{total * sizeof(float)};
    float* at = norms.as<float>();
    for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
      step& s = steps.emplace_back(make_step(plan.blocks[i], c));
      if (is_in_bytes(i)) {
        s.bytes = &in_bytes.steps[i];
        continue;
      }
      for (int n = 0; n < s.b.norm_count(); ++n) {
        const auto& norm = plan.norms[static_cast<std::size_t>(plan.first_norm(i) + n)];
        for (const auto& [values, to] :
             {std::pair{&affine.scale, &s.scale[n]}, std::pair{&affine.shift, &s.shift[n]}}) {
          std::copy_n(values->begin() + norm.offset, norm.channels, at);
          *to = at;
          at += padded(norm.channels);
        }
      }
    }
    for (std::size_t i = 0; i + 1 < steps.size(); ++i)
      steps[i].following = steps[i + 1].expand ? steps[i + 1].expand : steps[i + 1].project;
    for (step& s : steps)
      if (s.b.output > 0) s.map = map_floats, map_floats += arena_sizes::map_of(s.b);
    fused_front = front_is_fused(plan, c) && (!steps[2].bytes || steps[2].bytes->tiles.banded);
    fits_half = weights->format == number_format::fp16 && !weights->exact &&
                std::none_of(plan.blocks.begin(), plan.blocks.end(), [](const block& b) { return b.has_dense(); });
    after_pooling = plan.pooling_block() + 1;
  }

private:
  bool is_in_bytes(std::size_t block) const {
    return block < in_bytes.steps.size() && in_bytes.steps[block].output.scale;
  }

  step make_step(const block& b, const caches& c) const {
    step s{};
    s.b = b;
    s.in_blocks = blocks_of(b.in_channels);
    s.mid_blocks = blocks_of(b.mid_channels);
    s.out_blocks = blocks_of(b.out_channels);
    s.act = epilogue_of(b.act), s.project_act = epilogue_of(b.project_act), s.out_act = epilogue_of(b.out_act);
    s.se_act = epilogue_of(b.se_act), s.se_gate = epilogue_of(b.se_gate);
    if (b.mid_channels > 0 || b.has_dense()) s.tiles = tiling::of(b, c);
    const packed_supernet& w = *weights;
    for (const weight_array& array : w.layout.weights_of(b.unit)) {
      const packed_supernet::panels& p = w.arrays[w.layout.index_of(array)];
      const float* const data = w.floats(p);
      const float* const steps_of = w.steps(p);
      switch (array.role()) {
      case weight_role::expand: s.expand = data, s.expand_panel = p.step; break;
      case weight_role::depthwise:
        if (array.kernel == b.kernel) s.depthwise = data;
        break;
      case weight_role::se_reduce: s.se_reduce = data, s.se_reduce_panel = p.step, s.se_reduce_steps = steps_of; break;
      case weight_role::se_reduce_bias: s.se_reduce_bias = data; break;
      case weight_role::se_expand: s.se_expand = data, s.se_expand_panel = p.step, s.se_expand_steps = steps_of; break;
      case weight_role::se_expand_bias: s.se_expand_bias = data; break;
      case weight_role::output:
        if (b.kind != block_kind::convolution) {
          s.project = data, s.project_panel = p.step, s.project_steps = steps_of;
          break;
        }
        [[fallthrough]];
      case weight_role::dense:
        s.dense = data, s.dense_panel = p.step, s.dense_tap = p.tap;
        if (winograd::suits(b)) s.winograd = w.transformed[w.layout.index_of(array)];
        break;
      case weight_role::shortcut: s.shortcut = data, s.shortcut_panel = p.step; break;
      case weight_role::output_bias: s.output_bias = data; break;
      }
    }
    return s;
  }
};

} // namespace dynofa::backend::cpu_detail
