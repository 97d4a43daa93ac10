#include "dynofa/data/preprocess_json.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"

namespace dynofa_test::data_preprocess_json {

using namespace dynofa;
using namespace dynofa::data;
using nlohmann::json;

TEST_CASE("rules survive the way through JSON") {
  preprocessing odd = imagenet_preprocessing();
  odd.crop_ratio = 0.9;
  odd.mean = {0.1f, 0.2f, 0.3f};
  odd.std = {1.0f / 3, 2, 3};
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing(), odd})
    CHECK(json::parse(json(rule).dump()).get<preprocessing>() == rule);
  CHECK(json(exact_preprocessing()).contains("crop_ratio") == false);
  CHECK(json(imagenet_preprocessing()).at("mode") == "imagenet_crop");
}

TEST_CASE("every wrong field is one sentence, and the value stays") {
  const json good = imagenet_preprocessing();
  const auto refused = [&](const char* key, const json& value) {
    json j = good;
    if (value.is_discarded())
      j.erase(key);
    else
      j[key] = value;
    preprocessing rule = exact_preprocessing();
    const auto fault = testing::fault_of([&] { from_json(j, rule); });
    CHECK(rule == exact_preprocessing());
    return fault.code() == errc::bad_file ? std::string(fault.what()) : std::string();
  };
  const json nothing(json::value_t::discarded);
  CHECK(refused("mode", nothing) == "preprocessing: expected a field mode, got none");
  CHECK(refused("mode", "stretch") == "preprocessing field mode: expected imagenet_crop or exact, got another word");
  CHECK(refused("mode", 3) != "");
  CHECK(refused("crop_ratio", nothing) != "");
  CHECK(refused("crop_ratio", "0.875") != "");
  CHECK(refused("crop_ratio", 2) == "preprocessing: expected a crop ratio in (0, 1], got 2");
  CHECK(refused("mean", nothing) != "");
  CHECK(refused("mean", {1, 2}) != "");
  CHECK(refused("mean", {1, 2, "x"}) != "");
  CHECK(refused("mean", 0.5) != "");
  CHECK(refused("std", {1, 1, 0}) != "");
  CHECK(refused("std", {1e300, 1, 1}) != ""); // infinite as float
  preprocessing rule;
  CHECK(testing::fault_of([&] { from_json(json(7), rule); }).code() == errc::bad_file);
}

} // namespace dynofa_test::data_preprocess_json
