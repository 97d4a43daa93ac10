#pragma once
#include "dynofa/core/error.hpp"

#include <bit>
#include <cstdint>
#include <string_view>

namespace dynofa {

/// IEEE-754 half precision → float, exact for every bit pattern (subnormals, infinities, NaN payloads).
constexpr float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = std::uint32_t(h & 0x8000u) << 16;
  const std::uint32_t exponent = h >> 10 & 0x1Fu;
  std::uint32_t mantissa = h & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f; // zero and subnormals
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

/// float → half, round to nearest even; too large becomes infinity, NaN stays NaN.
constexpr std::uint16_t float_to_half(float f) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(f);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u);  // NaN, quiet
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u); // ≥ 65520 rounds to infinity
  if (magnitude < 0x38800000u) { // below 2^-14: subnormal; adding 0.5 aligns the ulp with 2^-24 and rounds to even
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(aligned) - 0x3F000000u));
  }
  const std::uint32_t odd = magnitude >> 13 & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13));
}

/// `float_to_half` of a weight. Throws errc::unsupported, with `where`, for one that would not be a finite half: from
/// ±65520 on, infinity, NaN.
inline std::uint16_t weight_to_half(float weight, std::string_view where) {
  const std::uint16_t half = float_to_half(weight);
  if ((half & 0x7C00u) == 0x7C00u)
    throw error(errc::unsupported, where, "weights that fit half precision", text(weight));
  return half;
}

/// Whether a half holds this float exactly; infinities and NaN do not count. No branch: it is asked of millions of
/// weights.
constexpr bool is_half(float f) {
  const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(f) & 0x7FFFFFFFu;
  const bool normal = (magnitude & 0x1FFFu) == 0 && magnitude - 0x38800000u <= 0x477FE000u - 0x38800000u;
  const float aligned = std::bit_cast<float>(magnitude) + 0.5f; // subnormals: nothing below 2^-24 to lose
  return normal | (magnitude < 0x38800000u && aligned - 0.5f == std::bit_cast<float>(magnitude));
}

/// bfloat16 → float, exact.
constexpr float bfloat16_to_float(std::uint16_t b) { return std::bit_cast<float>(std::uint32_t(b) << 16); }

/// float → bfloat16, round to nearest even, NaN stays NaN.
constexpr std::uint16_t float_to_bfloat16(float f) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(f);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

} // namespace dynofa
