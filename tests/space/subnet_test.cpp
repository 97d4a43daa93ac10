#include "dynofa/space/sampling.hpp"
#include "dynofa/space/subnet.hpp"

#include <doctest/doctest.h>

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

} // namespace dynofa_test::space_subnet
