#include "dynofa/latency/profile_state.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"

namespace dynofa_test::latency_profile_state {

using namespace dynofa;

namespace {
const char* const key = "Conv-input:160x160x3-output:80x80x24";
profile_state sample() {
  profile_state s;
  s.inputs = {{"backend", "cpu"}, {"seed", "1"}};
  s.seconds = 1.5;
  s.reference = {1, 2, 3};
  s.resolutions[160].keys[key] = {100, 200};
  s.resolutions[160].carriers = {{1000}, {}};
  return s;
}
} // namespace

TEST_CASE("a state reads back") {
  const profile_state s = sample();
  CHECK(parse_profile_state(nlohmann::json(s).dump()) == s);
}

TEST_CASE("what is wrong with a stored state is one sentence") {
  const auto say = [](auto change) {
    nlohmann::json json = sample();
    change(json);
    return support::sentence([&] { read_profile_state(json); });
  };
  CHECK(say([](auto& j) { j["version"] = 1; }) == "profile: expected a dynofa profile of version 2, got another");
  CHECK(say([](auto& j) { j.erase("seconds"); }) == "profile: expected a field seconds, got none");
  CHECK(say([](auto& j) { j["inputs"]["seed"] = 1; }) ==
        "profile field inputs, input seed: expected a text of at most 65536 bytes, got 1");
  CHECK(say([](auto& j) { j["reference"][0] = -1; }) ==
        "profile field reference[0]: expected a whole number in 0..1000000000000000, got -1");
  CHECK(say([](auto& j) {
          j["resolutions"]["160"]["keys"][key][0] = 0.5;
        }).ends_with("[0]: expected a whole number in 0..1000000000000000, got 0.5"));
  CHECK(say([](auto& j) { j["resolutions"]["160"]["keys"]["Konv"] = {1}; }).find("a key of") != std::string::npos);
  CHECK(say([](auto& j) { j["resolutions"]["0160"] = {}; }).find("a resolution in 1..4096") != std::string::npos);
  CHECK(say([](auto& j) { j = 3; }) == "profile: expected a field format, got none");
}

} // namespace dynofa_test::latency_profile_state
