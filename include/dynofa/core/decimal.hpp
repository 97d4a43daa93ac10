#pragma once
#include <compare>
#include <concepts>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

namespace dynofa {

/// A number of at most three decimal places, exactly: expand ratios and width multipliers, which files write as 0.65
/// and which are compared, hashed and looked up. May be a template argument (`width<1.2>`; clang 14 has no double
/// ones).
struct decimal {
  std::int32_t thousandths = 0; ///< the number times 1000

  constexpr decimal() = default;
  /// Exact up to ±2 million, which is not checked.
  template <std::integral Number>
  constexpr decimal(Number n) // NOLINT: 3 and 3.0 are the same number
      : thousandths{static_cast<std::int32_t>(n) * 1000} {}
  /// Rounded to three places, at compile time only: a number of the program's text.
  consteval decimal(double v) // NOLINT: meant to convert
      : thousandths{static_cast<std::int32_t>(v * 1000 + 0.5)} {}

  /// `v` if three places hold it to within rounding of a double and it is below 2 million; else nothing.
  static constexpr std::optional<decimal> exactly(double v) {
    if (!(v > -2e6 && v < 2e6)) return std::nullopt;
    decimal d;
    d.thousandths = static_cast<std::int32_t>(v * 1000 + (v < 0 ? -0.5 : 0.5));
    const double off = d.value() - v;
    return off < 1e-9 && off > -1e-9 ? std::optional(d) : std::nullopt;
  }

  constexpr double value() const { return thousandths / 1000.0; }     ///< the nearest double
  constexpr bool is_whole() const { return thousandths % 1000 == 0; } ///< no decimal places
  /// Without the decimal places.
  constexpr explicit operator int() const { return thousandths / 1000; }

  friend constexpr auto operator<=>(const decimal&, const decimal&) = default;
  /// "6", "0.65"
  friend std::ostream& operator<<(std::ostream& out, decimal d) {
    std::string digits = std::to_string(int(d)); // whatever the stream's locale: files hold it
    if (d.is_whole()) return out << digits;
    if (d.thousandths < 0 && int(d) == 0) digits.insert(0, 1, '-');
    digits += '.';
    std::int32_t places = d.thousandths % 1000;
    if (places < 0) places = -places;
    for (std::int32_t unit = 100; places > 0; places %= unit, unit /= 10)
      digits += static_cast<char>('0' + places / unit);
    return out << digits;
  }
};

} // namespace dynofa
