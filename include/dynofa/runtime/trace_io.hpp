#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/runtime/trace.hpp"

#include <nlohmann/json.hpp>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa::runtime {

namespace detail {

constexpr std::size_t most_trace_images = 10'000'000;

/// The columns of one CSV line, without blanks around them. No quoting: a trace has numbers and plain words. Throws
/// unless they are as many as in the header, where there has been one (`header` not empty).
inline std::vector<std::string> csv_columns(std::string_view line, const std::vector<std::string>& header,
                                            const std::string& where) {
  std::vector<std::string> columns(1);
  for (char c : line) {
    if (c == ',')
      columns.emplace_back();
    else if (!std::isspace(static_cast<unsigned char>(c)))
      columns.back() += c;
  }
  if (!header.empty() && columns.size() != header.size())
    throw error(errc::bad_file, where, text(header.size(), " columns, as in the header"), text(columns.size()));
  return columns;
}

} // namespace detail

/// Reads recorded images as a trace that any policy can be replayed on: JSON-lines (one object per image, the first
/// character of the file is `{`) or CSV with a header. Needed of every image: `level` and `latency_ms`; `limit_ms` is
/// the limit at that time (none where absent); all else is passed over. The factor of an image is its latency against
/// the table's for its level, so what another level would have taken is an estimate. At most 10 million images and 64
/// KiB per line; throws dynofa::error with the line number on anything else.
inline trace read_trace(std::string_view source, const std::string& name, std::span<const level_figures> levels) {
  validate(levels);
  trace t;
  t.name = name;
  t.levels.assign(levels.begin(), levels.end());
  t.own.assign(levels.size(), 1);
  std::vector<std::string> header;
  const bool json = source.starts_with('{');
  for_each_line(source, name, [&](std::string_view line, const std::string& where) {
    const auto fail = [&](const std::string& expected, const std::string& got) {
      return error(errc::bad_file, where, expected, got);
    };
    double level = -1, latency = 0, limit = target::none;
    if (json) {
      const auto object = nlohmann::json::parse(line, nullptr, false);
      if (!object.is_object()) throw fail("a JSON object", "something else");
      const auto number_of = [&](const char* key, double& value) {
        const auto found = object.find(key);
        if (found == object.end() || found->is_null()) return;
        if (!found->is_number()) throw fail(text("a number as \"", key, '"'), found->type_name());
        value = found->get<double>();
      };
      number_of("level", level);
      number_of("latency_ms", latency);
      number_of("limit_ms", limit);
    } else if (header.empty()) {
      header = detail::csv_columns(line, header, where);
      return;
    } else {
      const auto columns = detail::csv_columns(line, header, where);
      for (std::size_t i = 0; i < columns.size(); ++i) {
        double* value = header[i] == "level"        ? &level
                        : header[i] == "latency_ms" ? &latency
                        : header[i] == "limit_ms"   ? &limit
                                                    : nullptr;
        if (!value || columns[i].empty()) continue;
        char* end = nullptr;
        *value = std::strtod(columns[i].c_str(), &end);
        if (*end != 0) throw fail(text("a number in column ", header[i]), "\"" + columns[i].substr(0, 40) + "\"");
      }
    }
    if (!(level >= 0 && level < static_cast<double>(levels.size()) && level == std::floor(level)))
      throw fail(text("a level of 0 to ", levels.size() - 1), text(level));
    if (!(std::isfinite(latency) && latency > 0)) throw fail("a latency_ms above 0", text(latency));
    if (!(limit > 0)) throw fail("a limit_ms above 0", text(limit));
    if (t.factor.size() == detail::most_trace_images) throw fail("at most 10 million images", "more");
    if (t.targets.empty() || t.targets.back().wanted.latency_ms != limit)
      t.targets.push_back({t.factor.size(), {.latency_ms = limit}});
    t.factor.push_back(latency / levels[static_cast<std::size_t>(level)].latency_ms);
  });
  if (t.factor.empty()) throw error(errc::bad_file, name, "at least one image", "none");
  return t;
}

inline trace read_trace(const std::filesystem::path& path, std::span<const level_figures> levels) {
  return read_trace(map_file(path).text(), path.string(), levels);
}

} // namespace dynofa::runtime
