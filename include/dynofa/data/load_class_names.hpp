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
      if (entry->is_directory(ignored) && !name.starts_with('.')) names.push_back({name, name});
    }
    if (fault) throw error(errc::io, path.string(), "a folder that can be read", fault.message());
    if (names.empty()) throw error(errc::bad_file, path.string(), "a folder for each class", "none");
    std::sort(names.begin(), names.end(), [](const class_name& a, const class_name& b) { return a.id < b.id; });
    return names;
  }
  const file_bytes file = map_file(path);
  const std::string_view content = file.text();
  if (const auto first = content.find_first_not_of(" \t\r\n");
      first != content.npos && (content[first] == '[' || content[first] == '{'))
    return read_class_names(path);
  const std::string kind = kind_of_content(content);
  if (!kind.empty()) throw error(errc::bad_file, path.string(), "class names, a line each or as JSON", kind);
  for_each_line(content, path.string(), [&](std::string_view line, const std::string& where) {
    if (std::any_of(line.begin(), line.end(), [](char c) { return c == '\0'; }) || line.size() > 1024)
      throw error(errc::bad_file, where, "a class name of at most 1024 bytes", "something else");
    if (names.size() == 1 << 20) throw error(errc::bad_file, where, "at most 1048576 classes", "more");
    names.push_back(dynofa::data::detail::class_name_of(line));
  });
  if (names.empty()) throw error(errc::bad_file, path.string(), "at least one class", "none");
  return names;
}

} // namespace dynofa::data
