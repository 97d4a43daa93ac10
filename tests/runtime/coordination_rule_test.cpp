#include "dynofa/core/random.hpp"
#include "dynofa/runtime/coordination_rule.hpp"

#include <doctest/doctest.h>

#include "families.hpp"
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace dynofa_test::runtime_coordination {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

/// Networks that run in turn on a device where each one's latency grows with the others'.
struct shared {
  coordination_rule rule;
  random_stream random{1, "coordination_test"};
  double slow_down = 1, noise = 0.01, press = 0.3; // by how much of its latency a level-0 network slows the others
  struct network {
    std::size_t number = 0;
    target wanted;
    double ms = 0;
    std::size_t level = 0;
    bool runs = true;
  };
  std::vector<network> all;

  std::size_t add(target wanted, member_options how = {}) {
    all.push_back({rule.join(paper_six, how), wanted});
    return all.size() - 1;
  }
  double quiet(std::size_t i) const {
    double others = 0;
    for (const network& n : all)
      if (&n != &all[i] && n.runs) others += press * n.ms / paper_six[0].latency_ms;
    return paper_six[all[i].level].latency_ms * slow_down * (1 + others);
  }
  void round() {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].runs) continue;
      all[i].level = rule.decide(all[i].number, all[i].wanted);
      all[i].ms = quiet(i) * std::exp(noise * random.normal());
      rule.observe(all[i].number, all[i].level, all[i].ms);
    }
  }
  void rounds(int n) {
    while (n-- > 0) round();
  }
};

} // namespace

TEST_CASE("Fig. 8: A at 6 and B at 5, A goes first, then B") {
  shared d;
  d.add({.latency_ms = 100}, {.first = 5});
  d.rounds(100);
  CHECK(d.all[0].level == 5);
  d.add({.latency_ms = 92}, {.first = 4});
  std::string story;
  std::size_t a = 5, b = 4;
  for (int i = 0; i < 100; ++i) {
    d.round();
    if (d.all[0].level != a) story += text('A', d.all[0].level + 1);
    if (d.all[1].level != b) story += text('B', d.all[1].level + 1);
    a = d.all[0].level, b = d.all[1].level;
  }
  CHECK(story == "A5B4");
  CHECK(d.quiet(0) < 100);
  CHECK(d.quiet(1) < 92);
}

TEST_CASE("one of many equals is lowered at a time, and nobody twice before all others once") {
  shared d;
  d.press = 0.1;
  for (int i = 0; i < 4; ++i) d.add({.latency_ms = 90}, {.first = 5});
  d.rounds(30);
  std::size_t low = 5, high = 0;
  for (const auto& n : d.all) low = std::min(low, n.level), high = std::max(high, n.level);
  CHECK(high < 5);
  CHECK(high - low <= 1);
}

TEST_CASE("priority: the lighter member gives way, the heavier rises first") {
  shared d;
  d.add({.latency_ms = 95}, {.weight = 10, .first = 5});
  d.add({.latency_ms = 95}, {.weight = 1, .first = 5});
  d.rounds(200);
  CHECK(d.all[0].level > d.all[1].level);
  CHECK(d.quiet(0) < 95);
  CHECK(d.quiet(1) < 95);
}

TEST_CASE("a member whose own target changes moves by itself, at once") {
  shared d;
  d.add({.latency_ms = 300}, {.first = 5});
  d.add({.latency_ms = 300}, {.first = 5});
  d.rounds(100);
  REQUIRE(d.all[0].level == 5);
  d.all[0].wanted.latency_ms = 78;
  d.round();
  CHECK(d.all[0].level < 4);
  CHECK(d.rule.why(d.all[0].number) == reason::target_changed);
  d.rounds(50);
  CHECK(d.all[1].level == 5);
  CHECK(d.quiet(0) < 78);
  d.all[0].wanted.latency_ms = 300;
  d.round();
  CHECK(d.all[0].level == 5); // the other has room
}

TEST_CASE("a much slower device is answered within a few images, and taken back after it") {
  shared d;
  d.add({.latency_ms = 130}, {.first = 5});
  d.add({.latency_ms = 130}, {.first = 5});
  d.rounds(100);
  REQUIRE(d.all[0].level + d.all[1].level == 10);
  d.slow_down = 1.4; // and as much again by the others' longer images
  d.rounds(12);
  CHECK(d.quiet(0) < 130);
  CHECK(d.quiet(1) < 130);
  d.slow_down = 1;
  d.rounds(100);
  CHECK(d.all[0].level + d.all[1].level == 10);
}

TEST_CASE("constant conditions: it comes to rest at any limit") {
  std::uint64_t late_changes = 0, settled_changes = 0;
  for (int k = 0; k < 20; ++k) {
    shared d;
    d.noise = 0.02;
    for (int i = 0; i < 2; ++i) d.add({.latency_ms = 60 + 3.0 * k + 5 * i});
    d.rounds(1000);
    settled_changes = d.rule.plans();
    d.rounds(4000);
    late_changes += d.rule.plans() - settled_changes;
  }
  CHECK(late_changes <= 80); // one per 1000 images of each run's 4000
}

TEST_CASE("who leaves, or is idle, is neither waited for nor lowered, and frees its share") {
  for (bool leaves : {true, false}) {
    shared d;
    d.add({.latency_ms = 85}, {.first = 5});
    d.add({.latency_ms = 85}, {.first = 5});
    d.rounds(100);
    CHECK(d.all[0].level < 5);
    const std::size_t other = d.all[1].level;
    d.all[1].runs = false;
    if (leaves) d.rule.leave(d.all[1].number);
    d.rounds(400);
    CHECK(d.all[0].level == 5);
    if (!leaves) CHECK(d.rule.level(d.all[1].number) == other);
    CHECK(d.rule.size() == (leaves ? 1 : 2));
  }
}

TEST_CASE("a least top-1 gives way to the own latency only, a deadline counts for one image") {
  for (double least : {0.0, 79.0}) {
    shared d;
    d.add({.latency_ms = 120, .min_top1 = least}, {.weight = 1, .first = 5});
    d.add({.latency_ms = 76}, {.weight = 50, .first = 5}); // would rather have the other one lowered
    d.rounds(100);
    CHECK((d.all[0].level == 5) == (least > 0));
    CHECK(d.quiet(1) < 76);
    d.all[0].wanted.latency_ms = 60; // not even alone
    d.rounds(100);
    CHECK(d.all[0].level < 5);
  }

  coordination_rule rule;
  const std::size_t m = rule.join(paper_six, {.first = 5});
  for (int i = 0; i < 20; ++i) rule.observe(m, rule.decide(m, {.latency_ms = 80}), paper_six[5].latency_ms);
  CHECK(rule.decide(m, {.latency_ms = 80, .deadline_ms = 54}) == 3);
  CHECK(rule.decide(m, {.latency_ms = 80}) == 5);
  CHECK(rule.decide(m, {.latency_ms = 80, .deadline_ms = -1}) == 0);
  CHECK(rule.decide(m, {.min_top1 = 76}) == 2); // no limit: the quickest that is good enough
}

TEST_CASE("nothing fits: infeasible is said, and single outliers do not take accuracy away") {
  shared d;
  d.add({.latency_ms = 30}, {.first = 5});
  d.rounds(50);
  CHECK(d.all[0].level == 0);
  CHECK(d.rule.why(d.all[0].number) == reason::infeasible);

  coordination_rule rule;
  const std::size_t m = rule.join(paper_six, {.first = 5});
  for (int i = 0; i < 600; ++i) { // one image in ten is unattainable on any level, 95 % are wanted in time
    const std::size_t level = rule.decide(m, {.latency_ms = 66});
    rule.observe(m, level, paper_six[level].latency_ms * (i % 10 == 9 ? 2.5 + 0.01 * (i % 7) : 1 + 0.001 * (i % 13)));
  }
  CHECK(rule.level(m) >= 4);
}

TEST_CASE("the same calls give the same levels, a byte-wise copy goes on alike, broken calls change nothing") {
  shared a;
  a.add({.latency_ms = 85});
  a.add({.latency_ms = 85});
  a.rounds(100);
  auto b = std::make_unique<shared>(a);
  std::memcpy(static_cast<void*>(&b->rule), &a.rule, sizeof(coordination_rule));
  b->rule.observe(0, 99, 10);
  b->rule.observe(99, 0, 10);
  b->rule.observe(0, 0, 0);
  b->rule.observe(0, 0, std::numeric_limits<double>::infinity());
  CHECK(b->rule.decide(7, {}) == 0);
  b->rule.leave(9);
  for (int i = 0; i < 300; ++i) {
    a.slow_down = b->slow_down = i / 100 % 2 ? 1.3 : 1;
    a.round(), b->round();
    CHECK(a.all[0].ms == b->all[0].ms);
    CHECK(a.all[1].ms == b->all[1].ms);
  }
}

TEST_CASE("what does not belong is refused, and changes nothing") {
  coordination_rule rule;
  CHECK_THROWS_AS(rule.join({}), error);
  CHECK_THROWS_AS(rule.join(paper_six, {.weight = 0}), error);
  CHECK_THROWS_AS(rule.join(paper_six, {.first = 6}), error);
  std::vector<level_figures> many;
  for (int i = 0; i < 65; ++i) many.push_back({1.0 + i, 10.0 + i});
  CHECK_THROWS_AS(rule.join(many), error);
  many.pop_back();
  for (std::size_t i = 0; i < coordination_rule::most_members; ++i) CHECK(rule.join(many) == i);
  CHECK_THROWS_AS(rule.join(many), error);
  CHECK(rule.size() == coordination_rule::most_members);
  rule.leave(3);
  CHECK(rule.join(paper_six) == 3);
  CHECK_THROWS_AS(coordination_rule({.tie = 2}), error);
  CHECK_THROWS_AS(coordination_rule({.evidence = 0}), error);
  CHECK_THROWS_AS(coordination_rule({.filter = {.drift = 0}}), error);
}

TEST_CASE("repair keeps members whose figures are sound") {
  shared d;
  d.add({.latency_ms = 85});
  d.add({.latency_ms = 85});
  d.rounds(100);
  CHECK(d.rule.valid());
  const std::size_t level = d.all[1].level;
  d.rule.repair();
  CHECK(d.rule.size() == 2);
  d.round();
  CHECK(d.all[1].level == level);
}

} // namespace dynofa_test::runtime_coordination
