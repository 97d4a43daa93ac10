#pragma once
#include "dynofa/latency/table_json.hpp"
#include "dynofa/latency/table_yaml.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>

namespace dynofa {

namespace detail {
inline bool is_yaml(const std::filesystem::path& path) {
  return path.extension() == ".yaml" || path.extension() == ".yml";
}
/// The 96 of "96_lookup_table.json"; nothing for a file of another name. Throws errc::bad_file for one that is no
/// resolution.
inline std::optional<int> resolution_in_name(const std::filesystem::path& path) {
  const std::string name = path.stem().string(), extension = path.extension().string();
  constexpr std::string_view tail = "_lookup_table";
  if (!name.ends_with(tail) || name.starts_with('.') || (extension != ".json" && !is_yaml(path))) return std::nullopt;
  return read_resolution(std::string_view(name).substr(0, name.size() - tail.size()), path.string());
}
/// The resolution that entries are of: the input's size of their stem. Throws errc::bad_file where there are two, or
/// none.
inline int resolution_of_stem(const latency_table::entries& entries, const std::filesystem::path& path) {
  const auto fault = [&](std::string got) {
    return error(errc::bad_file, path.string(),
                 "a name such as 96_lookup_table.yaml, or one entry Conv-input: that says the resolution",
                 std::move(got));
  };
  std::optional<operation_key> stem;
  for (const auto& [name, entry] : entries) {
    const auto key = find_operation_key(name);
    if (!key || key->type != operation_key::kind::conv) continue;
    if (stem && stem->in_size != key->in_size) throw fault(text(to_string(*stem), " and ", name));
    stem = key;
  }
  if (!stem) throw fault("no such entry");
  return read_resolution(std::to_string(stem->in_size), path.string());
}
inline nlohmann::json read_table_document(const std::filesystem::path& path) {
  const file_bytes file = map_file(path);
  return is_yaml(path) ? parse_table_yaml(file.text(), path.string()) : parse_table_json(file.text(), path.string());
}
} // namespace detail

/// Reads once-for-all's original form: a folder with one `<resolution>_lookup_table.json` or `.yaml` per resolution.
/// Other files are ignored. The device is named after the folder.
inline latency_table load_latency_folder(const std::filesystem::path& folder) {
  latency_table table;
  table.device = detail::utf8((folder.has_filename() ? folder : folder.parent_path()).filename().string());
  std::error_code fault;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator at(folder, fault), end; !fault && at != end; at.increment(fault))
    files.push_back(at->path());
  if (fault) throw error(errc::io, folder.string(), "a readable folder", fault.message());
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    const auto r = detail::resolution_in_name(path);
    if (!r) continue;
    const auto document = detail::read_table_document(path);
    if (!table.resolutions.emplace(*r, detail::read_latency_entries({document, path.string()})).second)
      throw error(errc::bad_file, folder.string(), text("one table for resolution ", *r), "two");
  }
  if (table.resolutions.empty())
    throw error(errc::bad_file, folder.string(), "files named RESOLUTION_lookup_table.json", "none");
  return table;
}

/// Reads a table: a .json or .yaml file of either form, a folder with one file per resolution, or one file of a single
/// resolution, from such a folder or named otherwise, as ProxylessNAS' mobile_trim.yaml. A table that does not say its
/// device is named after the file, or the folder.
inline latency_table load_latency_table(const std::filesystem::path& path) {
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) return load_latency_folder(path);
  const nlohmann::json document = detail::read_table_document(path);
  latency_table table;
  if (detail::is_of_one_resolution(document)) {
    const auto r = detail::resolution_in_name(path);
    auto entries = detail::read_latency_entries({document, path.string()}); // its faults first
    if (r) table.device = detail::utf8(path.parent_path().filename().string());
    const int of = r ? *r : detail::resolution_of_stem(entries, path);
    table.resolutions.emplace(of, std::move(entries));
  } else
    table = read_latency_table(document, path.string());
  if (table.device.empty()) table.device = detail::utf8(path.stem().string());
  return table;
}

/// Writes our form, as YAML if the name ends so and as JSON otherwise; readers see the old file or the new one.
inline void save_latency_table(const std::filesystem::path& path, const latency_table& table) {
  replace_file(path, detail::is_yaml(path) ? to_yaml(table) : detail::json_text(table, path.string(), 1) + "\n");
}

} // namespace dynofa
