#include "dynofa/core/random.hpp"
#include "dynofa/runtime/forecast.hpp"

#include <doctest/doctest.h>

#include "families.hpp"
#include <limits>

namespace dynofa_test::runtime_forecast {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {
struct device {
  random_stream random{1, "forecast_test"};
  double noise = 0.02;
  double run(forecast& p, const target& t, double slow_down) {
    const std::size_t level = p.decide(t);
    const double ms = paper_six[level].latency_ms * slow_down * std::exp(noise * random.normal());
    p.observe(level, ms);
    return ms;
  }
};
} // namespace

TEST_CASE("one observation corrects all levels") {
  forecast p(paper_six);
  const target t{.latency_ms = 240}; // 185 ms expected, uncertain by 6 %
  p.observe(2, 3 * paper_six[2].latency_ms);
  for (std::size_t l = 0; l < paper_six.size(); ++l)
    CHECK(p.expected_ms(l) == doctest::Approx(3 * paper_six[l].latency_ms).epsilon(0.1));
  CHECK(p.decide(t) == 5);
}

TEST_CASE("a doubling is answered by the third image, and taken back") {
  forecast p(paper_six);
  device d;
  const target t{.latency_ms = 95};
  for (int i = 0; i < 200; ++i) d.run(p, t, 1);
  CHECK(p.decide(t) == 5);
  d.run(p, t, 2);
  CHECK(p.decide(t) == 5); // may be an outlier
  d.run(p, t, 2);
  CHECK(p.decide(t) <= 1);
  CHECK(p.why() == reason::too_slow);
  CHECK(p.filter().slow_down() == doctest::Approx(2).epsilon(0.05));
  for (int i = 0; i < 3; ++i) d.run(p, t, 1);
  CHECK(p.decide(t) == 5);
  CHECK(p.why() == reason::room);
}

TEST_CASE("a doubling that begins within an image is answered by the third image as well") {
  for (double part : {1.3, 1.5, 1.8}) { // of the image into which it falls
    forecast p(paper_six);
    device d;
    const target t{.latency_ms = 95};
    for (int i = 0; i < 200; ++i) d.run(p, t, 1);
    d.run(p, t, part);
    CHECK(p.decide(t) == 5);
    d.run(p, t, 2);
    CHECK(d.run(p, t, 2) < t.latency_ms);
    for (int i = 0; i < 30; ++i) d.run(p, t, 2); // how far it went was uncertain at first
    CHECK(p.filter().slow_down() == doctest::Approx(2).epsilon(0.05));
    CHECK(p.decide(t) == 1); // 90.8 of 95 ms
  }
}

TEST_CASE("single outliers move nothing") {
  forecast p(paper_six);
  device d;
  const target t{.latency_ms = 65};
  for (int i = 0; i < 200; ++i) d.run(p, t, 1);
  const std::size_t settled = p.decide(t);
  for (int i = 0; i < 1000; ++i) {
    d.run(p, t, i % 50 == 0 ? 3 : 1);
    CHECK(p.decide(t) == settled);
  }
}

TEST_CASE("every second image slow is no outlier: the share of late images counts") {
  forecast p(paper_six);
  device d;
  const target t{.latency_ms = 66};
  for (int i = 0; i < 200; ++i) d.run(p, t, 1);
  int late = 0;
  for (int i = 0; i < 400; ++i) {
    const double ms = d.run(p, t, i % 2 ? 1.4 : 1);
    if (i >= 100) late += ms > t.latency_ms;
  }
  CHECK(late <= 30); // of 300; the levels above the quickest two would be late on 150
}

TEST_CASE("the wanted share of images is in time") {
  for (double percentile : {0.8, 0.95, 0.99}) {
    forecast p(paper_six);
    device d;
    d.noise = 0.05;
    const target t{.latency_ms = 60, .percentile = percentile};
    int late = 0;
    for (int i = 0; i < 4000; ++i) late += d.run(p, t, 1) > t.latency_ms;
    CHECK(late <= 4000 * (1 - percentile) * 1.3);
    CHECK(p.decide(t) > 0);
  }
}

TEST_CASE("targets: changes act at once, accuracy and energy give way before latency") {
  std::vector<level_figures> levels = paper_six;
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i].energy_mj = 100.0 * static_cast<double>(i + 1);
  forecast p(levels);
  for (int i = 0; i < 100; ++i) p.observe(3, levels[3].latency_ms);
  CHECK(p.decide({.latency_ms = 100}) == 5);
  CHECK(p.decide({.latency_ms = 53}) == 3);
  CHECK(p.decide({.latency_ms = 100, .energy_mj = 350}) == 2);
  CHECK(p.decide({.latency_ms = 100, .min_top1 = 78, .energy_mj = 350}) == 4);
  CHECK(p.decide({.latency_ms = 20, .min_top1 = 78}) == 0);
  CHECK(p.why() == reason::infeasible);
  CHECK(p.decide({.min_top1 = 76}) == 2);
  CHECK(p.decide({}) == 5);
  CHECK(p.decide({.deadline_ms = -1}) == 0);
}

TEST_CASE("the same calls give the same levels, a copy goes on alike, broken times change nothing") {
  forecast a(paper_six);
  device d;
  const target t{.latency_ms = 70};
  for (int i = 0; i < 500; ++i) d.run(a, t, i / 100 % 2 ? 1.4 : 1);
  forecast b = a;
  b.observe(99, 10);
  b.observe(0, 0);
  b.observe(0, std::numeric_limits<double>::infinity());
  device e = d;
  for (int i = 0; i < 500; ++i) CHECK(d.run(a, t, 1.2) == e.run(b, t, 1.2));
  std::size_t fields = 0;
  a.dump([&](std::string_view, double value) {
    CHECK(std::isfinite(value));
    ++fields;
  });
  CHECK(fields > 5);
  CHECK_THROWS_AS(forecast(paper_six, {.filter = {.drift = 0}}), error);
  CHECK_THROWS_AS(forecast(paper_six, {.hopeless_share = 0.7}), error);
}

} // namespace dynofa_test::runtime_forecast
