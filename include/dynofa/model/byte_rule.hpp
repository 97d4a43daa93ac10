#pragma once
#include "dynofa/core/block.hpp"
#include "dynofa/model/byte_weights.hpp"
#include "dynofa/model/ranges.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// How an int8 level goes from an exact sum of products to the next code. Reference and kernels take the numbers from
// here, so that they agree to the bit.

namespace dynofa {

/// The codes of a tensor in block `b` of a plan: one, or one for each channel; none where it stays in floats.
inline std::vector<byte_code> byte_codes(const plan& p, const activation_ranges& r, std::size_t b,
                                         byte_tensor::place where) {
  std::vector<byte_code> codes;
  for (const byte_tensor& t : byte_tensors(p))
    for (std::size_t c = 0; t.block == b && t.where == where && c < static_cast<std::size_t>(t.ranges); ++c)
      codes.push_back(byte_code::of(r.low[t.offset + c], r.high[t.offset + c]));
  return codes;
}

/// Throws errc::unsupported where `p` has dense k×k convolutions, which the rule does not know; errc::mismatch unless a
/// level has activation ranges, and those of `p`; errc::bad_file for ranges that cannot be.
inline void require_byte_level(std::string_view where, const plan& p, const activation_ranges& r) {
  for (const block& b : p.blocks)
    if (b.has_dense()) throw error(errc::unsupported, where, "depthwise k×k convolutions", "one of all channels");
  if (r.empty())
    throw error(errc::mismatch, where, "a level with activation ranges, as record_ranges makes them",
                text("one without, ", p.arch));
  check_ranges(p, r, where);
}

/// From a sum Σ (code − zero) · weight code of one output channel to that channel's code: batch norm, activation and
/// both scales in one line and one bend.
struct code_line {
  float scale = 0, shift = 0; ///< the value before the activation, in codes
  float bend = 0;             ///< of h-swish a sixth of a code's value, of ReLU6 six in codes
  float zero = 0;             ///< the code of 0.0

  /// `scale`, `shift`: of batch norm; `step`: the value of one unit of the sum.
  static code_line of(float scale, float shift, float step, activation act, const byte_code& out) {
    return {scale * step * out.inverse, shift * out.inverse,
            act == activation::h_swish ? out.step / 6.f : 6.f * out.inverse, static_cast<float>(out.zero)};
  }
  /// Before it is rounded.
  float apply(std::int32_t sum, activation act) const {
    const float y = std::fma(static_cast<float>(sum), scale, shift);
    switch (act) {
    case activation::relu: return std::max(0.f, y) + zero;
    case activation::relu6: return std::min(bend, std::max(0.f, y)) + zero;
    case activation::h_swish: return std::fma(y, std::min(1.f, std::max(0.f, std::fma(y, bend, .5f))), zero);
    default: return y + zero;
    }
  }
};

/// Rounded to even, cut off at 0 and 255.
inline std::uint8_t rounded_code(float x) {
  const float at = std::nearbyint(x);
  return static_cast<std::uint8_t>(at > 0.f ? std::min(at, 255.f) : 0.f); // NaN becomes 0
}

/// What squeeze-excite does to codes: those of one channel's range, times its gate, become codes of the tensor's range.
struct gated_code {
  float factor, shift; ///< code of the gated value = code · factor + shift
  /// From codes of `from`, times `gate`, to codes of `to`.
  gated_code(float gate, const byte_code& from, const byte_code& to)
      : factor{gate * ratio(from, to)}
      , shift{std::fma(static_cast<float>(-from.zero), factor, static_cast<float>(to.zero))} {}
  /// The quotient of the two ranges' steps.
  static float ratio(const byte_code& from, const byte_code& to) { return from.step * to.inverse; }
  /// The new code before rounding.
  float apply(std::uint8_t code) const { return std::fma(static_cast<float>(code), factor, shift); }
};

} // namespace dynofa
