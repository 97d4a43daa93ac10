#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"
#include "dynofa/runtime/level_figures.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa::runtime {

/// The fields of one record in the order of its line: name and value as text. Absent and empty ones are left out.
using record_fields = std::vector<std::pair<std::string, std::string>>;

namespace detail {

/// The columns of one CSV line, without blanks around them. No quoting: they are numbers and plain words.
inline std::vector<std::string> csv_columns(std::string_view line) {
  std::vector<std::string> columns(1);
  for (char c : line) {
    if (c == ',')
      columns.emplace_back();
    else if (c != ' ' && c != '\t' && c != '\r') // whatever the locale takes for blank
      columns.back() += c;
  }
  return columns;
}

/// [[latency_ms, top1, energy_mj], …] as a log has it. Throws errc::bad_file unless it is a front.
template <class Json>
std::vector<level_figures> read_levels(const std::string& where, const Json& list) {
  std::vector<level_figures> levels;
  if (list.is_array())
    for (const auto& l : list) {
      const bool good = l.is_array() && l.size() == 3 && l[0].is_number() && l[1].is_number() && l[2].is_number();
      if (!good) throw error(errc::bad_file, where, "levels of [latency_ms, top1, energy_mj]", "something else");
      levels.push_back({l[0].template get<double>(), l[1].template get<double>(), l[2].template get<double>()});
    }
  try {
    validate(levels);
  } catch (const error& fault) {
    throw error(errc::bad_file, text(where, ", ", fault.where()), fault.expected(), fault.got());
  }
  return levels;
}

} // namespace detail

/// Reads a file with one record per line and calls `each(where, record_fields)`, where "NAME line 7" names the line in
/// errors. JSON objects if the first character is `{`, without their nulls, arrays and objects; else CSV with a header,
/// which may come again where files were joined, and comments after `#`. A JSON object with nothing but `levels`, in
/// CSV a comment, goes to `on_levels(where, levels)`. Throws errc::bad_file for a line that is none of these, has more
/// or fewer columns than the header or is above 64 KiB.
inline void
read_records(std::string_view source, std::string_view name,
             const std::function<void(const std::string&, const record_fields&)>& each,
             const std::function<void(const std::string&, const std::vector<level_figures>&)>& on_levels = {}) {
  const bool json = source.starts_with('{');
  std::vector<std::string> header;
  const auto found_levels = [&](const std::string& where, const auto& object) {
    if (!object.is_object() || object.size() != 1 || !object.contains("levels")) return false;
    if (on_levels) on_levels(where, detail::read_levels(where, object["levels"]));
    return true;
  };
  for_each_line(source, name, [&](std::string_view line, const std::string& where) {
    record_fields fields;
    if (json) {
      const dynofa::detail::classic_numbers here;
      const auto object = nlohmann::ordered_json::parse(line, nullptr, false);
      if (!object.is_object()) throw error(errc::bad_file, where, "a JSON object", "something else");
      if (found_levels(where, object)) return;
      for (const auto& [key, value] : object.items())
        if (!value.is_null() && !value.is_structured())
          fields.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    } else {
      if (line.starts_with('#')) {
        const dynofa::detail::classic_numbers here;
        found_levels(where, nlohmann::ordered_json::parse(line.substr(1), nullptr, false));
        return;
      }
      auto columns = detail::csv_columns(line);
      if (header.empty()) return void(header = std::move(columns));
      if (columns == header) return;
      if (columns.size() != header.size())
        throw error(errc::bad_file, where, text(header.size(), " columns, as in the header"), text(columns.size()));
      for (std::size_t i = 0; i < columns.size(); ++i) fields.emplace_back(header[i], std::move(columns[i]));
    }
    std::erase_if(fields, [](const auto& field) { return field.second.empty(); });
    each(where, fields);
  });
}

} // namespace dynofa::runtime
