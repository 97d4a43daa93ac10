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

namespace dynofa::runtime {

/// Reads recorded images as a trace that any policy can be replayed on: JSON-lines (one object per image, the first
/// character of the file is `{`) or CSV with a header. Needed of every image: `level` and `latency_ms`; `limit_ms` is
/// the limit at that time (none where absent); all else is passed over. `levels` may be left out for a log that says
/// them, as a manager's does. The factor of an image is its latency against the table's for its level, so what another
/// level would have taken is an estimate. At most 10 million images and 64 KiB per line; throws dynofa::error with the
/// line number on anything else.
inline trace read_trace(std::string_view source, const std::string& name, std::span<const level_figures> levels = {}) {
  trace t;
  t.name = name;
  const auto take_levels = [&](std::span<const level_figures> given) {
    validate(given);
    t.levels.assign(given.begin(), given.end());
    t.own.assign(given.size(), 1);
  };
  if (!levels.empty()) take_levels(levels);
  const auto on_levels = [&](const std::string& where, const std::vector<level_figures>& read) {
    if (t.levels.empty()) return take_levels(read);
    if (levels.empty() && read != t.levels)
      throw error(errc::bad_file, where, "the levels of the lines before", "others");
  };
  constexpr std::size_t most_images = 10'000'000;
  read_records(
      source, name,
      [&](const std::string& where, const record_fields& fields) {
        const auto fail = [&](const std::string& expected, const std::string& got) {
          return error(errc::bad_file, where, expected, got);
        };
        double level = -1, latency = 0, limit = target::none;
        for (const auto& [key, content] : fields) {
          double* value = key == "level"        ? &level
                          : key == "latency_ms" ? &latency
                          : key == "limit_ms"   ? &limit
                                                : nullptr;
          if (!value) continue;
          const auto number = parse_number<double>(content);
          if (!number) throw fail(text("a number as ", key), printable(content));
          *value = *number;
        }
        if (t.levels.empty()) throw fail("the levels before the first image, or given", "none");
        if (!(level >= 0 && level < static_cast<double>(t.levels.size()) && level == std::floor(level)))
          throw fail(text("a level of 0 to ", t.levels.size() - 1), text(level));
        if (!(std::isfinite(latency) && latency > 0)) throw fail("a latency_ms above 0", text(latency));
        if (!(limit > 0)) throw fail("a limit_ms above 0", text(limit));
        if (t.factor.size() == most_images) throw fail("at most 10 million images", "more");
        if (t.targets.empty() || t.targets.back().wanted.latency_ms != limit)
          t.targets.push_back({t.factor.size(), {.latency_ms = limit}});
        t.factor.push_back(latency / t.levels[static_cast<std::size_t>(level)].latency_ms);
      },
      on_levels);
  if (t.factor.empty()) throw error(errc::bad_file, name, "at least one image", "none");
  return t;
}

inline trace read_trace(const std::filesystem::path& path, std::span<const level_figures> levels = {}) {
  return read_trace(map_file(path).text(), path.string(), levels);
}

} // namespace dynofa::runtime
