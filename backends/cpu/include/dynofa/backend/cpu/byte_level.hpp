#pragma once
#include "dynofa/backend/cpu/byte_tiling.hpp"
#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/core/error.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/byte_rule.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// What an int8 level adds to one block: codes of its tensors, sums of its weights over the prefix it reads, and the
/// lines from sums to codes. All per channel and padded to whole blocks of 16, with zeros.
struct byte_step {
  struct lines {
    const float *scale = nullptr, *shift = nullptr, *bend = nullptr, *zero = nullptr;
  };
  byte_tiling tiles;
  byte_code input, projected;
  const std::int8_t* depthwise = nullptr;
  lines expanded;                          ///< sums of the expansion → codes that the depthwise convolution reads
  lines deep;                              ///< its sums → codes; `bend` and `zero` of one block if their range is one
  bool one_range = true;                   ///< of `deep`
  const std::uint8_t* zero = nullptr;      ///< [mid][4] of `expanded`
  const float* ungated_step = nullptr;     ///< the value of a code before squeeze-excite
  const float* gate_ratio = nullptr;       ///< `gated_code::ratio`
  const std::int32_t* weight_sums[2] = {}; ///< of the expansion, and of the projection or the 1×1 before pooling
  lines output;                            ///< scale and shift from sums to floats
};

/// All of a level's, in one allocation.
struct byte_level {
  aligned_bytes data;
  std::vector<byte_step> steps; ///< per block of the plan; of blocks in floats they are empty
  std::size_t bytes() const { return data.size() + steps.size() * sizeof(byte_step); }
};

/// Makes a level's byte_level.
class byte_binding {
public:
  /// Throws what `require_byte_level` throws.
  static byte_level of(const packed_supernet& w, const plan& p, const scale_shift& norms, const caches& c) {
    require_byte_level("cpu backend bind, int8", p, norms.ranges);
    byte_binding b(w, p, norms, c);
    b.lay_out();                              // once to count …
    b.level_.data = aligned_bytes{b.cursor_}; // … and once to write
    b.writing_ = true;
    b.lay_out();
    return std::move(b.level_);
  }

private:
  byte_level level_;
  std::size_t cursor_ = 0;
  bool writing_ = false;
  const packed_supernet& weights_;
  const plan& plan_;
  const scale_shift& norms_;
  const caches& caches_;

  byte_binding(const packed_supernet& w, const plan& p, const scale_shift& norms, const caches& c)
      : weights_{w}
      , plan_{p}
      , norms_{norms}
      , caches_{c} {}

  template <class T>
  T* take(std::size_t count) {
    T* const at = writing_ ? level_.data.as<T>(cursor_) : nullptr;
    cursor_ += (count * sizeof(T) + 63) / 64 * 64;
    return at;
  }
  byte_code code_of(const byte_tensor& t, int channel) const {
    const std::size_t i = t.offset + static_cast<std::size_t>(t.ranges > 1 ? channel : 0);
    return byte_code::of(norms_.ranges.low[i], norms_.ranges.high[i]);
  }

  void lay_out() {
    cursor_ = 0;
    level_.steps.assign(plan_.blocks.size(), {});
    const auto tensors = byte_tensors(plan_);
    for (std::size_t i = 0, count; i < tensors.size(); i += count) {
      for (count = 1; i + count < tensors.size() && tensors[i + count].block == tensors[i].block;) ++count;
      bind(tensors[i].block, std::span(tensors).subspan(i, count));
    }
  }

  void bind(std::size_t at, std::span<const byte_tensor> tensors) {
    const block& b = plan_.blocks[at];
    byte_step& s = level_.steps[at];
    s.input = code_of(tensors.front(), 0);
    if (b.kind == block_kind::final_expand) {
      bind_floats(at, 0, s.input, b.in_channels, s.output, s.weight_sums[1]);
      return;
    }
    s.tiles = byte_tiling::of(b, caches_);
    const byte_tensor &expanded = tensors[1], &projected = tensors.back();
    s.projected = code_of(projected, 0);
    const bool gated = b.se_channels > 0;
    const byte_tensor& deep = gated ? tensors[2] : projected;

    const auto& expand = array(b, weight_role::expand);
    s.weight_sums[0] = sums_of(expand, b.mid_channels, b.in_channels);
    s.expanded = lines(
        at, 0, expand, [&](int) { return s.input.step; }, expanded);
    s.zero = zeros_of(expanded, b.mid_channels);

    const auto& depthwise = array(b, weight_role::depthwise);
    s.depthwise = weights_.data.as<const std::int8_t>(depthwise.start);
    s.deep = lines(
        at, 1, depthwise, [&](int c) { return code_of(expanded, c).step; }, deep);
    s.one_range = !gated;
    if (gated) {
      auto* const step = take<float>(static_cast<std::size_t>(padded(b.mid_channels)));
      auto* const ratio = take<float>(static_cast<std::size_t>(padded(b.mid_channels)));
      for (int c = 0; writing_ && c < b.mid_channels; ++c) {
        step[c] = code_of(deep, c).step;
        ratio[c] = gated_code::ratio(code_of(deep, c), s.projected);
      }
      s.ungated_step = step, s.gate_ratio = ratio;
    }
    bind_floats(at, 2, s.projected, b.mid_channels, s.output, s.weight_sums[1]);
  }

  const packed_supernet::panels& array(const block& b, weight_role role) const {
    return weights_.arrays[weights_.layout.find(b, role).value()];
  }
  /// Batch norm n of block `at`, channel c.
  std::array<float, 2> norm(std::size_t at, int n, int c) const {
    const auto& of = plan_.norms[static_cast<std::size_t>(plan_.first_norm(at) + n)];
    const auto i = static_cast<std::size_t>(of.offset + c);
    return {norms_.scale[i], norms_.shift[i]};
  }

  /// Sums of a panel's weights over the first `inputs`.
  const std::int32_t* sums_of(const packed_supernet::panels& p, int outputs, int inputs) {
    auto* const sums = take<std::int32_t>(static_cast<std::size_t>(padded(outputs)));
    const auto* const codes = weights_.data.as<const std::int8_t>(p.start);
    for (int o = 0; writing_ && o < outputs; ++o)
      for (int i = 0; i < inputs; ++i)
        sums[o] += codes[static_cast<std::size_t>(o / lane_block) * p.step +
                         static_cast<std::size_t>((i / 4 * lane_block + o % lane_block) * 4 + i % 4)];
    return sums;
  }
  const std::uint8_t* zeros_of(const byte_tensor& t, int channels) {
    auto* const zeros = take<std::uint8_t>(static_cast<std::size_t>(padded(channels)) * 4);
    for (int c = 0; writing_ && c < channels; ++c)
      std::fill_n(zeros + c * 4, 4, static_cast<std::uint8_t>(code_of(t, c).zero));
    return zeros;
  }

  /// Lines of batch norm n: from sums whose unit is step_in(channel) times the weight's, to codes of
  /// `out`.
  template <class StepIn>
  byte_step::lines lines(std::size_t at, int n, const packed_supernet::panels& weights, StepIn step_in,
                         const byte_tensor& out) {
    const block& b = plan_.blocks[at];
    const auto wide = static_cast<std::size_t>(padded(b.mid_channels));
    const auto coded = out.ranges > 1 ? wide : std::size_t{lane_block};
    auto *const scale = take<float>(wide), *const shift = take<float>(wide), *const bend = take<float>(coded),
                *const zero = take<float>(coded);
    const float* const steps = weights_.steps(weights);
    for (int c = 0; writing_ && c < b.mid_channels; ++c) {
      const auto [by, plus] = norm(at, n, c);
      const code_line line = code_line::of(by, plus, step_in(c) * steps[c], b.act, code_of(out, c));
      scale[c] = line.scale, shift[c] = line.shift;
      if (out.ranges > 1 || c < lane_block) bend[c] = line.bend, zero[c] = line.zero;
    }
    return {scale, shift, bend, zero};
  }

  void bind_floats(std::size_t at, int n, const byte_code& in, int inputs, byte_step::lines& out,
                   const std::int32_t*& sums) {
    const block& b = plan_.blocks[at];
    const auto& weights = array(b, weight_role::output);
    sums = sums_of(weights, b.out_channels, inputs);
    const auto wide = static_cast<std::size_t>(padded(b.out_channels));
    auto *const scale = take<float>(wide), *const shift = take<float>(wide);
    for (int c = 0; writing_ && c < b.out_channels; ++c) {
      const auto [by, plus] = norm(at, n, c);
      scale[c] = by * (in.step * weights_.steps(weights)[c]), shift[c] = plus;
    }
    out = {scale, shift, nullptr, nullptr};
  }
};

} // namespace dynofa::backend::cpu_detail
