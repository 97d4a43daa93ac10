#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/data/class_names.hpp"
#include "dynofa/data/file.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace dynofa::data {

/// Reads a list [{"wnid": …, "name": …}, …]. Throws errc::io, or errc::bad_file for anything else than such a list.
inline std::vector<class_name> read_class_names(const std::filesystem::path& path) {
  const auto bytes = read_bytes(path, 16u << 20);
  const char* first = reinterpret_cast<const char*>(bytes.data());
  const auto json = nlohmann::json::parse(first, first + bytes.size(), nullptr, /*allow_exceptions=*/false);
  const auto bad = [&](std::string got) {
    return error(errc::bad_file, path.string(), "a list of {\"wnid\", \"name\"}", std::move(got));
  };
  if (json.is_discarded()) throw bad("a file that is not JSON");
  if (!json.is_array() || json.empty()) throw bad(text("an ", json.empty() ? "empty " : "", json.type_name()));
  std::vector<class_name> names;
  for (const auto& entry : json) {
    const auto word = [&](const char* key) {
      if (!entry.is_object()) throw bad(text("entry ", names.size(), " that is no object"));
      const auto found = entry.find(key);
      if (found == entry.end() || !found->is_string()) throw bad(text("entry ", names.size(), " without a ", key));
      return found->get<std::string>();
    };
    names.push_back({word("wnid"), word("name")});
  }
  return names;
}

} // namespace dynofa::data
