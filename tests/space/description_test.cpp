#include "dynofa/space/description.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace dynofa_test::space_description_test {

using namespace dynofa;

TEST_CASE("make_divisible is once-for-all's rule") {
  CHECK(make_divisible(16) == 16);
  CHECK(make_divisible(19.2) == 24); // 16 would be more than 10 % below
  CHECK(make_divisible(18) == 24);
  CHECK(make_divisible(36) == 40);
  CHECK(make_divisible(102) == 104);
  CHECK(make_divisible(204) == 208);
  CHECK(make_divisible(1) == 8);
  for (double v = 1; v < 3000; v += 0.25) {
    const int n = make_divisible(v);
    REQUIRE(n % 8 == 0);
    REQUIRE(n >= 0.9 * v);
    REQUIRE(n < std::max(8.5, v + 8));
  }
}

TEST_CASE("channels run from stage to stage") {
  constexpr auto& space = ofa_w1_2::description;
  CHECK(space.block_count() == 20);
  CHECK(space.first_block(3) == 12);
  CHECK(space.stage_of(11) == 2);
  CHECK(space.stage_of(12) == 3);
  CHECK(space.in_channels(0, 0) == 24);
  CHECK(space.in_channels(0, 1) == 32);
  CHECK(space.in_channels(3, 0) == 96);
  CHECK(space.in_channels(3, 3) == 136);
  CHECK(space.mid_channels(0, 0, 3) == 72);
  CHECK(space.mid_channels(4, 1, 6) == 1152);
}

TEST_CASE("the published space holds about 2e19 networks") {
  // per stage: depth 2, 3, 4 with 9 choices a block
  const double stage = 9.0 * 9 + 9.0 * 9 * 9 + 9.0 * 9 * 9 * 9;
  CHECK(ofa_w1_2::cardinality == std::pow(stage, 5));
  CHECK(ofa_w1_2::cardinality == doctest::Approx(2.18e19).epsilon(0.01));
}

TEST_CASE("cardinality counts each network of a small space once") {
  space_description space;
  space.stages.push_back({8, 1, activation::relu, false, {1, 2}, {3}, {3, 5}});
  space.stages.push_back({8, 1, activation::relu, false, {1}, {3, 6}, {3}});
  CHECK(space.cardinality() == (2 + 4) * 2);
}

TEST_CASE("descriptions are equal when every field is") {
  space_description a = ofa_w1_0::description, b = a;
  CHECK(a == b);
  b.stages[2].squeeze_excite = true;
  CHECK(a != b);
  b = a;
  b.bn_epsilon = 1e-3f;
  CHECK(a != b);
  CHECK(ofa_w1_0::description != ofa_w1_2::description);
}

} // namespace dynofa_test::space_description_test
