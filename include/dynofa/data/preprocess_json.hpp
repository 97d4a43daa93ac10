#pragma once
#include "dynofa/core/json_field.hpp"
#include "dynofa/data/preprocess.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <string>

// Preprocessing rules in files: {"mode":"imagenet_crop","crop_ratio":0.875,"mean":[…],"std":[…]}. Apart from
// preprocess.hpp so that applying a rule does not cost a JSON library's compile time.

namespace dynofa::data {

/// Leaves out what the rule's mode does not use.
inline void to_json(nlohmann::json& json, const preprocessing& rule) {
  json = {{"mode", std::string(name_of(rule.mode))}, {"mean", rule.mean}, {"std", rule.std}};
  if (rule.mode == preprocessing_mode::imagenet_crop) json["crop_ratio"] = rule.crop_ratio;
}

/// Throws dynofa::error (errc::bad_file) for a missing or wrong field; `rule` then keeps its value.
inline void from_json(const nlohmann::json& json, preprocessing& rule) {
  const dynofa::detail::json_field all(json, "preprocessing");
  const auto triple = [&](const char* name) {
    std::array<float, 3> out{};
    std::size_t n = 0;
    all[name].each(3, [&](const dynofa::detail::json_field& f) { out[n++] = static_cast<float>(f.number()); });
    if (n != 3) throw all[name].fault("three numbers", text(n));
    return out;
  };
  preprocessing read;
  const auto mode = all.object()["mode"];
  if (mode.is_word("exact"))
    read.mode = preprocessing_mode::exact;
  else if (!mode.is_word("imagenet_crop"))
    throw mode.fault("imagenet_crop or exact", json["mode"].is_string() ? "another word" : json["mode"].type_name());
  if (read.mode == preprocessing_mode::imagenet_crop) read.crop_ratio = all["crop_ratio"].number();
  read.mean = triple("mean");
  read.std = triple("std");
  try {
    read.validate();
  } catch (const error& fault) {
    throw all.fault(fault.expected(), fault.got());
  }
  rule = read;
}

} // namespace dynofa::data
