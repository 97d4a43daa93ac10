#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/latency/table.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Latency tables as JSON. Two forms are read: our own (with the circumstances of the measurement), and the plain
// {resolution: {key: {mean, std or var, count}}}. Whatever is wrong with a text is one dynofa::error (errc::bad_file).

namespace dynofa {

namespace detail {

inline constexpr std::size_t max_table_bytes = 64u << 20, max_table_resolutions = 256, max_table_entries = 1 << 14;

inline double table_number(const nlohmann::json& value, const std::string& where, double most = 1e12) {
  const double n = value.is_number() ? value.get<double>() : -1;
  if (!(n >= 0 && n <= most))
    throw error(errc::bad_file, where, text("a number in 0..", most),
                value.is_number() ? value.dump() : value.type_name());
  return n;
}

inline latency_entry read_latency_entry(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object()) throw error(errc::bad_file, where, "an object with mean, std and count", json.type_name());
  const auto number = [&](const char* name) { return table_number(json[name], where + " field " + name); };
  if (!json.contains("mean")) throw error(errc::bad_file, where, "a field mean", "none");
  latency_entry e;
  e.mean = milliseconds(number("mean"));
  if (json.contains("std"))
    e.std = milliseconds(number("std"));
  else if (json.contains("var"))
    e.std = milliseconds(std::sqrt(number("var")));
  if (json.contains("count")) {
    const double n = number("count");
    if (n != std::floor(n)) throw error(errc::bad_file, where + " field count", "a whole number", text(n));
    e.count = static_cast<std::uint64_t>(n);
  }
  if (json.contains("p50")) e.p50 = milliseconds(number("p50"));
  if (json.contains("p95")) e.p95 = milliseconds(number("p95"));
  if (json.contains("min")) e.min = milliseconds(number("min"));
  const auto flag = [&](const char* name) {
    if (!json.contains(name)) return false;
    if (!json[name].is_boolean())
      throw error(errc::bad_file, where + " field " + name, "true or false", json[name].type_name());
    return json[name].get<bool>();
  };
  e.fused = flag("fused");
  e.interpolated = flag("interpolated");
  return e;
}

inline latency_table::entries read_latency_entries(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object()) throw error(errc::bad_file, where, "an object of entries", json.type_name());
  if (json.size() > max_table_entries)
    throw error(errc::bad_file, where, text("at most ", max_table_entries, " entries"), text(json.size()));
  if (json.empty()) throw error(errc::bad_file, where, "at least one entry", "none");
  latency_table::entries entries;
  for (const auto& [key, value] : json.items()) {
    (void)parse_operation_key(key, where);
    entries.emplace(key, read_latency_entry(value, text(where, ", entry ", key)));
  }
  return entries;
}

inline int read_resolution(std::string_view s, std::string_view where) {
  int r = 0;
  const auto [end, fault] = std::from_chars(s.data(), s.data() + s.size(), r);
  if (fault != std::errc{} || end != s.data() + s.size() || r < 1 || r > 4096 || s[0] == '0')
    throw error(errc::bad_file, where, "a resolution in 1..4096", printable(s));
  return r;
}

/// JSON text → document: at most 64 MiB, 5 levels, no name twice in an object.
inline nlohmann::json parse_table_json(std::string_view source, std::string_view where) {
  if (source.size() > max_table_bytes)
    throw error(errc::bad_file, where, text("at most ", max_table_bytes, " bytes"), text(source.size(), " bytes"));
  std::vector<std::set<std::string>> names;
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using what = nlohmann::json::parse_event_t;
    if (depth > 5) throw error(errc::bad_file, where, "at most 5 nested levels", "more");
    if (event == what::object_start) names.emplace_back();
    if (event == what::object_end && !names.empty()) names.pop_back();
    if (event == what::key && !names.empty())
      if (auto name = value.get<std::string>(); !names.back().insert(name).second)
        throw error(errc::bad_file, where, "each name once", printable(name) + " twice");
    return true;
  };
  auto document = nlohmann::json::parse(source.begin(), source.end(), check, false);
  if (document.is_discarded()) throw error(errc::bad_file, where, "a JSON text", "something else");
  return document;
}

} // namespace detail

/// Reads either form from a document. `where` names it in errors.
inline latency_table read_latency_table(const nlohmann::json& json, const std::string& where = "latency table") {
  using namespace detail;
  if (!json.is_object()) throw error(errc::bad_file, where, "an object", json.type_name());
  latency_table table;
  const nlohmann::json* resolutions = &json;
  if (json.contains("resolutions")) {
    resolutions = &json["resolutions"];
    const auto word = [&](const char* name) -> std::string {
      if (!json.contains(name)) return {};
      if (!json[name].is_string() || json[name].get_ref<const std::string&>().size() > 256)
        throw error(errc::bad_file, where + " field " + name, "a text of at most 256 bytes", json[name].type_name());
      try {
        (void)json[name].dump(); // a YAML text can hold any bytes; what is not UTF-8 could not be written again
      } catch (const nlohmann::json::exception&) {
        throw error(errc::bad_file, where + " field " + name, "UTF-8", "other bytes");
      }
      return json[name].get<std::string>();
    };
    if (json.contains("version") && json["version"] != 1)
      throw error(errc::unsupported, where + " field version", "1",
                  json["version"].is_number() ? json["version"].dump() : "another");
    table.device = word("device");
    table.backend = word("backend");
    table.isa = word("isa");
    table.governor = word("governor");
    if (json.contains("threads"))
      table.threads = static_cast<int>(table_number(json["threads"], where + " field threads", 1 << 16));
    if (json.contains("frequency_mhz"))
      table.frequency_mhz = table_number(json["frequency_mhz"], where + " field frequency_mhz");
    if (json.contains("drift")) table.drift = table_number(json["drift"], where + " field drift");
  }
  if (!resolutions->is_object())
    throw error(errc::bad_file, where + " field resolutions", "an object", resolutions->type_name());
  if (resolutions->empty()) throw error(errc::bad_file, where, "at least one resolution", "none");
  if (resolutions->size() > max_table_resolutions)
    throw error(errc::bad_file, where, text("at most ", max_table_resolutions, " resolutions"),
                text(resolutions->size()));
  for (const auto& [name, entries] : resolutions->items()) {
    const int r = read_resolution(name, where);
    table.resolutions.emplace(r, read_latency_entries(entries, text(where, ", resolution ", r)));
  }
  return table;
}
inline latency_table parse_latency_table(std::string_view source, const std::string& where = "latency table") {
  return read_latency_table(detail::parse_table_json(source, where), where);
}

inline void to_json(nlohmann::json& json, const latency_entry& e) {
  json = {{"mean", e.mean.count()}, {"std", e.std.count()}, {"count", e.count}};
  if (e.p50) json["p50"] = e.p50->count();
  if (e.p95) json["p95"] = e.p95->count();
  if (e.min) json["min"] = e.min->count();
  if (e.fused) json["fused"] = true;
  if (e.interpolated) json["interpolated"] = true;
}
/// Our form. `parse_latency_table(json.dump())` gives the same table, to the last bit.
inline void to_json(nlohmann::json& json, const latency_table& t) {
  json = {{"format", "dynofa latency table"},
          {"version", 1},
          {"device", t.device},
          {"backend", t.backend},
          {"isa", t.isa},
          {"threads", t.threads},
          {"governor", t.governor},
          {"frequency_mhz", t.frequency_mhz},
          {"drift", t.drift}};
  auto& resolutions = json["resolutions"] = nlohmann::json::object();
  for (const auto& [r, entries] : t.resolutions) resolutions[std::to_string(r)] = entries;
}

} // namespace dynofa
