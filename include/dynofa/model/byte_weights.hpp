#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/finite.hpp"
#include "dynofa/model/layout.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// Weights of int8 levels: signed bytes, symmetric, one scale per output channel. The scale is that of the full row of
// the super-network's array, so it is right for every prefix and a sub-network adds nothing. Batch norm is never folded
// in: it differs from level to level, and would spread a row's weights by what does not belong to them.

namespace dynofa {

inline constexpr float largest_byte_weight = 127.f; ///< codes lie in −127 … 127; −128 is not used

/// What bounds the codes of a row.
enum class byte_weight_rule : std::uint8_t {
  full,  ///< the largest weight has code ±127
  pairs, ///< nor are two neighbours of one sign together more than 128: the sum of their products, 255 · 128, fits the
         ///< 16 bits in which AVX2 adds pairs of products. A row loses 0.6 bits to that on average (Tiny ImageNet)
         ///< where seven-bit weights would cost a whole one
};

/// What one step of a row's codes is worth.
inline float byte_step(std::span<const float> row, byte_weight_rule rule) {
  float most = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    most = std::max(most, std::abs(row[i]));
    if (rule == byte_weight_rule::pairs && i > 0 && row[i] * row[i - 1] > 0)
      most = std::max(most, std::abs(row[i] + row[i - 1]));
  }
  return most / largest_byte_weight;
}
/// To nearest, to even on ties; |w| is at most 127 steps.
inline std::int8_t byte_weight(float w, float step) {
  return step > 0 ? static_cast<std::int8_t>(std::clamp(std::nearbyint(w / step), -127.f, 127.f)) : std::int8_t{0};
}

/// The rows and columns of an array that a block reads, as bytes, with each row's step. Throws errc::bad_file for
/// weights that are infinite or NaN.
struct byte_rows {
  std::vector<std::int8_t> codes; ///< [rows][columns]
  std::vector<float> steps;       ///< [rows]

  /// Reads a row-major array `from` at full width.
  byte_rows(const std::vector<float>& from, const weight_extent& read, byte_weight_rule rule = byte_weight_rule::full) {
    codes.reserve(read.size());
    if (const auto bad = first_not_finite(from); bad < from.size())
      throw error(errc::bad_file, "weights in int8", "finite ones", shown(from[bad]));
    const auto pitch = static_cast<std::size_t>(read.pitch);
    for (std::size_t o = 0; o < static_cast<std::size_t>(read.rows); ++o) {
      const std::span row = std::span(from).subspan(o * pitch, pitch);
      steps.push_back(byte_step(row, rule));
      for (const float w : row.first(static_cast<std::size_t>(read.columns)))
        codes.push_back(byte_weight(w, steps.back()));
    }
  }
};

} // namespace dynofa
