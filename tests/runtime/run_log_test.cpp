#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/reactive.hpp"
#include "dynofa/runtime/run_log.hpp"
#include "dynofa/simulate/trace.hpp"

#include <doctest/doctest.h>

#include "runtime/families.hpp"

namespace dynofa_test::runtime_run_log {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

image_record numbered(std::uint64_t image) {
  image_record r;
  r.image = image;
  return r;
}

/// What a manager would log on a trace.
template <class Policy>
run_log logged(const trace& t, Policy policy, std::size_t capacity) {
  run_log log(policy, capacity);
  for (std::size_t i = 0, change = 0; i < t.images(); ++i) {
    while (change + 1 < t.targets.size() && t.targets[change + 1].from <= i) ++change;
    image_record r = numbered(i);
    r.wanted = t.targets[change].wanted;
    r.level = policy.decide(r.wanted);
    r.why = policy.why();
    r.latency_ms = t.latency_ms(r.level, i);
    policy.observe(r.level, r.latency_ms);
    log.add(r);
  }
  return log;
}

} // namespace

TEST_CASE("a log holds the latest images and says how many are lost") {
  run_log log("forecast", {"slow_down"}, 3);
  CHECK_FALSE(log.full());
  for (std::uint64_t i = 0; i < 5; ++i) log.add(numbered(i));
  CHECK(log.size() == 3);
  CHECK(log.full());
  CHECK(log.lost() == 2);
  CHECK(log[0].image == 2);
  CHECK(log[2].image == 4);
  log.clear();
  CHECK(log.size() == 0);
  for (std::uint64_t i = 5; i < 7; ++i) log.add(numbered(i));
  CHECK(log[0].image == 5);
  CHECK(log[1].image == 6);
  CHECK(log.lost() == 2);
}

TEST_CASE("a log of a policy knows the names of its state") {
  const run_log log(forecast(paper_six), 10);
  CHECK(log.policy() == "forecast");
  CHECK(std::count(log.state_names().begin(), log.state_names().end(), "slow_down") == 1);
  CHECK_THROWS_AS(run_log("forecast", {}, 0), error);
  CHECK_THROWS_AS(run_log("for,ecast", {}, 1), error);
  CHECK_THROWS_AS(run_log("forecast", {"a\"b"}, 1), error);
  CHECK_THROWS_AS(run_log("forecast", std::vector<std::string>(17, "x"), 1), error);
}

TEST_CASE("a log replays, and the first other decision is named") {
  const trace t = generate_trace(trace_kind::co_runner, 4, paper_six);
  const run_log log = logged(t, forecast(paper_six), t.images());
  CHECK_FALSE(replay_log(log, forecast(paper_six)));
  CHECK_FALSE(replay_log(logged(t, reactive(paper_six), t.images()), reactive(paper_six)));

  const auto other = replay_log(log, forecast(paper_six, {.raise_after = 40})); // another option
  REQUIRE(other);
  CHECK((other->logged_level != other->replayed_level || other->logged_why != other->replayed_why));
  CHECK(log[other->image].level == other->logged_level);

  run_log changed("forecast", {}, t.images()); // one latency is not what it was
  for (std::size_t i = 0; i < log.size(); ++i) {
    image_record r = log[i];
    if (i == 500) r.latency_ms *= 5;
    if (i == 501) r.latency_ms *= 5;
    changed.add(r);
  }
  const auto difference = replay_log(changed, forecast(paper_six));
  REQUIRE(difference);
  CHECK(difference->image > 500);
  CHECK(difference->image < 510);
}

TEST_CASE("what cannot be replayed is refused") {
  const trace t = generate_trace(trace_kind::steps, 1, paper_six, {.images = 100});
  CHECK_THROWS_AS(replay_log(logged(t, forecast(paper_six), 100), reactive(paper_six)), error);
  CHECK_THROWS_WITH_AS(replay_log(logged(t, forecast(paper_six), 90), forecast(paper_six)),
                       "replay: expected image 0 as the next, got image 10", error);
}

} // namespace dynofa_test::runtime_run_log
