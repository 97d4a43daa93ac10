#pragma once
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/family/family.hpp"
#include "dynofa/latency/table_json.hpp"
#include "dynofa/space/json.hpp"

#include <map>
#include <optional>
#include <string>

// What design time keeps in a family: where it comes from, and the latency table and the predictor that its levels were
// searched with. A device carries these sections along and reads none of them.

namespace dynofa {

/// Whatever its maker wants to tell: "origin", "made_by", … Throws errc::bad_file for a section that is not such texts.
inline std::map<std::string, std::string> provenance_of(const family& f) {
  const auto found = f.sections.find("provenance");
  if (found == f.sections.end()) return {};
  const auto json = detail::parse_bounded(found->second.text, "provenance");
  std::map<std::string, std::string> told;
  detail::json_field(json, "provenance").members(0, 1 << 16, "text", [&](const std::string& name, const auto& value) {
    told[name] = value.word(1 << 20);
  });
  return told;
}
/// Throws errc::invalid_argument for texts that are not UTF-8.
inline void set_provenance(family& f, const std::map<std::string, std::string>& told) {
  try {
    f.sections["provenance"] = {nlohmann::json(told).dump(), {}};
  } catch (const nlohmann::json::exception&) {
    throw error(errc::invalid_argument, "provenance", "texts in UTF-8", "another encoding");
  }
}

/// Nothing if the family has none; throws errc::bad_file for a section that is no latency table.
inline std::optional<latency_table> table_of(const family& f) {
  const auto found = f.sections.find("table");
  if (found == f.sections.end()) return std::nullopt;
  return parse_latency_table(found->second.text);
}
inline void set_table(family& f, const latency_table& table) {
  f.sections["table"] = {nlohmann::json(table).dump(), {}};
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
inline void set_predictor(family& f, const accuracy_predictor& predictor) {
  f.sections["predictor"] = {nlohmann::json{{"official", predictor.is_official()}, {"space", predictor.space()}}.dump(),
                             detail::predictor_tensors(predictor, "", ".")};
}

} // namespace dynofa
