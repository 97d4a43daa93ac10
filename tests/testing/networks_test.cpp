#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>
#include <tuple>

namespace dynofa_test::testing_networks {

using namespace dynofa;

TEST_CASE("the suite meets every inverted residual that the library knows") {
  std::set<std::tuple<int, int, activation, bool>> seen;
  for (const auto& network : conformance::suite::of_every_block(std::array{8}).networks)
    for (const block& b : network.of.blocks)
      if (b.kind == block_kind::inverted_residual) seen.insert({b.kernel, b.stride, b.act, b.se_channels > 0});
  for (int kernel : {3, 5, 7})
    for (int stride : {1, 2})
      for (activation act : {activation::relu, activation::h_swish})
        for (bool se : {false, true}) CHECK(seen.count({kernel, stride, act, se}) == 1);
}

TEST_CASE("a difference is in root mean squares, and NaN is one") {
  const float wanted[] = {3, -3, 3}, got[] = {3, -3, 3.3f}, broken[] = {3, NAN, 3};
  CHECK(conformance::difference(wanted, wanted) == 0);
  CHECK(conformance::difference(got, wanted) == doctest::Approx(0.1));
  CHECK_FALSE(conformance::difference(broken, wanted) < 1e30);
}

TEST_CASE("the suite meets every bottleneck that the library knows, and all around them") {
  std::set<std::tuple<int, int, bool>> seen;
  std::set<block_kind> kinds;
  for (const auto& network : conformance::suite::of_bottlenecks(std::array{8}).networks)
    for (const block& b : network.of.blocks) {
      kinds.insert(b.kind);
      if (b.kind == block_kind::bottleneck) seen.insert({b.kernel, b.stride, b.residual});
      if (b.kind == block_kind::convolution) seen.insert({0, 0, b.residual});
    }
  using seen_block = std::tuple<int, int, bool>;
  for (const seen_block& wanted :
       {seen_block{3, 1, true}, {3, 1, false}, {3, 2, false}, {5, 1, true}, {5, 2, false}, {0, 0, true}, {0, 0, false}})
    CHECK(seen.count(wanted) == 1);
  for (const block_kind kind : {block_kind::max_pool, block_kind::average_pool}) CHECK(kinds.count(kind) == 1);
}

} // namespace dynofa_test::testing_networks
