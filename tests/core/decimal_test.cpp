#include "dynofa/core/decimal.hpp"
#include "dynofa/core/error.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::core_decimal_test {

using namespace dynofa;

TEST_CASE("a decimal is exact and compares with whole numbers") {
  constexpr decimal ratio = 0.65, six = 6;
  CHECK(ratio.thousandths == 650);
  CHECK(six == 6);
  CHECK(six > ratio);
  CHECK(int(decimal(2.999)) == 2);
  CHECK(six.is_whole());
  CHECK_FALSE(ratio.is_whole());
}

TEST_CASE("numbers of files become decimals only where three places hold them") {
  for (int n = -4000; n <= 4000; n += 7) {
    const auto d = decimal::exactly(n / 1000.0);
    REQUIRE(d.has_value());
    CHECK(d->thousandths == n);
  }
  CHECK_FALSE(decimal::exactly(0.6505));
  CHECK_FALSE(decimal::exactly(1e9));
  CHECK_FALSE(decimal::exactly(0.0 / 0.0 * 1));
}

TEST_CASE("a decimal is written as files write it") {
  CHECK(text(decimal(6)) == "6");
  CHECK(text(decimal(0.65)) == "0.65");
  CHECK(text(decimal(1.205)) == "1.205");
  CHECK(text(decimal(0.05)) == "0.05");
  CHECK(text(*decimal::exactly(-0.2)) == "-0.2");
  CHECK(text(decimal(-3)) == "-3");
}

} // namespace dynofa_test::core_decimal_test
