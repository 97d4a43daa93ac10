#pragma once
#include "dynofa/core/json_field.hpp"
#include "dynofa/data/class_names.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace dynofa::data {

/// Reads a list [{"wnid": …, "name": …}, …], of up to 2^20; a text stands for both. Throws errc::bad_file for anything
/// else.
inline std::vector<class_name> read_class_names(const nlohmann::json& list, const std::string& where) {
  std::vector<class_name> names;
  dynofa::detail::json_field(list, where).each(1 << 20, [&](const dynofa::detail::json_field& f) {
    if (f.value().is_string())
      names.push_back({f.word(1024), f.word(1024)});
    else
      names.push_back({f.object()["wnid"].word(1024), f["name"].word(1024)});
  });
  return names;
}
/// Reads such a file, at most 16 MiB and not empty. Throws errc::io too.
inline std::vector<class_name> read_class_names(const std::filesystem::path& path) {
  const std::string where = path.string();
  auto names = read_class_names(dynofa::detail::parse_bounded(map_file(path).text(), where, 16u << 20), where);
  if (names.empty()) throw error(errc::bad_file, where, "at least one class", "none");
  return names;
}

} // namespace dynofa::data
