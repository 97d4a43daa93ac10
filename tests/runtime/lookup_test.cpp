#include "dynofa/runtime/lookup.hpp"

#include <doctest/doctest.h>

#include "families.hpp"
#include <limits>

namespace dynofa_test::runtime_lookup {

using namespace dynofa::runtime;

TEST_CASE("Figure 6: the most accurate level within the limit") {
  lookup p(paper_six);
  CHECK(p.decide({.latency_ms = 65}) == 5);
  CHECK(p.why() == reason::start);
  CHECK(p.decide({.latency_ms = 55}) == 3);
  CHECK(p.why() == reason::target_changed);
  CHECK(p.decide({.latency_ms = 55}) == 3);
  CHECK(p.why() == reason::hold);
  CHECK(p.decide({.latency_ms = 51.08}) == 3); // a limit that is met exactly is met
  CHECK(p.decide({.latency_ms = 40}) == 0);
  CHECK(p.why() == reason::infeasible);
  CHECK(p.decide({.latency_ms = 65, .deadline_ms = 46}) == 1);
}

TEST_CASE("accuracy alone takes the quickest, with a limit the best, latency gives way last") {
  lookup p(paper_six);
  CHECK(p.decide({}) == 5);
  CHECK(p.decide({.min_top1 = 76}) == 2);
  CHECK(p.decide({.latency_ms = 60, .min_top1 = 76}) == 4);
  CHECK(p.decide({.latency_ms = 48, .min_top1 = 78}) == 1);
  CHECK(p.why() == reason::infeasible);
}

TEST_CASE("energy gives way to accuracy") {
  std::vector<level_figures> levels = paper_six;
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i].energy_mj = 100.0 * static_cast<double>(i + 1);
  lookup p(levels);
  CHECK(p.decide({.latency_ms = 65, .energy_mj = 350}) == 2);
  CHECK(p.decide({.latency_ms = 65, .min_top1 = 78, .energy_mj = 350}) == 4);
  CHECK(p.decide({.latency_ms = 65, .energy_mj = 50}) == 0);
}

TEST_CASE("only fronts and sound targets") {
  CHECK_THROWS_AS(lookup({}), dynofa::error);
  const std::vector<level_figures> mixed = {{2, 50}, {1, 60}, {3, 60}, {4, 70}, {4, 71}};
  CHECK_THROWS_AS(lookup{mixed}, dynofa::error);
  CHECK(front_of(mixed) == std::vector<std::size_t>{1, 4});
  CHECK_THROWS_AS(validate(std::vector<level_figures>{{std::numeric_limits<double>::quiet_NaN(), 1}}), dynofa::error);
  validate(target{.latency_ms = 5, .deadline_ms = -1});
  CHECK_THROWS_AS(validate(target{.latency_ms = 0}), dynofa::error);
  CHECK_THROWS_AS(validate(target{.percentile = 95}), dynofa::error);
  CHECK_THROWS_AS(validate(target{.min_top1 = 101}), dynofa::error);
  CHECK_THROWS_AS(validate(target{.energy_mj = -1}), dynofa::error);
}

} // namespace dynofa_test::runtime_lookup
