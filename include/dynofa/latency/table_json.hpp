#pragma once
#include "dynofa/core/json_field.hpp"
#include "dynofa/latency/table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

// Latency tables as JSON. Two forms are read: our own (with the circumstances of the measurement), and the plain
// {resolution: {key: {mean, std or var, count}}}. Whatever is wrong with a text is one dynofa::error (errc::bad_file).

namespace dynofa {

namespace detail {

inline constexpr std::size_t max_table_bytes = 64u << 20, max_table_resolutions = 256, max_table_entries = 1 << 14;

inline double table_number(const json_field& f) { return f.number(0, 1e12); }

inline latency_entry read_latency_entry(const json_field& f) {
  f.object();
  const auto number = [&](const char* name) { return table_number(f[name]); };
  const auto time = [&](const char* name) { return milliseconds(number(name)); };
  const auto flag = [&](const char* name) { return f.has(name) && f[name].boolean(); };
  latency_entry e;
  e.mean = time("mean");
  if (f.has("std"))
    e.std = time("std");
  else if (f.has("var"))
    e.std = milliseconds(std::sqrt(number("var")));
  if (f.has("count")) {
    const double n = number("count"); // YAML has only one kind of number
    if (n != std::floor(n)) throw f["count"].fault("a whole number");
    e.count = static_cast<std::uint64_t>(n);
  }
  if (f.has("p50")) e.p50 = time("p50");
  if (f.has("p95")) e.p95 = time("p95");
  if (f.has("min")) e.min = time("min");
  e.fused = flag("fused");
  e.interpolated = flag("interpolated");
  return e;
}

inline latency_table::entries read_latency_entries(const json_field& f) {
  latency_table::entries entries;
  f.members(1, max_table_entries, "entry", [&](const std::string& key, const json_field& entry) {
    (void)parse_operation_key(key, f.name());
    entries.emplace(key, read_latency_entry(entry));
  });
  return entries;
}

inline int read_resolution(std::string_view s, std::string_view where) {
  int r = 0;
  const auto [end, fault] = std::from_chars(s.data(), s.data() + s.size(), r);
  if (fault != std::errc{} || end != s.data() + s.size() || r < 1 || r > 4096 || s[0] == '0')
    throw error(errc::bad_file, where, "a resolution in 1..4096", printable(s));
  return r;
}

/// Whether a document has operations where others have resolutions: one file of several, as once-for-all keeps them.
inline bool is_of_one_resolution(const nlohmann::json& json) {
  if (!json.is_object() || json.empty()) return false;
  const std::string& first = json.begin().key();
  return std::any_of(std::begin(operation_words), std::end(operation_words),
                     [&](std::string_view word) { return first.starts_with(std::string(word) + "-"); });
}

inline nlohmann::json parse_table_json(std::string_view source, std::string_view where) {
  return parse_bounded(source, where, max_table_bytes);
}

} // namespace detail

/// Reads either form from a document. `where` names it in errors.
inline latency_table read_latency_table(const nlohmann::json& json, const std::string& where = "latency table") {
  using namespace detail;
  const json_field all(json, where);
  const bool ours = all.object().has("resolutions");
  latency_table table;
  if (ours) {
    const auto word = [&](const char* name) { return all.has(name) ? all[name].word(256) : std::string(); };
    const auto number = [&](const char* name) { return all.has(name) ? table_number(all[name]) : 0.0; };
    if (all.has("version") && all["version"].value() != 1)
      throw error(errc::unsupported, where + " field version", "1",
                  json["version"].is_number() ? json["version"].dump() : "another");
    table.device = word("device");
    table.backend = word("backend");
    table.isa = word("isa");
    table.governor = word("governor");
    if (all.has("threads")) table.threads = static_cast<int>(all["threads"].number(0, 1 << 16));
    table.frequency_mhz = number("frequency_mhz");
    table.drift = number("drift");
  }
  const json_field resolutions(ours ? json["resolutions"] : json, where);
  resolutions.members(1, max_table_resolutions, "resolution", [&](const std::string& name, const json_field& entries) {
    const int r = read_resolution(name, where);
    table.resolutions.emplace(r, read_latency_entries(entries));
  });
  return table;
}
/// The same of a text; `where` begins the sentence of an error.
inline latency_table parse_latency_table(std::string_view source, const std::string& where = "latency table") {
  return read_latency_table(detail::parse_table_json(source, where), where);
}

/// Writes milliseconds; what is absent is left out.
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
