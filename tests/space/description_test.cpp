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

TEST_CASE("ResNet: widths by number, and inner channels of the output width") {
  constexpr space_description d = ofa_resnet50_space::description;
  CHECK(d.width_count() == 6);
  const int stem[] = {24, 24, 32}, deep[] = {40, 48, 64},
            stages[][3] = {{168, 208, 256}, {336, 408, 512}, {664, 816, 1024}, {1328, 1640, 2048}};
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(d.width_at(d.stem_width, i) == stem[i]);
    CHECK(d.width_at(d.stages[0].width, i) == deep[i]);
    for (std::size_t s = 0; s < 4; ++s) CHECK(d.width_at(d.stages[s + 1].width, i) == stages[s][i]);
  }
  CHECK(d.mid_channels(1, 64, 256, 0.35) == 88);        // of the output, whatever comes in: 89.6
  CHECK(d.mid_channels(1, 40, 168, 0.2) == 32);         // 33.6
  CHECK(d.mid_channels(1, 8, 34, 0.25) == 8);           // 8.5 → 8, as Python rounds halves; 9 would be 16
  CHECK(d.mid_channels(1, 8, 106, 0.25) == 24);         // 26.5 → 26; 27 would be 32
  CHECK(d.mid_channels(1, 8, 38, 0.25) == 16);          // 9.5 → 10
  CHECK(ofa_w1_2::description.width_at(104, 3) == 104); // fixed
}

TEST_CASE("ResNet: a deep stem has a depth and no blocks") {
  constexpr space_description d = ofa_resnet50_space::description;
  CHECK(d.has_deep_stem());
  CHECK(d.blocks_of(0) == 0);
  CHECK(d.stages[0].depths == choices{0, 2});
  CHECK(d.block_count() == 18);
  const std::size_t first[] = {0, 0, 4, 8, 14, 18};
  for (std::size_t s = 0; s <= 5; ++s) CHECK(d.first_block(s) == first[s]);
  for (std::size_t b = 0; b < 18; ++b) CHECK(d.stage_of(b) == (b < 4 ? 1u : b < 8 ? 2u : b < 14 ? 3u : 4u));
  CHECK_FALSE(ofa_w1_2::description.has_deep_stem());
}

TEST_CASE("cardinality counts fixed blocks, the deep stem's depths and every width") {
  const auto stage = [](int fixed) { return std::pow(3.0, fixed) * (1 + 3 + 9); };
  const double all = std::pow(3.0, 6) * 2 * stage(2) * stage(2) * stage(4) * stage(2);
  CHECK(ofa_resnet50_space::cardinality == all);
  space_description one = ofa_resnet50_space::description;
  one.one_width = true;
  CHECK(one.cardinality() == all / std::pow(3.0, 5));
}

} // namespace dynofa_test::space_description_test
