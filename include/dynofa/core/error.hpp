#pragma once
#include <charconv>
#include <cstdint>
#include <sstream> // and std::locale, whose own header brings facets that every unit would read
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace dynofa {

/// What kind of fault an error reports; the sentence in `what()` carries the details.
enum class errc {
  invalid_argument, ///< a value the caller chose is outside what is offered
  invalid_arch,     ///< an architecture that its space does not contain
  io,               ///< the operating system refused to read or write
  bad_file,         ///< a file that is truncated, oversized, altered or of another format
  unsupported,      ///< a well-formed thing this version cannot handle (newer format, other dtype)
  missing_key,      ///< a checkpoint or table lacks an entry
  extra_key,        ///< a checkpoint or table has an entry nothing asks for
  shape_mismatch,   ///< an entry has another shape than the network needs
  mismatch,         ///< two things that belong together do not (statistics of another architecture, …)
  infeasible,       ///< a constraint that nothing in the space can meet
  device,           ///< a device is absent, out of memory or reported a failure
  cancelled,        ///< the caller asked to stop
};

/// Joins its arguments into one string with `operator<<` under the classic locale, whatever the global one is.
template <class... Parts>
[[gnu::cold]] std::string text(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  (out << ... << parts);
  return std::move(out).str();
}

/// `v` with so many decimal places.
inline std::string fixed(double v, int places = 2) {
  char digits[400]; // 309 before the point
  return {digits, std::to_chars(digits, digits + sizeof digits, v, std::chars_format::fixed, places).ptr};
}

/// The digits of `v` in a base of 2 to 36: hashes are written in base 16.
inline std::string in_base(int base, std::uint64_t v) {
  char digits[64];
  return {digits, std::to_chars(digits, digits + sizeof digits, v, base).ptr};
}

/// Text of a file as it may stand in an error sentence: at most 60 characters, control and non-ASCII bytes as '?'.
inline std::string printable(std::string_view s) {
  std::string out = "\"";
  for (char c : s.substr(0, 60)) out += c < ' ' || c > '~' ? '?' : c;
  return out + (s.size() > 60 ? "…\"" : "\"");
}

namespace detail {
/// Control characters as '?': names of files and texts in them may hold line ends, or what moves a terminal's cursor.
inline std::string one_line(std::string s) {
  for (char& c : s)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  return s;
}
} // namespace detail

/// Wrong data, files or configuration at run time: one sentence with where, what was expected and what was got.
///
/// Whoever throws leaves nothing half done: objects keep the state they had before the call.
class error : public std::runtime_error {
public:
  /// `what()` becomes "WHERE: expected EXPECTED, got GOT" in one line, whatever the parts hold.
  [[gnu::cold, gnu::noinline]] error(errc code, std::string_view where, std::string expected, std::string got)
      : std::runtime_error(detail::one_line(text(where, ": expected ", expected, ", got ", got)))
      , code_{code}
      , where_{where}
      , expected_{std::move(expected)}
      , got_{std::move(got)} {}

  errc code() const noexcept { return code_; }                 ///< what kind of fault it is; the four make up `what()`
  const std::string& where() const noexcept { return where_; } ///< the operation, file and field
  const std::string& expected() const noexcept { return expected_; } ///< what would have been right
  const std::string& got() const noexcept { return got_; }           ///< what was there instead

private:
  errc code_;
  std::string where_, expected_, got_;
};

/// Throws errc::invalid_argument unless `good`; the parts of `got` are joined only then.
template <class... Got>
void require_argument(bool good, std::string_view where, std::string_view expected, const Got&... got) {
  if (!good) throw error(errc::invalid_argument, where, std::string(expected), text(got...));
}

} // namespace dynofa
