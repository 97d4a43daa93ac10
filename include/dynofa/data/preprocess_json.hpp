#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/preprocess.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <string>

// Preprocessing rules in files: {"mode":"imagenet_crop","crop_ratio":0.875,"mean":[…],"std":[…]}. Apart from
// preprocess.hpp so that applying a rule does not cost a JSON library's compile time.

namespace dynofa::data {

inline void to_json(nlohmann::json& json, const preprocessing& rule) {
  json = {{"mode", std::string(name_of(rule.mode))}, {"mean", rule.mean}, {"std", rule.std}};
  if (rule.mode == preprocessing_mode::imagenet_crop) json["crop_ratio"] = rule.crop_ratio;
}

/// Throws dynofa::error (errc::bad_file) for a missing or wrong field; `rule` then keeps its value.
inline void from_json(const nlohmann::json& json, preprocessing& rule) {
  const auto bad = [](std::string expected, std::string got) {
    return error(errc::bad_file, "preprocessing", std::move(expected), std::move(got));
  };
  if (!json.is_object()) throw bad("a JSON object", json.type_name());
  const auto field = [&](const char* name) -> const nlohmann::json& {
    const auto found = json.find(name);
    if (found == json.end()) throw bad(text("a field \"", name, "\""), "none");
    return *found;
  };
  const auto triple = [&](const char* name) {
    const auto& values = field(name);
    if (!values.is_array() || values.size() != 3) throw bad(text("three numbers as \"", name, "\""), "something else");
    std::array<float, 3> out{};
    for (std::size_t c = 0; c < 3; ++c) {
      if (!values[c].is_number()) throw bad(text("three numbers as \"", name, "\""), values[c].type_name());
      out[c] = values[c].get<float>();
    }
    return out;
  };

  preprocessing read;
  const auto& mode = field("mode");
  if (mode == "exact")
    read.mode = preprocessing_mode::exact;
  else if (mode == "imagenet_crop")
    read.mode = preprocessing_mode::imagenet_crop;
  else
    throw bad("the mode imagenet_crop or exact", mode.is_string() ? "another word" : mode.type_name());
  if (read.mode == preprocessing_mode::imagenet_crop) {
    const auto& ratio = field("crop_ratio");
    if (!ratio.is_number()) throw bad("a number as \"crop_ratio\"", ratio.type_name());
    read.crop_ratio = ratio.get<double>();
  }
  read.mean = triple("mean");
  read.std = triple("std");
  try {
    read.validate();
  } catch (const error& fault) {
    throw bad(fault.expected(), fault.got());
  }
  rule = read;
}

} // namespace dynofa::data
