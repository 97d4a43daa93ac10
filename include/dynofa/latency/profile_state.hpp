#pragma once
#include "dynofa/core/state_file.hpp"
#include "dynofa/latency/samples.hpp"
#include "dynofa/latency/table_json.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa {

/// All that a profiler has measured so far: enough to go on later, in another process. One minute on a CPU core gives
/// about 2 MB of JSON.
struct profile_state {
  /// What was measured at one resolution.
  struct at_resolution {
    std::map<std::string, samples, std::less<>> keys; ///< times of each operation
    std::vector<samples> carriers;                    ///< times of whole networks, as the plan numbers them
    friend bool operator==(const at_resolution&, const at_resolution&) = default;
  };
  named_inputs inputs; ///< what was timed, and where; the profiler compares them. None: nothing was measured yet
  std::map<int, at_resolution> resolutions; ///< by side of the image in pixels
  samples reference;                        ///< one operation, re-timed after every carrier: shows drift and noise
  double seconds = 0;                       ///< spent so far

  friend bool operator==(const profile_state&, const profile_state&) = default;
};

/// What `read_profile_state` reads.
inline void to_json(nlohmann::json& json, const profile_state& s) {
  json = {{"format", "dynofa profile"},
          {"version", 2},
          {"inputs", s.inputs},
          {"seconds", s.seconds},
          {"reference", s.reference}};
  auto& all = json["resolutions"] = nlohmann::json::object();
  for (const auto& [r, of] : s.resolutions) all[std::to_string(r)] = {{"keys", of.keys}, {"carriers", of.carriers}};
}

namespace detail {

inline samples read_samples(const json_field& f) {
  constexpr std::int64_t longest = 1'000'000'000'000'000; // nanoseconds: eleven days
  samples s;
  f.each(1 << 22, [&](const json_field& time) { s.push_back(time.whole_number(0, longest)); });
  return s;
}

} // namespace detail

/// Reads what `to_json` wrote; every fault is one errc::bad_file. Whether it fits says the profiler.
inline profile_state read_profile_state(const nlohmann::json& json, const std::string& where = "profile") {
  using namespace detail;
  const json_field all(json, where);
  if (!all["format"].is_word("dynofa profile") || all["version"].value() != 2)
    throw error(errc::bad_file, where, "a dynofa profile of version 2", "another");
  profile_state s;
  s.inputs = read_inputs(all["inputs"]);
  s.seconds = table_number(all["seconds"]);
  s.reference = read_samples(all["reference"]);
  const auto resolution = [&](const std::string& name, const json_field& of) {
    auto& into = s.resolutions[read_resolution(name, where)];
    of["keys"].members(0, max_table_entries, "entry", [&](const std::string& key, const json_field& times) {
      (void)parse_operation_key(key, times.name());
      into.keys.emplace(key, read_samples(times));
    });
    of["carriers"].each(max_table_entries, [&](const json_field& f) { into.carriers.push_back(read_samples(f)); });
  };
  all["resolutions"].members(0, max_table_resolutions, "resolution", resolution);
  return s;
}
/// The same of a text; `where` begins the sentence of an error.
inline profile_state parse_profile_state(std::string_view source, const std::string& where = "profile") {
  return read_profile_state(detail::parse_table_json(source, where), where);
}

/// The state in a file, or an empty one where there is no file.
inline profile_state load_profile_state(const std::filesystem::path& path) {
  std::error_code fault;
  if (!std::filesystem::exists(path, fault) && !fault) return {};
  return parse_profile_state(map_file(path).text(), path.string());
}
/// Replaces the file whole or not at all. Throws errc::io.
inline void save_profile_state(const std::filesystem::path& path, const profile_state& state) {
  replace_file(path, detail::json_text(state, path.string()));
}

} // namespace dynofa
