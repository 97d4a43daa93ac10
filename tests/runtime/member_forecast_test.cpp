#include "dynofa/core/random.hpp"
#include "dynofa/runtime/member_forecast.hpp"

#include <doctest/doctest.h>

#include "families.hpp"
#include <cstring>

namespace dynofa_test::runtime_member_forecast {

using namespace dynofa;
using namespace dynofa::runtime;

TEST_CASE("room says which share of images is in time") {
  for (double share : {0.8, 0.95}) {
    member_forecast f(paper_six);
    random_stream random(1, "member_forecast_test");
    f.aim(70, share, 0.3);
    for (int i = 0; i < 2000; ++i) f.observe(4, paper_six[4].latency_ms * 1.1 * std::exp(0.05 * random.normal()));
    // The limit at which the room is just used up keeps the wanted share of images in time.
    const double limit = 70 * std::exp(-f.room(4));
    int late = 0;
    for (int i = 0; i < 10000; ++i) late += paper_six[4].latency_ms * 1.1 * std::exp(0.05 * random.normal()) > limit;
    CHECK(late / 10000.0 == doctest::Approx(1 - share).epsilon(0.25));
    CHECK(f.room(4, true) > f.room(4)); // the level that runs is tolerated a little longer
    CHECK(f.room(0) > f.room(5));
    CHECK(f.share_in_time(0) > f.share_in_time(5));
    CHECK(f.expected_ms(0) == doctest::Approx(1.1 * paper_six[0].latency_ms).epsilon(0.05));
  }
}

TEST_CASE("no limit is always kept, levels have to be a front of at most 64") {
  member_forecast f(paper_six);
  CHECK(f.room(5) > 1000);
  f.aim(1, 0.95, 0.3);
  CHECK(f.room(0) < 0);
  CHECK(f.log_ratio(0, 5) == doctest::Approx(std::log(61.73 / 41.16)));
  CHECK_THROWS_AS(member_forecast(std::vector<level_figures>()), error);
  CHECK_THROWS_AS(member_forecast(std::vector<level_figures>(65, {1, 1})), error);
}

TEST_CASE("damage is seen") {
  member_forecast f(paper_six);
  for (int i = 0; i < 300; ++i) f.observe(2, paper_six[2].latency_ms * (1 + 0.001 * (i % 7)));
  CHECK(f.valid());
  CHECK(!member_forecast().valid()); // no levels
  member_forecast hurt = f;
  std::memset(static_cast<void*>(&hurt), 0xff, sizeof hurt);
  CHECK(!hurt.valid());
}

} // namespace dynofa_test::runtime_member_forecast
