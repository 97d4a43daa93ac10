#include "dynofa/space/ofa_space.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::space_ofa_space {

using namespace dynofa;
using support::sentence;

TEST_CASE("choices at run time give the space that policies give") {
  CHECK(ofa_space({.width = 0.2, .classes = 10, .resolutions = {64, 32, 48, 64}}) == support::tiny_space::description);
  ofa_choices published{.width = 1.2};
  published.resolutions = {ofa_w1_2::description.resolutions.begin(), ofa_w1_2::description.resolutions.end()};
  CHECK(ofa_space(published) == ofa_w1_2::description);
  using other = search_space<ofa_mobilenet_v3, width<0.65>, depth<1, 2>, expand<2, 6>, kernel<3>, resolution<96>>;
  CHECK(ofa_space({.width = 0.65, .resolutions = {96}, .depths = {2, 1}, .expands = {6, 2}, .kernels = {3}}) ==
        other::description);
}

TEST_CASE("what no space offers is one sentence") {
  const auto said = [](const ofa_choices& c) { return sentence([&] { ofa_space(c); }); };
  CHECK(said({.width = 0}) == "width multiplier: expected a number above 0, at most 16, got 0");
  CHECK(said({.width = 1e9}).starts_with("width multiplier: expected"));
  CHECK(said({.classes = 0}) == "space field classes: expected a whole number in 1..1048576, got 0");
  CHECK(said({.resolutions = {}}) == "space field resolutions: expected at least one number, got an empty list");
  CHECK(said({.depths = {0, 2}}).find("depths") != std::string::npos);
  CHECK(said({.expands = {300}}).find("expands") != std::string::npos);
  CHECK(said({.kernels = {3, 4}}).find("expected kernels of 3, 5 or 7, got 4") != std::string::npos);
}

} // namespace dynofa_test::space_ofa_space
