#include "dynofa/runtime/run_counters.hpp"

#include <doctest/doctest.h>

#include <string>

namespace dynofa_test::runtime_run_counters {

using namespace dynofa;
using namespace dynofa::runtime;

TEST_CASE("images, late ones and switches are counted, and the histogram is cumulative") {
  run_counters counters(3);
  const auto add = [&](std::size_t level, double ms, bool switched) {
    image_record r;
    r.level = level, r.latency_ms = ms, r.switched = switched, r.wanted.latency_ms = 20;
    counters.add(r, 0.5);
  };
  add(2, 21, false), add(1, 12, true), add(1, 600, false), add(1, 0.5, false);
  CHECK(counters.images() == 4);
  CHECK(counters.images(1) == 3);
  CHECK(counters.late() == 2);
  CHECK(counters.switches() == 1);
  CHECK(counters.csv() == "images,late,switches,latency_ms,preparation_ms,level_0,level_1,level_2\n"
                          "4,2,1,158.375,0.5,0,3,1\n");

  const std::string page = counters.prometheus();
  for (const char* line :
       {"dynofa_images_total{level=\"1\"} 3\n", "dynofa_late_images_total 2\n", "dynofa_switches_total 1\n",
        "dynofa_level 1\n", "dynofa_target_seconds 0.02\n", "dynofa_preparation_seconds_total 0.002\n",
        "dynofa_latency_seconds_bucket{le=\"0.0005\"} 1\n", "dynofa_latency_seconds_bucket{le=\"0.015\"} 2\n",
        "dynofa_latency_seconds_bucket{le=\"0.5\"} 3\n", "dynofa_latency_seconds_bucket{le=\"+Inf\"} 4\n",
        "dynofa_latency_seconds_sum 0.6335\n", "dynofa_latency_seconds_count 4\n"})
    CHECK_MESSAGE(page.find(std::string("\n") + line) != std::string::npos, line << "in\n" << page);
  // every figure has a type, and every line ends
  CHECK(page.starts_with("# HELP dynofa_images_total "));
  CHECK(page.back() == '\n');
}

TEST_CASE("before the first image there are zeros, and no target") {
  const run_counters counters(1);
  CHECK(counters.csv() == "images,late,switches,latency_ms,preparation_ms,level_0\n0,0,0,0,0,0\n");
  CHECK(counters.prometheus().find("dynofa_target_seconds +Inf\n") != std::string::npos);
}

} // namespace dynofa_test::runtime_run_counters
