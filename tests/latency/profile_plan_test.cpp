#include "dynofa/latency/profile_plan.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <set>

namespace dynofa_test::latency_profile_plan {

using namespace dynofa;

TEST_CASE("carriers hold every operation of the space, each in two networks at least") {
  const space_description& space = ofa_w1_2::description;
  const int resolutions[] = {160, 224};
  const profile_plan p = plan_profile(space, resolutions);
  REQUIRE(p.resolutions.size() == 2);
  for (const auto& of : p.resolutions) {
    CHECK(of.keys.size() == 95); // pooling runs inside Conv_1
    CHECK(of.carriers.size() >= 18);
    CHECK(of.carriers.size() < 40);
    std::vector<int> networks(of.keys.size());
    std::set<int> depths;
    for (const auto& c : of.carriers) {
      CHECK(c.plan.arch.r == of.r);
      depths.insert(c.plan.arch.d[0]);
      REQUIRE(c.keys.size() == c.plan.blocks.size());
      for (std::size_t b = 0; b < c.keys.size(); ++b) CHECK(of.keys[c.keys[b]] == timed_key(c.plan, b));
      for (auto k : std::set<std::uint32_t>(c.keys.begin(), c.keys.end())) ++networks[k];
    }
    CHECK(depths.size() == 3);
    CHECK(*std::min_element(networks.begin(), networks.end()) >= 2);
  }
}

TEST_CASE("carriers of ProxylessNAS, whose sixth stage has a first block only") {
  const int r[] = {160};
  const profile_plan p = plan_profile(ofa_proxyless_w1_3::description, r);
  const auto& of = p.resolutions[0];
  CHECK(of.keys.size() == 2 + 9 * (5 * 2 + 1) + 2);
  CHECK(of.carriers.size() < 40);
  std::vector<int> networks(of.keys.size());
  for (const auto& c : of.carriers)
    for (auto k : std::set<std::uint32_t>(c.keys.begin(), c.keys.end())) ++networks[k];
  CHECK(*std::min_element(networks.begin(), networks.end()) >= 2);
}

TEST_CASE("a plan is a function of its arguments") {
  const space_description& space = support::tiny_space::description;
  const int r[] = {48};
  const auto archs = [&](std::uint64_t seed) {
    std::vector<arch> all;
    const profile_plan p = plan_profile(space, r, profile_extent::every_choice, seed);
    for (const auto& c : p.resolutions[0].carriers) all.push_back(c.plan.arch);
    return all;
  };
  CHECK(archs(1) == archs(1));
  CHECK_FALSE(archs(1) == archs(2));
}

TEST_CASE("corners: fewer operations, and the middle ones to judge by") {
  const int r[] = {64};
  const profile_plan p = plan_profile(support::tiny_space::description, r, profile_extent::corners);
  CHECK(p.resolutions[0].keys.size() == 5 + 40 + 10);
}

TEST_CASE("a space of one choice, and one of depth 1") {
  using one = search_space<ofa_mobilenet_v3, width<0.2>, depth<1>, expand<3>, kernel<5>, resolution<32>>;
  const int r[] = {32};
  for (const auto extent : {profile_extent::every_choice, profile_extent::corners})
    CHECK(plan_profile(one::description, r, extent).resolutions[0].keys.size() == 10);
  const int wrong[] = {33};
  CHECK(support::sentence([&] { plan_profile(one::description, wrong); }).find("got 33") != std::string::npos);
}

TEST_CASE("widths: carriers hold every block between every two widths, each in two networks at least") {
  for (const space_description& space :
       {support::tiny_resnet_space::description, support::tiny_slimmable_space::description}) {
    std::set<std::string> needed;
    const int r = space.resolutions.front();
    for_each_deepest(space, r, [&](const arch& a) {
      const plan p = make_plan(space, a);
      for (std::size_t b = 0; b < p.blocks.size(); ++b) needed.insert(timed_key(p, b));
    });
    const profile_plan p = plan_profile(space, std::span(&r, 1));
    const auto& of = p.resolutions[0];
    CHECK(std::set<std::string>(of.keys.begin(), of.keys.end()) == needed);
    CHECK(of.carriers.size() < 80);
    std::vector<int> networks(of.keys.size());
    for (const auto& c : of.carriers)
      for (auto k : std::set<std::uint32_t>(c.keys.begin(), c.keys.end())) ++networks[k];
    CHECK(*std::min_element(networks.begin(), networks.end()) >= 2);
    const auto corners = plan_profile(space, std::span(&r, 1), profile_extent::corners);
    CHECK(corners.resolutions[0].keys.size() <= needed.size());
  }
}

} // namespace dynofa_test::latency_profile_plan
