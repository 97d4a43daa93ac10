#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/data/class_names_json.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace dynofa::data {

namespace detail {

/// Files of ours store names as JSON, which is UTF-8.
inline void expect_name(std::string_view name, std::string_view where) {
  const nlohmann::json as_json(name);
  dynofa::detail::json_field(as_json, std::string(where)).word(1024);
}

/// "n01443537 goldfish, Carassius auratus", "folder<TAB>name", or a name that is the folder's too.
inline class_name class_name_of(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  constexpr std::size_t wordnet = 9;
  std::size_t end = line.find('\t');
  if (end == line.npos && line.size() > wordnet && line[0] == 'n' && line[wordnet] == ' ' &&
      std::all_of(line.begin() + 1, line.begin() + wordnet, is_digit))
    end = wordnet;
  if (end == line.npos) return {std::string(line), std::string(line)};
  return {std::string(line.substr(0, end)), std::string(line.substr(end + 1))};
}

} // namespace detail

/// Class names of a text with a line per class, the folder's name and perhaps, behind a tab or a WordNet id, another
/// name; or of a JSON list of texts or of {"wnid": …, "name": …}. Throws errc::bad_file with the place.
inline std::vector<class_name> parse_class_names(std::string_view content, const std::string& where) {
  std::vector<class_name> names;
  if (const auto first = content.find_first_not_of(" \t\r\n");
      first != content.npos && (content[first] == '[' || content[first] == '{')) {
    names = read_class_names(dynofa::detail::parse_bounded(content, where, 16u << 20), where);
  } else {
    if (const std::string kind = kind_of_content(content); !kind.empty())
      throw error(errc::bad_file, where, "class names, a line each or as JSON", kind);
    for_each_line(content, where, [&](std::string_view line, const std::string& place) {
      detail::expect_name(line, place);
      if (names.size() == 1 << 20) throw error(errc::bad_file, place, "at most 1048576 classes", "more");
      names.push_back(detail::class_name_of(line));
    });
  }
  if (names.empty()) throw error(errc::bad_file, where, "at least one class", "none");
  return names;
}

/// Class names in the order of their labels: the folders of a data set in byte order, as `image_folder` has them; a
/// JSON list of texts or of {"wnid": …, "name": …}; or a text with a line per class, the folder's name and perhaps,
/// behind a tab or a WordNet id, another name. Throws errc::io, or errc::bad_file with the place.
inline std::vector<class_name> load_class_names(const std::filesystem::path& path) {
  std::vector<class_name> names;
  std::error_code fault;
  if (std::filesystem::is_directory(path, fault)) {
    std::filesystem::directory_iterator entry(path, fault);
    for (; !fault && entry != std::filesystem::directory_iterator(); entry.increment(fault)) {
      std::error_code ignored; // of a dangling link
      const std::string name = entry->path().filename().string();
      if (!entry->is_directory(ignored) || name.starts_with('.')) continue;
      detail::expect_name(name, path.string());
      names.push_back({name, name});
    }
    if (fault) throw error(errc::io, path.string(), "a folder that can be read", fault.message());
    if (names.empty()) throw error(errc::bad_file, path.string(), "a folder for each class", "none");
    std::sort(names.begin(), names.end(), [](const class_name& a, const class_name& b) { return a.id < b.id; });
    return names;
  }
  return parse_class_names(map_file(path).text(), path.string());
}

} // namespace dynofa::data
