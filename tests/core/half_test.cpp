#include "dynofa/core/half.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace dynofa_test::core_half {

using namespace dynofa;

TEST_CASE("every half survives the way to float and back") {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const auto bits = static_cast<std::uint16_t>(h);
    const float f = half_to_float(bits);
    if (std::isnan(f))
      CHECK(std::isnan(half_to_float(float_to_half(f))));
    else
      REQUIRE(float_to_half(f) == bits);
  }
}

TEST_CASE("float to half rounds to nearest even") {
  CHECK(half_to_float(0x3C00) == 1.0f);
  CHECK(float_to_half(1.0f + 0x1p-11f) == 0x3C00);            // a tie, down to even
  CHECK(float_to_half(1.0f + 3 * 0x1p-11f) == 0x3C02);        // a tie, up to even
  CHECK(float_to_half(1.0f + 0x1p-11f + 0x1p-20f) == 0x3C01); // just above a tie
  CHECK(float_to_half(65519.0f) == 0x7BFF);
  CHECK(float_to_half(65520.0f) == 0x7C00);
  CHECK(float_to_half(0x1p-25f) == 0x0000); // a tie between 0 and the smallest subnormal
  CHECK(float_to_half(-0x1.8p-25f) == 0x8001);
}

TEST_CASE("which floats are halves") {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const float f = half_to_float(static_cast<std::uint16_t>(h));
    REQUIRE(is_half(f) == std::isfinite(f));
    if (std::isfinite(f)) {
      REQUIRE_FALSE(is_half(std::nextafter(f, 1e30f)));
      REQUIRE_FALSE(is_half(std::nextafter(f, -1e30f)));
    }
  }
  CHECK_FALSE(is_half(65520.0f));
  CHECK_FALSE(is_half(65536.0f));
  CHECK_FALSE(is_half(0x1p-25f));
  CHECK_FALSE(is_half(0x1.8p-24f));
  CHECK(is_half(-0.0f));
  std::uint32_t bits = 1;
  for (int n = 0; n < 1'000'000; ++n) {
    bits = bits * 1664525 + 1013904223;
    const float f = std::bit_cast<float>(bits & (n % 2 ? 0xFFFFE000u : 0xFFFFFFFFu));
    REQUIRE(is_half(f) == (std::isfinite(f) && half_to_float(float_to_half(f)) == f));
  }
}

TEST_CASE("a weight that no finite half is near is refused") {
  CHECK(weight_to_half(-65519.0f, "w") == 0xFBFF);
  CHECK_THROWS_WITH_AS(weight_to_half(65520.0f, "w"), "w: expected weights that fit half precision, got 65520", error);
  CHECK_THROWS_AS(weight_to_half(-INFINITY, "w"), error);
  CHECK_THROWS_AS(weight_to_half(std::nanf(""), "w"), error);
}

TEST_CASE("bfloat16 rounds to nearest even") {
  CHECK(float_to_bfloat16(1.0f) == 0x3F80);
  CHECK(float_to_bfloat16(1.0f + 0x1p-8f) == 0x3F80);
  CHECK(float_to_bfloat16(1.0f + 3 * 0x1p-8f) == 0x3F82);
  CHECK(std::isnan(bfloat16_to_float(float_to_bfloat16(std::nanf("")))));
  CHECK(bfloat16_to_float(float_to_bfloat16(-INFINITY)) == -INFINITY);
}

} // namespace dynofa_test::core_half
