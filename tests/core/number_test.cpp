#include "dynofa/core/number.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::core_number {

using namespace dynofa;

TEST_CASE("a text is a number as a whole or not at all") {
  CHECK(parse_number<double>("4.25") == 4.25);
  CHECK(parse_number<double>("-1e-3") == -1e-3);
  CHECK(parse_number<int>("-12") == -12);
  for (const char* none : {"", " ", "4,25", "4.25 ", "x", "--1", "1e999"}) {
    CAPTURE(none);
    CHECK_FALSE(parse_number<double>(none));
  }
  CHECK_FALSE(parse_number<int>("4.0"));
  CHECK_FALSE(parse_number<unsigned>("-1"));
}

TEST_CASE("numbers are taken from the front") {
  std::string_view line = " 1.5\t2 km";
  CHECK(take_number<double>(line) == 1.5);
  CHECK(take_number<int>(line) == 2);
  CHECK_FALSE(take_number<int>(line));
  CHECK(line == " km");
}

} // namespace dynofa_test::core_number
