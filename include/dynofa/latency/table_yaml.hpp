#pragma once
#include "dynofa/core/number.hpp"
#include "dynofa/latency/table_json.hpp"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace dynofa {

namespace detail {

/// YAML events → the JSON document of the same content: maps and scalars, no lists, at most 5 levels, no name twice. An
/// alias becomes a copy of what its anchor names, and all copies together are bounded, since a few lines of them can
/// stand for gigabytes.
class yaml_reader : public YAML::EventHandler {
public:
  explicit yaml_reader(std::string_view where)
      : where_{where} {}
  nlohmann::json document;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { put(mark, nullptr, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (open_.empty() || !name_ || known == anchors_.end()) refuse(mark, "an alias");
    if (std::find(open_.begin(), open_.end(), known->second) != open_.end())
      refuse(mark, "an alias of what it stands in");
    count_copy(mark, *known->second, open_.size());
    put(mark, *known->second, 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (open_.empty()) refuse(mark, "a scalar");
    if (!name_) {
      if (open_.back()->contains(value)) refuse(mark, printable(value) + " twice");
      name_ = value;
      return;
    }
    check_tag(mark, tag);
    auto number = parse_number<double>(value);
    if (value == ".nan" || value == ".NaN" || value == ".NAN") number = std::nan("");
    const bool plain = tag != "!";
    if (plain && (value == "true" || value == "false"))
      put(mark, value == "true", anchor);
    else if (plain && number)
      put(mark, *number, anchor);
    else
      put(mark, value, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    refuse(mark, "a list");
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    if (open_.size() >= most_levels) refuse(mark, "more than 5 nested levels");
    if (!open_.empty() && !name_) refuse(mark, "a map as a name");
    if (!open_.empty())
      open_.push_back(put(mark, nlohmann::json::object(), anchor));
    else
      open_.push_back(&(document = nlohmann::json::object()));
  }
  void OnMapEnd() override { open_.pop_back(); }

private:
  static constexpr std::size_t most_levels = 5, most_copied = 1 << 18;

  nlohmann::json* put(const YAML::Mark& mark, nlohmann::json value, YAML::anchor_t anchor) {
    if (open_.empty() || !name_) refuse(mark, "a value without a name");
    auto& place = (*open_.back())[*name_] = std::move(value);
    name_.reset();
    if (anchor) anchors_[anchor] = &place;
    return &place;
  }
  /// Counts the values of a copy that will lie below `levels` maps.
  void count_copy(const YAML::Mark& mark, const nlohmann::json& value, std::size_t levels) {
    if (++copied_ > most_copied) refuse(mark, text("aliases that stand for more than ", most_copied, " values"));
    if (!value.is_object()) return;
    if (levels >= most_levels) refuse(mark, "more than 5 nested levels");
    for (const auto& element : value) count_copy(mark, element, levels + 1);
  }
  /// Python's yaml.dump writes what is no plain number, numpy's scalars among them, as a tagged object.
  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    constexpr std::string_view python = "tag:yaml.org,2002:python/";
    if (tag.starts_with(python))
      throw error(errc::bad_file, text(where_, " line ", mark.line + 1),
                  "plain numbers (float(x) before they are dumped)",
                  "a Python value, " + printable(tag.substr(python.size())));
  }
  [[noreturn]] void refuse(const YAML::Mark& mark, std::string got) const {
    throw error(errc::bad_file, text(where_, " line ", mark.line + 1), "a YAML map of maps", std::move(got));
  }
  std::string_view where_;
  std::vector<nlohmann::json*> open_; // an object in each; std::map nodes stay where they are
  std::map<YAML::anchor_t, const nlohmann::json*> anchors_;
  std::size_t copied_ = 0;
  std::optional<std::string> name_;
};

inline nlohmann::json parse_table_yaml(std::string_view source, std::string_view where) {
  if (source.size() > max_table_bytes)
    throw error(errc::bad_file, where, text("at most ", max_table_bytes, " bytes"), text(source.size(), " bytes"));
  if (std::string kind = kind_of_content(source); !kind.empty())
    throw error(errc::bad_file, where, "a YAML map", std::move(kind));
  yaml_reader reader(where);
  try {
    std::istringstream in{std::string(source)};
    YAML::Parser parser(in);
    if (!parser.HandleNextDocument(reader)) throw error(errc::bad_file, where, "a YAML map", "an empty text");
  } catch (const YAML::Exception& fault) {
    throw error(errc::bad_file, text(where, " line ", fault.mark.line + 1), "a YAML text", printable(fault.msg));
  }
  return std::move(reader.document);
}

} // namespace detail

/// Reads a table in either form, written as YAML.
inline latency_table parse_latency_table_yaml(std::string_view source, const std::string& where = "latency table") {
  return read_latency_table(detail::parse_table_yaml(source, where), where);
}

/// A table as YAML in our form; numbers in 17 digits, so that reading it back gives the same table.
inline std::string to_yaml(const latency_table& table) {
  YAML::Emitter out;
  out.SetDoublePrecision(17);
  const auto emit = [&](const auto& self, const nlohmann::json& json) -> void {
    if (json.is_object()) {
      out << YAML::BeginMap;
      for (const auto& [name, value] : json.items()) {
        out << YAML::Key << name << YAML::Value;
        self(self, value);
      }
      out << YAML::EndMap;
    } else if (json.is_string())
      out << YAML::DoubleQuoted << json.get<std::string>();
    else
      out << json.dump(); // nlohmann writes the shortest digits that read back the same
  };
  emit(emit, nlohmann::json(table));
  return out.c_str();
}

} // namespace dynofa
