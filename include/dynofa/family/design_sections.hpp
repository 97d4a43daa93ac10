#pragma once
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/core/state_file.hpp"
#include "dynofa/family/family.hpp"
#include "dynofa/latency/table_json.hpp"
#include "dynofa/space/json.hpp"

#include <map>
#include <optional>
#include <string>

// What design time keeps in a family: where it comes from, and the latency table and the predictor that its levels were
// searched with. A device carries these sections along and reads none of them.

namespace dynofa {

namespace detail {
inline std::map<std::string, std::string> texts_of(const family& f, const std::string& section) {
  const auto found = f.sections.find(section);
  if (found == f.sections.end()) return {};
  const auto json = parse_bounded(found->second.text, section);
  std::map<std::string, std::string> told;
  json_field(json, section).members(0, 1 << 16, "text", [&](const std::string& name, const auto& value) {
    told[name] = value.word(1 << 20);
  });
  return told;
}
} // namespace detail

/// Whatever its maker wants to tell: "origin", "made_by", … Throws errc::bad_file for a section that is not such texts.
inline std::map<std::string, std::string> provenance_of(const family& f) { return detail::texts_of(f, "provenance"); }
/// Throws errc::invalid_argument for texts that are not UTF-8.
inline void set_provenance(family& f, const std::map<std::string, std::string>& told) {
  f.sections["provenance"] = {detail::json_text(told, "provenance"), {}};
}

/// What a family that is still being made was made from so far, for whoever goes on with it later
/// (`require_same_inputs`). Throw as those of the provenance do.
inline named_inputs inputs_of(const family& f) { return detail::texts_of(f, "inputs"); }
/// Replaces what was there.
inline void set_inputs(family& f, const named_inputs& inputs) {
  f.sections["inputs"] = {detail::json_text(inputs, "inputs"), {}};
}

/// Nothing if the family has none; throws errc::bad_file for a section that is no latency table.
inline std::optional<latency_table> table_of(const family& f) {
  const auto found = f.sections.find("table");
  if (found == f.sections.end()) return std::nullopt;
  return parse_latency_table(found->second.text);
}
/// Replaces what was there. Throws errc::invalid_argument for names that are not UTF-8.
inline void set_table(family& f, const latency_table& table) {
  f.sections["table"] = {detail::json_text(table, "latency table"), {}};
}

/// Nothing if the family has none; throws `error` for a section that is no predictor.
inline std::optional<accuracy_predictor> predictor_of(const family& f) {
  const auto found = f.sections.find("predictor");
  if (found == f.sections.end()) return std::nullopt;
  const auto about = detail::parse_bounded(found->second.text, "predictor");
  const detail::json_field field(about, "predictor");
  const bool official = field.object()["official"].boolean();
  return detail::predictor_of_tensors(found->second.tensors, "", ".", read_space(field["space"].value()), official,
                                      "predictor");
}
/// Replaces what was there.
inline void set_predictor(family& f, const accuracy_predictor& predictor) {
  f.sections["predictor"] = {nlohmann::json{{"official", predictor.is_official()}, {"space", predictor.space()}}.dump(),
                             detail::predictor_tensors(predictor, "", ".")};
}

} // namespace dynofa
