#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/runtime/record_lines.hpp"
#include "dynofa/runtime/run_log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa::runtime {

// A log file begins with the levels that its policy chose among (in CSV a comment, then the names of the columns) and
// has one image per line. Lines stand for themselves, so that files may be cut and joined, and `read_trace` reads them
// too. What is absent or without limit is left out (JSON) or empty (CSV). Numbers are written with as many digits as it
// takes to read back the same bits.

namespace detail {

inline constexpr std::size_t most_log_images = 1'000'000;

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

/// A field as text; empty if it has none. A deadline of −∞, which JSON cannot say, becomes the lowest number: the image
/// is late either way.
template <class T>
std::string field_text(const T& value) {
  if constexpr (is_optional<T>) {
    return value ? field_text(*value) : std::string();
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, reason>) {
    return std::string(name(value));
  } else {
    T finite = value;
    if constexpr (std::is_floating_point_v<T>) {
      if (value == -std::numeric_limits<T>::infinity()) finite = std::numeric_limits<T>::lowest();
      if (!std::isfinite(finite)) return {};
    }
    if (value == 0 && std::signbit(static_cast<double>(value))) return "-0.0"; // "-0" is an integer to JSON
    std::array<char, 32> room{};
    return {room.data(), std::to_chars(room.data(), room.data() + room.size(), finite).ptr};
  }
}

/// `content` as the value of a field; false if it is none.
template <class T>
bool read_field(std::string_view content, T& value) {
  if constexpr (is_optional<T>) {
    typename T::value_type inner{};
    if (!read_field(content, inner)) return false;
    value = inner;
    return true;
  } else if constexpr (std::is_same_v<T, bool>) {
    value = content == "true";
    return value || content == "false";
  } else if constexpr (std::is_same_v<T, reason>) {
    for (int r = 0; r <= static_cast<int>(reason::infeasible); ++r)
      if (content == name(static_cast<reason>(r))) return value = static_cast<reason>(r), true;
    return false;
  } else {
    const char* const end = content.data() + content.size();
    const auto [stop, fault] = std::from_chars(content.data(), end, value);
    bool good = fault == std::errc() && stop == end;
    if constexpr (std::is_floating_point_v<T>) good = good && std::isfinite(value);
    return good;
  }
}

/// What one line of a log says.
struct logged_image {
  image_record record;
  std::string policy;
  std::vector<std::pair<std::string, double>> state;
};

/// Reads a line's fields by name; those of unknown names are passed over. Throws errc::bad_file unless a manager could
/// have written it.
inline logged_image read_image(const std::string& where, const record_fields& fields) {
  const auto fault = [&](std::string expected, std::string got) {
    return error(errc::bad_file, where, std::move(expected), std::move(got));
  };
  logged_image one;
  for (const auto& [key, content] : fields) {
    bool good = true;
    if (key == "policy")
      good = is_word(one.policy = content);
    else if (key.starts_with("state."))
      good = is_word(key.substr(6)) && read_field(content, one.state.emplace_back(key.substr(6), 0).second);
    else
      visit_fields(one.record, [&, &name = key, &value = content](const char* known, auto& field) {
        if (name == known) good = read_field(value, field);
      });
    if (!good) throw fault(text("a value for ", printable(key)), printable(content));
  }
  for (const char* name : {"image", "level", "latency_ms", "reason"})
    if (std::none_of(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; }))
      throw fault(text("a value for ", name), "none");
  if (one.policy.empty()) throw fault("the policy's name", "none");
  if (!(one.record.latency_ms >= 0)) throw fault("a latency of at least 0", text(one.record.latency_ms));
  try {
    validate(one.record.wanted);
  } catch (const error& e) {
    throw error(errc::bad_file, where + ", " + e.where(), e.expected(), e.got());
  }
  return one;
}

/// Calls `put(name, content, is_word)` for every column of one image; the content is empty where there is nothing.
template <class Put>
void visit_columns(const run_log& log, const image_record& r, Put put) {
  visit_fields(r, [&](const char* name, const auto& field) {
    put(name, field_text(field), std::is_same_v<std::remove_cvref_t<decltype(field)>, reason>);
  });
  put("limit_ms", field_text(r.wanted.limit_ms()), false);
  put("policy", log.policy(), true);
  for (std::size_t s = 0; s < log.state_names().size(); ++s)
    put("state." + log.state_names()[s], s < r.state.size() ? field_text(r.state[s]) : std::string(), false);
}

/// Whether nothing stands in `out` yet; where it does not tell (a pipe), whether the run begins.
inline bool begins(std::ostream& out, const run_log& log) {
  const auto at = out.tellp();
  return at == std::ostream::pos_type(0) ||
         (at == std::ostream::pos_type(-1) && out && (log.size() == 0 || log[0].image == 0));
}

/// {"levels":[[0.34,50.2,0],…]}, or nothing for a log without.
inline std::string levels_text(const run_log& log) {
  std::string line;
  for (const level_figures& l : log.levels())
    line += text(line.empty() ? "[" : ",[", field_text(l.latency_ms), ',', field_text(l.top1), ',',
                 field_text(l.energy_mj), ']');
  return line.empty() ? line : text("{\"levels\":[", line, "]}\n");
}

inline void flush(std::ostream& out) {
  errno = 0;
  if (!out.flush())
    throw error(errc::io, "run log", "to write it",
                errno != 0 ? std::generic_category().message(errno) : "a stream that failed");
}

} // namespace detail

/// The log's images as JSON lines, appended to `out`, after its levels where `out` is empty. Clear the log afterwards.
/// Throws errc::io if `out` fails.
inline void write_json_lines(std::ostream& out, const run_log& log) {
  if (detail::begins(out, log)) out << detail::levels_text(log);
  for (std::size_t i = 0; i < log.size(); ++i) {
    char before = '{';
    detail::visit_columns(log, log[i], [&](std::string_view name, const std::string& content, bool is_word) {
      if (content.empty()) return;
      const char* quote = is_word ? "\"" : "";
      out << std::exchange(before, ',') << '"' << name << "\":" << quote << content << quote;
    });
    out << "}\n";
  }
  detail::flush(out);
}

/// The levels and the names of the columns; `write_csv` writes them itself where `out` is empty.
inline void write_csv_header(std::ostream& out, const run_log& log) {
  if (const std::string levels = detail::levels_text(log); !levels.empty()) out << "# " << levels;
  const char* before = "";
  detail::visit_columns(
      log, {}, [&](std::string_view name, const std::string&, bool) { out << std::exchange(before, ",") << name; });
  out << '\n';
}
/// The same as CSV.
inline void write_csv(std::ostream& out, const run_log& log) {
  if (detail::begins(out, log)) write_csv_header(out, log);
  for (std::size_t i = 0; i < log.size(); ++i) {
    const char* before = "";
    detail::visit_columns(log, log[i], [&](std::string_view, const std::string& content, bool) {
      out << std::exchange(before, ",") << content;
    });
    out << '\n';
  }
  detail::flush(out);
}

/// Reads what either writer wrote. The numbers of images must rise; a gap means lost images. Unknown fields are passed
/// over. Throws errc::bad_file with the line for anything else: a line above 64 KiB, more than a million images, lines
/// of several policies, values that no manager writes.
inline run_log read_run_log(std::string_view source, const std::string& name) {
  std::vector<image_record> images;
  std::string policy;
  std::vector<std::string> states;
  std::vector<level_figures> levels;
  const auto on_levels = [&](const std::string& where, const std::vector<level_figures>& read) {
    if (!levels.empty() && read != levels)
      throw error(errc::bad_file, where, "the levels of the lines before", "others");
    levels = read;
  };
  constexpr double absent = std::numeric_limits<double>::quiet_NaN(); // a figure of state that was not finite
  read_records(
      source, name,
      [&](const std::string& where, const record_fields& fields) {
        detail::logged_image one = detail::read_image(where, fields);
        if (images.size() == detail::most_log_images)
          throw error(errc::bad_file, where, "at most a million images", "more");
        if (policy.empty()) policy = one.policy;
        if (one.policy != policy)
          throw error(errc::bad_file, where, "an image of " + policy, "one of " + printable(one.policy.substr(0, 40)));
        if (!images.empty() && one.record.image <= images.back().image)
          throw error(errc::bad_file, where, text("an image after ", images.back().image), text(one.record.image));
        for (const auto& [key, value] : one.state) {
          const auto known = std::find(states.begin(), states.end(), key);
          const auto at = static_cast<std::size_t>(known - states.begin());
          if (at == image_record::most_state) continue;
          if (known == states.end()) states.push_back(key);
          if (one.record.state.size() <= at) one.record.state.resize(at + 1, absent);
          one.record.state[at] = value;
        }
        images.push_back(one.record);
      },
      on_levels);
  if (images.empty()) throw error(errc::bad_file, name, "at least one image", "none");
  run_log log(policy, states, images.size());
  if (!levels.empty()) log.set_levels(std::move(levels));
  for (image_record& r : images) {
    r.state.resize(states.size(), absent);
    log.add(r);
  }
  return log;
}
/// The same of a file. Throws errc::io where it cannot be read.
inline run_log read_run_log(const std::filesystem::path& path) {
  return read_run_log(map_file(path).text(), path.string());
}

} // namespace dynofa::runtime
