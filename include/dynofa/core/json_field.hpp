#pragma once
#include "dynofa/core/decimal.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/core/number.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// How every JSON text of the library is read. Whatever is wrong with one is one dynofa::error (errc::bad_file) that
// names the field.

namespace dynofa::detail {

/// A place in a JSON document, by name, that reads only what it can bound. The document has to outlive it.
class json_field {
public:
  json_field(const nlohmann::json& value, std::string name)
      : value_{value}
      , name_{std::move(name)} {}

  const nlohmann::json& value() const { return value_; }
  std::string name() const { return index_ == npos ? name_ : text(name_, '[', index_, ']'); }
  error fault(std::string expected, std::string got) const {
    return error(errc::bad_file, name(), std::move(expected), std::move(got));
  }
  error fault(std::string expected) const { return fault(std::move(expected), found()); }

  const json_field& object() const {
    if (!value_.is_object()) throw fault("an object");
    return *this;
  }
  json_field operator[](const char* key) const {
    const auto at = value_.find(key);
    if (at == value_.end()) throw fault(text("a field ", key), "none");
    return {*at, name() + " field " + key};
  }
  bool has(const char* key) const { return value_.contains(key); }
  bool is_null() const { return value_.is_null(); }
  bool is_array() const { return value_.is_array(); }

  template <std::integral T>
  T whole_number(std::type_identity_t<T> least, T most) const {
    // JSON integers beyond 64 bits are parsed as doubles, so they fail here too
    const auto within = [&](auto n) { return std::cmp_greater_equal(n, least) && std::cmp_less_equal(n, most); };
    if (value_.is_number_unsigned()) {
      if (const auto n = value_.get<std::uint64_t>(); within(n)) return static_cast<T>(n);
    } else if (value_.is_number_integer()) {
      if (const auto n = value_.get<std::int64_t>(); within(n)) return static_cast<T>(n);
    }
    throw fault(text("a whole number in ", least, "..", most));
  }
  double number() const {
    if (!value_.is_number()) throw fault("a number");
    return value_.get<double>(); // finite: the parser refuses others
  }
  double number(double least, double most) const {
    const double n = value_.is_number() ? value_.get<double>() : std::nan("");
    if (!(n >= least && n <= most)) throw fault(text("a number in ", least, "..", most));
    return n;
  }
  /// At most three decimal places.
  decimal decimal_number(decimal least, decimal most) const {
    if (!value_.is_number_float() && least.is_whole()) return whole_number(int(least), int(most));
    const auto d = value_.is_number() ? decimal::exactly(value_.get<double>()) : std::nullopt;
    if (!d || *d < least || *d > most)
      throw fault(text("a number in ", least, "..", most, " of at most three decimal places"));
    return *d;
  }
  /// In (0, most].
  double positive(double most) const {
    const double n = value_.is_number() ? value_.get<double>() : 0;
    if (!(n > 0 && n <= most)) throw fault(text("a number above 0, at most ", most));
    return n;
  }
  bool boolean() const {
    if (!value_.is_boolean()) throw fault("true or false");
    return value_.get<bool>();
  }
  /// A text of at most `most` bytes, UTF-8 (what comes from YAML may be anything).
  std::string word(std::size_t most) const {
    if (!value_.is_string() || value_.get_ref<const std::string&>().size() > most)
      throw fault(text("a text of at most ", most, " bytes"));
    try {
      (void)value_.dump();
    } catch (const nlohmann::json::exception&) {
      throw fault("UTF-8", "other bytes");
    }
    return value_.get<std::string>();
  }
  bool is_word(std::string_view word) const {
    return value_.is_string() && value_.get_ref<const std::string&>() == word;
  }

  /// `visit(element)` for every element of a list of at most `most`.
  template <class Visit>
  void each(std::size_t most, Visit visit) const {
    if (!value_.is_array()) throw fault("a list");
    if (value_.size() > most) throw fault(text("a list of at most ", most), std::to_string(value_.size()));
    const std::string list = name();
    for (std::size_t i = 0; i < value_.size(); ++i) visit(json_field(value_[i], list, i));
  }
  /// `visit(key, value)` for every member of an object; the value is called "OURS, WHAT KEY".
  template <class Visit>
  void members(std::size_t least, std::size_t most, const char* what, Visit visit) const {
    if (object().value_.size() < least || value_.size() > most)
      throw fault(text(least, " to ", most, " members"), std::to_string(value_.size()));
    const std::string prefix = text(name(), ", ", what, ' ');
    for (const auto& [key, value] : value_.items()) {
      std::string shown = key.substr(0, 200);
      for (char& c : shown)
        if (c < ' ' || c > '~') c = '?';
      visit(key, json_field(value, prefix + shown));
    }
  }
  template <class Vector>
  Vector list(decimal least, decimal most) const {
    Vector v;
    each(Vector::capacity, [&](const json_field& f) {
      if constexpr (std::is_same_v<typename Vector::value_type, decimal>)
        v.push_back(f.decimal_number(least, most));
      else
        v.push_back(static_cast<typename Vector::value_type>(f.whole_number(int(least), int(most))));
    });
    return v;
  }
  /// A list that is not empty and whose every element is greater than the one before.
  template <class Vector>
  Vector ascending(decimal least, decimal most) const {
    const auto v = list<Vector>(least, most);
    for (std::size_t i = 1; i < v.size(); ++i)
      if (v[i] <= v[i - 1]) throw fault("ascending numbers", text(decimal(v[i - 1]), " before ", decimal(v[i])));
    if (v.empty()) throw fault("at least one number", "an empty list");
    return v;
  }

private:
  static constexpr std::size_t npos = std::size_t(-1);
  json_field(const nlohmann::json& value, std::string name, std::size_t index)
      : value_{value}
      , name_{std::move(name)}
      , index_{index} {}

  std::string found() const {
    if (value_.is_number_float() && !std::isfinite(value_.get<double>())) return text(value_.get<double>());
    if (value_.is_number()) return value_.dump();
    return value_.type_name();
  }
  const nlohmann::json& value_;
  std::string name_;         // of the list, for an element of one: lists may have millions
  std::size_t index_ = npos; // in that list
};

/// The error for a text that is no JSON: in which line, and Python's NaN and Infinity by their names.
inline error json_fault(std::string_view source, std::string_view name) {
  std::size_t at = 0; // characters read until then
  try {
    [[maybe_unused]] const auto parsed = nlohmann::json::parse(source.begin(), source.end());
  } catch (const nlohmann::json::parse_error& fault) {
    at = std::min(fault.byte, source.size());
  } catch (const nlohmann::json::exception&) { // a number beyond all doubles
  }
  constexpr auto word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const auto blanks = source.find_last_not_of(word, at > 0 ? at - 1 : 0);
  const std::size_t start = blanks == source.npos ? 0 : blanks + 1;
  const std::string_view found = source.substr(start, source.find_first_not_of(word, start) - start);
  const auto line = 1 + std::count(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  const std::string in_line = line > 1 ? text(" in line ", line) : "";
  for (const char* special : {"NaN", "nan", "NAN", "Infinity", "inf", "Inf"})
    if (found == special) {
      std::string_view field = source.substr(0, start);
      field.remove_prefix(field.find_last_of("\n{[,") + 1);
      field.remove_prefix(std::min(field.find_first_not_of(" \""), field.size()));
      field = field.substr(0, field.find_last_not_of(" \":-") + 1);
      return error(errc::bad_file, name, "finite numbers",
                   text(found, in_line, field.empty() ? "" : " as " + printable(field)));
    }
  return error(errc::bad_file, name, "a JSON text", "something else" + in_line);
}

/// Text → JSON, at most `most_bytes` and 8 levels deep, no name twice in an object.
inline nlohmann::json parse_bounded(std::string_view source, std::string_view name, std::size_t most_bytes = 1 << 20) {
  constexpr int most_levels = 8;
  if (source.size() > most_bytes)
    throw error(errc::bad_file, name, text("at most ", most_bytes, " bytes"), text(source.size(), " bytes"));
  const classic_numbers here;
  std::vector<std::set<std::string>> names; // of the objects that are open
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using what = nlohmann::json::parse_event_t;
    if (depth > most_levels) throw error(errc::bad_file, name, text("at most ", most_levels, " nested levels"), "more");
    if (event == what::object_start) names.emplace_back();
    if (event == what::object_end) names.pop_back();
    if (event == what::key)
      if (const auto key = value.get<std::string>(); !names.back().insert(key).second)
        throw error(errc::bad_file, name, "each name once", printable(key) + " twice");
    return true;
  };
  nlohmann::json parsed = nlohmann::json::parse(source.begin(), source.end(), check, false);
  if (parsed.is_discarded()) {
    if (std::string kind = kind_of_content(source); !kind.empty())
      throw error(errc::bad_file, name, "a JSON text", std::move(kind));
    throw json_fault(source, name);
  }
  return parsed;
}

/// A file's name or the like as it may stand in JSON: as it is if it is UTF-8, else with '?' for what is not ASCII.
inline std::string utf8(std::string name) {
  try {
    (void)nlohmann::json(name).dump();
  } catch (const nlohmann::json::exception&) {
    for (char& c : name)
      if (static_cast<unsigned char>(c) > 127) c = '?';
  }
  return name;
}

/// JSON → text, in one line or indented. Throws errc::invalid_argument, with `where`, for texts that are not UTF-8,
/// such as a file's name in Latin-1.
inline std::string json_text(const nlohmann::json& value, std::string_view where, int indent = -1) {
  try {
    return value.dump(indent);
  } catch (const nlohmann::json::exception&) {
    throw error(errc::invalid_argument, where, "names and texts in UTF-8", "another encoding");
  }
}

} // namespace dynofa::detail
