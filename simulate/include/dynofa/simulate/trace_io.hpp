#pragma once
#include "dynofa/core/number.hpp"
#include "dynofa/runtime/record_lines.hpp"
#include "dynofa/simulate/trace.hpp"

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa::runtime {

/// Reads recorded images as a trace that any policy can be replayed on: JSON-lines (one object per image, the first
/// character of the file is `{`) or CSV with a header. Needed of every image: `level` and `latency_ms`; `limit_ms` is
/// the limit at that time (none where absent); all else is passed over. The policy chooses among `levels`, or where
/// none are given, among those that the log begins with. The factor of an image is its latency against that of its
/// level (in the log's levels if it says them), so what another level would have taken is an estimate. At most 10
/// million images and 64 KiB per line; throws dynofa::error with the line number on anything else.
inline trace read_trace(std::string_view source, const std::string& name, std::span<const level_figures> levels = {}) {
  if (!levels.empty()) validate(levels);
  trace t;
  t.name = name;
  std::vector<level_figures> logged;
  const auto on_levels = [&](const std::string& where, const std::vector<level_figures>& read) {
    if (!logged.empty() && read != logged)
      throw error(errc::bad_file, where, "the levels of the lines before", "others");
    logged = read;
  };
  constexpr std::size_t most_images = 10'000'000;
  const auto each = [&](const std::string& where, const record_fields& fields) {
    const auto fail = [&](const std::string& expected, const std::string& got) {
      return error(errc::bad_file, where, expected, got);
    };
    double level = -1, latency = 0, limit = target::none;
    for (const auto& [key, content] : fields) {
      double* value = key == "level" ? &level : key == "latency_ms" ? &latency : key == "limit_ms" ? &limit : nullptr;
      if (!value) continue;
      const auto number = parse_number<double>(content);
      if (!number) throw fail(text("a number as ", key), printable(content));
      *value = *number;
    }
    const std::span<const level_figures> ran = logged.empty() ? levels : std::span<const level_figures>(logged);
    if (ran.empty()) throw fail("the levels before the first image, or given", "none");
    if (!(level >= 0 && level < static_cast<double>(ran.size()) && level == std::floor(level)))
      throw fail(text("a level of 0 to ", ran.size() - 1), text(level));
    if (!(std::isfinite(latency) && latency > 0)) throw fail("a latency_ms above 0", text(latency));
    if (!(limit > 0)) throw fail("a limit_ms above 0", text(limit));
    if (t.factor.size() == most_images) throw fail("at most 10 million images", "more");
    if (t.targets.empty() || t.targets.back().wanted.latency_ms != limit)
      t.targets.push_back({t.factor.size(), {.latency_ms = limit}});
    t.factor.push_back(latency / ran[static_cast<std::size_t>(level)].latency_ms);
  };
  read_records(source, name, each, on_levels);
  if (t.factor.empty()) throw error(errc::bad_file, name, "at least one image", "none");
  if (levels.empty()) levels = logged;
  t.levels.assign(levels.begin(), levels.end());
  t.own.assign(levels.size(), 1);
  return t;
}

/// The same of a file. Throws errc::io where it cannot be read.
inline trace read_trace(const std::filesystem::path& path, std::span<const level_figures> levels = {}) {
  return read_trace(map_file(path).text(), path.string(), levels);
}

} // namespace dynofa::runtime
