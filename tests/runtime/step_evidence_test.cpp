#include "dynofa/runtime/step_evidence.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <type_traits>

namespace dynofa_test::runtime_step_evidence {

using namespace dynofa::runtime;
static_assert(std::is_trivially_copyable_v<step_evidence>);

namespace {

/// Images that take 2 ms in quiet, with a noise of 2 %; late from 3 ms on.
struct device {
  step_evidence evidence;

  bool slow(double ms) {
    const bool urgent = evidence.observe(std::log(ms / 2), 0, 0.02, ms - 2, ms > 3);
    evidence.learn(urgent ? slow_down_verdict::step : slow_down_verdict::waits);
    return urgent;
  }
  void quiet() {
    CHECK_FALSE(evidence.observe(0, 0, 0.02, 0, false));
    evidence.learn(slow_down_verdict::taken);
  }
  void disturbance(double ms) {
    CHECK_FALSE(slow(2 + ms));
    quiet();
  }
};

} // namespace

TEST_CASE("before any disturbance the second slow image is a step if it is late") {
  for (double first : {2.4, 3.5, 5.0}) {
    device d;
    d.quiet();
    CHECK_FALSE(d.slow(first));
    CHECK(d.slow(3.6));
  }
  device in_time;
  for (int i = 0; i < 5; ++i) CHECK_FALSE(in_time.slow(2.5));
}

TEST_CASE("a disturbance as large as the last may fall on two images, not on three late ones") {
  device d;
  d.disturbance(3);
  CHECK_FALSE(d.slow(3.3));
  CHECK_FALSE(d.slow(3.7));
  device passes = d;
  passes.quiet();
  CHECK(d.slow(3.5));
}

TEST_CASE("images that are alike, or slower by more than disturbances are, are a step") {
  device d;
  d.disturbance(3);
  device larger = d;
  CHECK_FALSE(d.slow(3.30));
  CHECK(d.slow(3.36));
  CHECK_FALSE(larger.slow(4.5));
  CHECK(larger.slow(6.5));
}

TEST_CASE("where nearly all are disturbances, likeness is chance, where they are steps, it is not") {
  device d;
  for (int i = 0; i < 20; ++i) d.disturbance(3);
  device steps = d;
  CHECK_FALSE(d.slow(3.30));
  CHECK_FALSE(d.slow(3.36));
  for (int i = 0; i < 10; ++i) { // each stays for an image
    steps.slow(5.5), steps.slow(5.5), steps.slow(5.5);
    steps.quiet();
  }
  CHECK_FALSE(steps.slow(3.30));
  CHECK(steps.slow(3.36));
}

TEST_CASE("a step that the next image takes back was a disturbance") {
  device d;
  CHECK_FALSE(d.slow(3.3));
  CHECK(d.slow(3.9));
  // forecast from now on as 3.9 ms, but the next image takes 2
  CHECK_FALSE(d.evidence.observe(0, std::log(3.9 / 2), 0.02, 2 - 3.9, false));
  d.evidence.learn(slow_down_verdict::taken);
  CHECK_FALSE(d.slow(3.3));
  CHECK_FALSE(d.slow(3.9));
}

TEST_CASE("damage is seen") {
  device d;
  d.disturbance(3);
  CHECK(d.evidence.valid());
  std::memset(static_cast<void*>(&d.evidence), 0xff, sizeof d.evidence);
  CHECK_FALSE(d.evidence.valid());
}

} // namespace dynofa_test::runtime_step_evidence
