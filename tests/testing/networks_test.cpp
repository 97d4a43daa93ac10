#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>
#include <tuple>

using namespace dynofa;

TEST_CASE("the suite meets every inverted residual that the library knows") {
  std::set<std::tuple<int, int, activation, bool>> seen;
  for (const auto& network : conformance::suite::of_every_block(std::array{8}).networks)
    for (const block& b : network.of.blocks)
      if (b.kind == block_kind::inverted_residual) seen.insert({b.kernel, b.stride, b.act, b.se_channels > 0});
#define DYNOFA_X(kernel, stride, act, se) CHECK(seen.count({kernel, stride, activation::act, se}) == 1);
  DYNOFA_FOR_EACH_INVERTED_RESIDUAL(DYNOFA_X)
#undef DYNOFA_X
}

TEST_CASE("a difference is in root mean squares, and NaN is one") {
  const float wanted[] = {3, -3, 3}, got[] = {3, -3, 3.3f}, broken[] = {3, NAN, 3};
  CHECK(conformance::difference(wanted, wanted) == 0);
  CHECK(conformance::difference(got, wanted) == doctest::Approx(0.1));
  CHECK_FALSE(conformance::difference(broken, wanted) < 1e30);
}
