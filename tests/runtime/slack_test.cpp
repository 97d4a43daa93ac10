#include "dynofa/runtime/slack.hpp"

#include <doctest/doctest.h>

#include "families.hpp"

namespace dynofa_test::runtime_slack {

using namespace dynofa::runtime;

TEST_CASE("never a level that the slack does not cover, and within one bucket of the best") {
  slack p(paper_six, {.buckets = 64});
  const double width = (61.73 - 41.16) / 64;
  for (double ms = 30; ms < 80; ms += 0.01) {
    const std::size_t level = p.decide({.deadline_ms = ms});
    const std::size_t wanted = best_in_table(paper_six, {.latency_ms = ms}, 1);
    CHECK(level <= wanted);
    CHECK((level == wanted || paper_six[level + 1].latency_ms > ms - width));
  }
  CHECK(p.decide({.deadline_ms = -5}) == 0);
  CHECK(p.why() == reason::infeasible);
  CHECK(p.decide({}) == 5);
}

TEST_CASE("one level, usable share, bad options") {
  const std::vector<level_figures> one = {{10, 70}};
  slack p(one);
  CHECK(p.decide({.latency_ms = 10}) == 0);
  CHECK(p.decide({.latency_ms = 5}) == 0);
  slack half(paper_six, {.usable = 0.5});
  CHECK(half.decide({.latency_ms = 124}) == 5);
  CHECK(half.decide({.latency_ms = 92}) <= 1);
  CHECK_THROWS_AS(slack(paper_six, {.buckets = 0}), dynofa::error);
  CHECK_THROWS_AS(slack(paper_six, {.usable = 2}), dynofa::error);
}

} // namespace dynofa_test::runtime_slack
