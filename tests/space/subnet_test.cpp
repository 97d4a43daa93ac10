#include "dynofa/space/sampling.hpp"
#include "dynofa/space/subnet.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"

namespace dynofa_test::space_subnet {

using namespace dynofa;

TEST_CASE("one value holds everywhere, what is left out is the largest on offer") {
  constexpr arch a = subnet<ofa_w1_2, depth<2>, kernel<3>>{};
  static_assert(ofa_w1_2::contains(a));
  CHECK(a.ks.size() == 20);
  for (int k : a.ks) CHECK(k == 3);
  for (const decimal e : a.e) CHECK(e == 6);
  for (int d : a.d) CHECK(d == 2);
  CHECK(a.r == 224);
  CHECK(subnet<ofa_w1_2>::value == largest(ofa_w1_2::description));
  CHECK(subnet<ofa_w1_2, resolution<160>, expand<3>, kernel<3>, depth<2>>::value == smallest(ofa_w1_2::description));
}

TEST_CASE("five values are one per stage, twenty one per block") {
  constexpr arch a = subnet<ofa_w1_2, depth<2, 3, 4, 2, 3>, expand<3, 4, 6, 3, 4>,
                            kernel<3, 5, 7, 3, 5, 5, 5, 5, 7, 7, 7, 7, 3, 3, 3, 3, 5, 3, 5, 3>, resolution<176>>{};
  const int d[] = {2, 3, 4, 2, 3}, e[] = {3, 4, 6, 3, 4};
  const int ks[] = {3, 5, 7, 3, 5, 5, 5, 5, 7, 7, 7, 7, 3, 3, 3, 3, 5, 3, 5, 3};
  for (std::size_t s = 0; s < 5; ++s) CHECK(a.d[s] == d[s]);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(a.e[i] == e[i / 4]);
    CHECK(a.ks[i] == ks[i]);
  }
  CHECK(a.r == 176);
}

TEST_CASE("a subnet follows what each stage offers") {
  using space = search_space<ofa_mobilenet_v3, depth<1, 2>, expand<3>, resolution<32>,
                             kernel_per_stage<offer<3>, offer<3, 5>, offer<7>, offer<5>, offer<3, 7>>>;
  constexpr arch a = subnet<space, kernel<3, 5, 7, 5, 7>>{};
  static_assert(space::contains(a));
  CHECK(a.ks[4] == 7);
  CHECK(a.ks[9] == 7);
}

TEST_CASE("ResNet: a width is chosen by its multiplier, for all or for the stem and each stage") {
  constexpr arch a = subnet<ofa_resnet50_space, width<0.65>, expand<0.25>, depth<1>, resolution<160>>{};
  static_assert(ofa_resnet50_space::contains(a));
  CHECK(a.w == decltype(a.w){0, 0, 0, 0, 0, 0});
  CHECK(a.d == decltype(a.d){0, 1, 1, 1, 1}); // the stem's convolution runs at the largest depth only
  for (const decimal e : a.e) CHECK(e == decimal(0.25));
  for (const int k : a.ks) CHECK(k == 3);
  CHECK(a.r == 160);
  constexpr arch b = subnet<ofa_resnet50_space, width<0.65, 0.8, 1.0, 0.8, 0.65, 1.0>, depth<2, 0, 1, 2, 0>>{};
  CHECK(b.w == decltype(b.w){0, 1, 2, 1, 0, 2});
  CHECK(b.d == decltype(b.d){2, 0, 1, 2, 0});
  constexpr arch deep = subnet<ofa_resnet50_space, depth<2>, expand<0.35, 0.2, 0.25, 0.35, 0.2>>{};
  CHECK(deep.d[0] == 2);
  CHECK(deep.e[0] == decimal(0.2)); // of five values the first is the stem's
  CHECK(deep.e[17] == decimal(0.2));
  CHECK(subnet<ofa_resnet50_space>::value == largest(ofa_resnet50_space::description));
  CHECK(subnet<ofa_resnet50_space, depth<0>, expand<0.2>, width<0.65>, resolution<128>>::value ==
        smallest(ofa_resnet50_space::description));
}

TEST_CASE("one width for the whole network") {
  constexpr arch a = subnet<support::tiny_slimmable_space, width<0.5>, depth<1>>{};
  static_assert(support::tiny_slimmable_space::contains(a));
  CHECK(a.w == decltype(a.w){1});
}

} // namespace dynofa_test::space_subnet
