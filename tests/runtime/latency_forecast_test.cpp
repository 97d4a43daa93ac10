#include "dynofa/core/random.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/member_forecast.hpp"

#include <doctest/doctest.h>

#include "families.hpp"

namespace dynofa_test::runtime_latency_forecast {

using namespace dynofa;
using namespace dynofa::runtime;

TEST_CASE("what is expected is believed as far as it is certain") {
  member_forecast f(paper_six);
  for (int i = 0; i < 100; ++i) f.observe(2, paper_six[2].latency_ms);
  member_forecast sure = f, open = f;
  sure.expect(0.2, 0.001);
  CHECK(sure.filter().log_slow_down() == doctest::Approx(0.2).epsilon(0.05));
  open.expect(0.2, 0.2); // wrong, as the images show
  for (int i = 0; i < 3; ++i) open.observe(2, paper_six[2].latency_ms * 1.05);
  CHECK(open.filter().slow_down() == doctest::Approx(1.05).epsilon(0.02));
}

TEST_CASE("lists that grow and lists of fixed size give the same forecast, to the bit") {
  latency_forecast<growing_list> grows(paper_six, {});
  latency_forecast<member_list> fixed(paper_six, {});
  random_stream random(1, "latency_forecast");
  double slow_down = 1;
  for (int i = 0; i < 3000; ++i) {
    if (random.chance(0.01)) slow_down = 1 + random.uniform();
    const double outlier = random.chance(0.02) ? 3 : 1;
    const std::size_t level = random.below(6);
    const double ms = paper_six[level].latency_ms * slow_down * outlier * std::exp(0.03 * random.normal());
    REQUIRE(grows.observe(level, ms, std::log(70)) == fixed.observe(level, ms, std::log(70)));
    for (std::size_t l = 0; l < 6; ++l) {
      REQUIRE(grows.room_to(std::log(70), l) == fixed.room_to(std::log(70), l));
      REQUIRE(grows.share_within(std::log(70), l, 0.01) == fixed.share_within(std::log(70), l, 0.01));
      REQUIRE(grows.expected_ms(l) == fixed.expected_ms(l));
    }
  }
  CHECK(grows.filter().steps() > 5);
  CHECK(grows.valid(64));
  CHECK(!grows.valid(5));
  CHECK_THROWS_AS(latency_forecast<growing_list>({}, {}), error);
}

} // namespace dynofa_test::runtime_latency_forecast
