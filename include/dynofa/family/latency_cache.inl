// The definitions of family/latency_cache.hpp: in each program that includes it, or once in dynofa::runtime
// (runtime.cpp).
#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/json_field.hpp"
#include "dynofa/core/version.hpp"
#include "dynofa/space/json.hpp"

#include <xxhash.h>

#include <cstdlib>
#include <system_error>
#include <vector>

#ifndef DYNOFA_RUNTIME_HERE
#define DYNOFA_RUNTIME_HERE inline
#endif

namespace dynofa {

namespace detail::latency_cache {

inline constexpr std::size_t most_bytes = 1 << 20, most_devices = 64;

/// The devices of a file that we wrote, by name, each a list of one entry per level. Throws what is wrong with it.
inline nlohmann::json read(const std::filesystem::path& file) {
  const std::string where = file.string();
  auto all = parse_bounded(map_file(file).text(), where, most_bytes);
  const json_field field(all, where);
  if (!field.object().has("format") || !field["format"].is_word("dynofa latencies") || field["version"].value() != 1)
    throw error(errc::bad_file, where, "latencies of version 1 that dynofa wrote", "something else");
  (void)field["devices"].object();
  return std::move(all["devices"]);
}

} // namespace detail::latency_cache

DYNOFA_RUNTIME_HERE std::filesystem::path default_cache_folder() {
  const auto folder = [](const char* variable, const char* below) {
    const char* value = std::getenv(variable);
    return value && *value == '/' ? std::filesystem::path(value) / below : std::filesystem::path();
  };
  const auto own = folder("XDG_CACHE_HOME", "dynofa");
  return own.empty() ? folder("HOME", ".cache/dynofa") : own;
}

DYNOFA_RUNTIME_HERE std::filesystem::path latency_cache_file(const std::filesystem::path& folder, const family& f) {
  std::string what = text(DYNOFA_VERSION " ", nlohmann::json(f.space()).dump());
  for (const family_level& l : f.levels()) what += text(" ", l.arch, " ", l.format);
  const XXH128_hash_t hash = XXH3_128bits(what.data(), what.size());
  return folder / text("latencies-", in_base(16, hash.high64), "-", in_base(16, hash.low64), ".json");
}

DYNOFA_RUNTIME_HERE bool recall_latencies(family& f, std::string_view device, const std::filesystem::path& file) {
  std::error_code fault;
  if (!std::filesystem::is_regular_file(file, fault)) return false;
  std::vector<measured_latency> remembered;
  try {
    const nlohmann::json devices = detail::latency_cache::read(file);
    const std::string name = detail::utf8(std::string(device));
    if (!devices.contains(name)) return false;
    const detail::json_field levels(devices[name], file.string());
    levels.each(f.levels().size(), [&](const detail::json_field& level) {
      const auto ms = [&](const char* what) { return level[what].number(0, 1e9); };
      remembered.push_back({std::string(device), ms("median_ms"), ms("p95_ms"), ms("min_ms"),
                            level["images"].whole_number(0, 1'000'000'000)});
    });
  } catch (const error&) {
    return false; // a cache that was altered is none
  }
  if (remembered.size() != f.levels().size()) return false;
  for (std::size_t i = 0; i < remembered.size(); ++i) f.set_latency(i, std::move(remembered[i]));
  return true;
}

DYNOFA_RUNTIME_HERE void remember_latencies(const family& f, std::string_view device,
                                            const std::filesystem::path& file) {
  auto levels = nlohmann::json::array();
  for (std::size_t i = 0; i < f.levels().size(); ++i) {
    const measured_latency* l = f.latency_on(i, device);
    if (!l)
      throw error(errc::missing_key, text("level ", f.levels()[i].arch), text("a latency on ", printable(device)),
                  "none");
    levels.push_back(
        {{"median_ms", l->median_ms}, {"p95_ms", l->p95_ms}, {"min_ms", l->min_ms}, {"images", l->images}});
  }
  auto devices = nlohmann::json::object();
  try {
    devices = detail::latency_cache::read(file);
  } catch (const error&) { // none yet, or none of ours: the cache begins anew
  }
  if (devices.size() >= detail::latency_cache::most_devices) devices.clear();
  devices[detail::utf8(std::string(device))] = std::move(levels);
  std::error_code fault;
  std::filesystem::create_directories(file.parent_path(), fault);
  replace_file(
      file, detail::json_text({{"format", "dynofa latencies"}, {"version", 1}, {"devices", devices}}, file.string()));
}

} // namespace dynofa
