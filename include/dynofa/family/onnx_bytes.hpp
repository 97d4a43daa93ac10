#pragma once
#include "dynofa/model/byte_rule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

// What an int8 level's blocks are in ONNX: pairs of QuantizeLinear and DequantizeLinear around their convolutions, and
// weights with one positive step per output channel, into which batch norm goes.
//
// ONNX Runtime 1.30 turns DequantizeLinear → Conv → [Relu →] QuantizeLinear into one integer convolution. It does so
// for pairs with a step per channel too, but has no such convolution, and fails when it runs. Hence two forms.
//
// Behind ReLU, where zero is code 0 in every channel, the expansion computes codes itself: its rows are divided by the
// steps of their channels, and the pair behind it has the one step 1. Both convolutions can run on integers.
//
// Elsewhere that pair has steps per channel. Then h-swish stands between convolutions and pairs, or the addition of the
// shift, which keeps ONNX Runtime from joining them.

namespace dynofa::detail {

/// A convolution's weights and what is added to its sums.
struct onnx_rows {
  std::vector<std::int8_t> codes;
  std::vector<float> steps, shift; ///< [rows]; steps are positive
  bool adds_apart = false;         ///< the shift must be a node of its own
  /// The weights had better be constant floats. ONNX Runtime converts codes for every image anew, and its quick
  /// depthwise convolutions take constants only: 1.5 ms instead of 12.9 for 13 of them. Their weights are few.
  bool in_floats = false;

  /// What the codes are worth.
  std::vector<float> values() const {
    std::vector<float> all(codes.begin(), codes.end());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] *= steps[i / (all.size() / steps.size())];
    return all;
  }
};

/// A block of an int8 level.
class onnx_bytes {
public:
  onnx_bytes(const plan& p, const activation_ranges& ranges, std::size_t block)
      : act_{p.blocks[block].act} {
    for (std::size_t i = 0; i < codes_.size(); ++i)
      codes_[i] = byte_codes(p, ranges, block, static_cast<byte_tensor::place>(i));
    const auto& wide = at(byte_tensor::place::expanded);
    to_codes_ = !wide.empty() && std::ranges::all_of(wide, [&](const byte_code& c) { return cuts_off(c); });
  }

  /// The codes of a tensor: one, one for each channel, or none where it stays in floats.
  const std::vector<byte_code>& at(byte_tensor::place where) const { return codes_[static_cast<std::size_t>(where)]; }
  /// Whether the expansion computes codes. Then it has no activation: they end at 0 and 255.
  bool expands_to_codes() const { return to_codes_; }
  /// The codes that its pair makes and reads.
  std::vector<byte_code> pair(byte_tensor::place where) const {
    if (to_codes_ && where == byte_tensor::place::expanded) return {{1, 1, 0}};
    return at(where);
  }

  /// Convolution `norm` of the block. `scale`, `shift`: of its batch norm.
  onnx_rows rows(byte_rows weights, std::span<const float> scale, std::span<const float> shift, int norm) const {
    using enum byte_tensor::place;
    const std::vector<byte_code>&wide = at(expanded), &gated = at(ungated);
    const bool makes = norm == 0 && !wide.empty(), reads = norm == 1; // a tensor with a range per channel
    const float of_input = reads ? 1.f : at(norm == 0 ? input : projected)[0].step;
    const bool dead = of_input == 0; // all that it multiplies is zero
    const float step_in = dead ? 1.f : of_input;
    onnx_rows r{std::move(weights.codes), std::move(weights.steps), {shift.begin(), shift.end()}, dead};
    const std::size_t columns = r.codes.size() / r.steps.size();
    for (std::size_t o = 0; o < r.steps.size(); ++o) {
      float step = r.steps[o] * scale[o], add = shift[o];
      if (to_codes_ && makes) step *= wide[o].inverse, add *= wide[o].inverse;
      if (to_codes_ && reads) step *= wide[o].step;
      if (reads && !gated.empty() && gated[o].step == 0) step = add = 0; // what squeeze-excite reads is zero too
      const auto codes = std::span(r.codes).subspan(o * columns, columns);
      if (step < 0)
        for (auto& c : codes) c = static_cast<std::int8_t>(-c);
      if (step == 0) std::ranges::fill(codes, std::int8_t{0});
      // ONNX Runtime keeps the shift as an int32 in units of both steps. Any step is right for a row of zeros, and this
      // one leaves the shift 20 bits.
      r.steps[o] = step != 0 ? std::abs(step) : add != 0 ? std::max(least, std::abs(add) * 0x1p-20f / step_in) : 1.f;
      r.shift[o] = add;
      r.adds_apart |= !(std::abs(add) < 0x1p30f * (r.steps[o] * step_in));
    }
    const bool per_channel = !to_codes_ && (makes || reads);
    if (per_channel) r.adds_apart = act_ != activation::h_swish;
    r.in_floats = reads && (per_channel || !gated.empty()) && !r.adds_apart;
    return r;
  }

private:
  static constexpr float least = std::numeric_limits<float>::min();

  /// Whether the ends of a code do what the activation does.
  bool cuts_off(const byte_code& c) const {
    const bool at_six = act_ == activation::relu6 && (c.step == 0 || c.code(6.f) == 255);
    return c.zero == 0 && (act_ == activation::relu || at_six);
  }

  activation act_;
  std::array<std::vector<byte_code>, 4> codes_;
  bool to_codes_ = false;
};

} // namespace dynofa::detail
