#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"

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

} // namespace detail

/// Reads a file with one record per line and calls `each(where, record_fields)`, where "NAME line 7" names the line in
/// errors. JSON objects if the first character is `{`, without their nulls, arrays and objects; else CSV with a header.
/// Throws errc::bad_file for a line that is none of these, has more or fewer columns than the header or is above 64
/// KiB.
inline void read_records(std::string_view source, std::string_view name,
                         const std::function<void(const std::string&, const record_fields&)>& each) {
  const bool json = source.starts_with('{');
  std::vector<std::string> header;
  for_each_line(source, name, [&](std::string_view line, const std::string& where) {
    record_fields fields;
    if (json) {
      const dynofa::detail::classic_numbers here;
      const auto object = nlohmann::ordered_json::parse(line, nullptr, false);
      if (!object.is_object()) throw error(errc::bad_file, where, "a JSON object", "something else");
      for (const auto& [key, value] : object.items())
        if (!value.is_null() && !value.is_structured())
          fields.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    } else {
      auto columns = detail::csv_columns(line);
      if (header.empty()) return void(header = std::move(columns));
      if (columns.size() != header.size())
        throw error(errc::bad_file, where, text(header.size(), " columns, as in the header"), text(columns.size()));
      for (std::size_t i = 0; i < columns.size(); ++i) fields.emplace_back(header[i], std::move(columns[i]));
    }
    std::erase_if(fields, [](const auto& field) { return field.second.empty(); });
    each(where, fields);
  });
}

} // namespace dynofa::runtime
