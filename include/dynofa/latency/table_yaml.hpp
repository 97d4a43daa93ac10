#pragma once
#include "dynofa/latency/table_json.hpp"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>

namespace dynofa {

namespace detail {

/// YAML events → the JSON document of the same content. Maps and scalars only: no anchors or aliases (an alias can
/// stand for gigabytes), no lists, at most 5 levels, no name twice.
class yaml_reader : public YAML::EventHandler {
public:
  explicit yaml_reader(std::string_view where)
      : where_{where} {}
  nlohmann::json document;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t anchor) override { put(nullptr, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "an alias"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (open_.empty()) refuse(mark, "a scalar");
    if (!name_) {
      if (open_.back()->contains(value)) refuse(mark, printable(value) + " twice");
      name_ = value;
      return;
    }
    double number = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool plain = tag != "!";
    if (plain && (value == "true" || value == "false"))
      put(value == "true", anchor);
    else if (plain && fault == std::errc{} && end == value.data() + value.size() && !value.empty())
      put(number, anchor);
    else
      put(value, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    refuse(mark, "a list");
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (open_.size() >= 5) refuse(mark, "more than 5 nested levels");
    if (!open_.empty() && !name_) refuse(mark, "a map as a key");
    open_.push_back(open_.empty() ? &(document = nlohmann::json::object()) : put(nlohmann::json::object(), anchor));
  }
  void OnMapEnd() override { open_.pop_back(); }

private:
  nlohmann::json* put(nlohmann::json value, YAML::anchor_t anchor) {
    if (anchor || open_.empty() || !name_)
      throw error(errc::bad_file, where_, "a YAML map of maps", anchor ? "an anchor" : "a value without a name");
    auto& place = (*open_.back())[*name_] = std::move(value);
    name_.reset();
    return &place;
  }
  [[noreturn]] void refuse(const YAML::Mark& mark, std::string got) const {
    throw error(errc::bad_file, text(where_, " line ", mark.line + 1), "a YAML map of maps", std::move(got));
  }
  std::string_view where_;
  std::vector<nlohmann::json*> open_; // an object in each; std::map nodes stay where they are
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
