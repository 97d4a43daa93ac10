#pragma once
#include "dynofa/latency/samples.hpp"
#include "dynofa/latency/table_json.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa {

/// All that a profiler has measured so far: enough to go on later, in another process. One minute on a CPU core gives
/// about 2 MB of JSON.
struct profile_state {
  struct at_resolution {
    std::map<std::string, samples, std::less<>> keys; ///< times of each operation
    std::vector<samples> carriers;                    ///< times of whole networks, as the plan numbers them
    friend bool operator==(const at_resolution&, const at_resolution&) = default;
  };
  std::string backend, space; ///< what it belongs to: the backend's name, a hash of space, extent and seed
  std::map<int, at_resolution> resolutions;
  samples reference;  ///< one operation, re-timed after every carrier: shows drift and noise
  double seconds = 0; ///< spent so far

  friend bool operator==(const profile_state&, const profile_state&) = default;
};

inline void to_json(nlohmann::json& json, const profile_state& s) {
  json = {{"format", "dynofa profile"}, {"version", 1},         {"backend", s.backend},
          {"space", s.space},           {"seconds", s.seconds}, {"reference", s.reference}};
  auto& all = json["resolutions"] = nlohmann::json::object();
  for (const auto& [r, of] : s.resolutions) all[std::to_string(r)] = {{"keys", of.keys}, {"carriers", of.carriers}};
}

namespace detail {

inline samples read_samples(const nlohmann::json& json, const std::string& where) {
  constexpr std::size_t most = 1 << 22;
  if (!json.is_array() || json.size() > most)
    throw error(errc::bad_file, where, text("a list of at most ", most, " times"), json.type_name());
  samples s;
  s.reserve(json.size());
  for (const auto& v : json) {
    constexpr std::int64_t longest = 1'000'000'000'000'000; // eleven days
    if (!v.is_number_integer() || v.get<std::int64_t>() < 0 || v.get<std::int64_t>() > longest)
      throw error(errc::bad_file, where, "whole nanoseconds", v.is_number() ? v.dump() : v.type_name());
    s.push_back(v.get<std::int64_t>());
  }
  return s;
}

} // namespace detail

/// Reads what `to_json` wrote; every fault is one errc::bad_file. Whether it fits a space and a backend says the
/// profiler.
inline profile_state read_profile_state(const nlohmann::json& json, const std::string& where = "profile") {
  using namespace detail;
  const auto field = [&](const char* name) -> const nlohmann::json& {
    if (!json.is_object() || !json.contains(name)) throw error(errc::bad_file, where, text("a field ", name), "none");
    return json[name];
  };
  const auto word = [&](const char* name) {
    const auto& v = field(name);
    if (!v.is_string() || v.get_ref<const std::string&>().size() > 256)
      throw error(errc::bad_file, text(where, " field ", name), "a text of at most 256 bytes", v.type_name());
    return v.get<std::string>();
  };
  if (field("format") != "dynofa profile" || field("version") != 1)
    throw error(errc::bad_file, where, "a dynofa profile of version 1", "another");
  profile_state s;
  s.backend = word("backend");
  s.space = word("space");
  s.seconds = table_number(field("seconds"), where + " field seconds");
  s.reference = read_samples(field("reference"), where + " field reference");
  const auto& all = field("resolutions");
  if (!all.is_object() || all.size() > max_table_resolutions)
    throw error(errc::bad_file, where + " field resolutions",
                text("an object of at most ", max_table_resolutions, " resolutions"), all.type_name());
  for (const auto& [name, of] : all.items()) {
    const int r = read_resolution(name, where);
    const std::string place = text(where, ", resolution ", r);
    if (!of.is_object() || !of.contains("keys") || !of["keys"].is_object() || of["keys"].size() > max_table_entries ||
        !of.contains("carriers") || !of["carriers"].is_array() || of["carriers"].size() > max_table_entries)
      throw error(errc::bad_file, place, "an object of keys and a list of carriers", of.type_name());
    auto& into = s.resolutions[r];
    for (const auto& [key, times] : of["keys"].items()) {
      (void)parse_operation_key(key, place);
      into.keys.emplace(key, read_samples(times, text(place, ", entry ", key)));
    }
    for (const auto& times : of["carriers"]) into.carriers.push_back(read_samples(times, place + ", carriers"));
  }
  return s;
}
inline profile_state parse_profile_state(std::string_view source, const std::string& where = "profile") {
  return read_profile_state(detail::parse_table_json(source, where), where);
}

} // namespace dynofa
