#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/number.hpp"
#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>

#include "support/torch_writer.hpp"
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What fuzzers of readers share. An altered input must be read or be refused with one dynofa::error: no crash, no other
// exception, no hang. Run them under AddressSanitizer and UBSan too; what was read is used.

namespace support::fuzz {

inline std::uint64_t setting(const char* name, std::uint64_t usual) {
  const char* given = std::getenv(name);
  if (given == nullptr) return usual;
  const auto number = dynofa::parse_number<std::uint64_t>(given);
  dynofa::require_argument(number.has_value(), name, "a whole number", given);
  return *number;
}

/// How many altered inputs a reader gets; under the label `long` a million.
inline std::size_t mutations(std::size_t usual) { return setting("DYNOFA_FUZZ_MUTATIONS", usual); }
/// Another one for every DYNOFA_FUZZ_SEED.
inline std::uint64_t seed(std::uint64_t usual) { return usual + (setting("DYNOFA_FUZZ_SEED", 0) << 8); }

/// What JSON, YAML, CSV and our own words are made of.
inline constexpr std::string_view text_pieces[] = {
    "{",     "}",       "[",        "]",    "\"",     ":",     ",",
    "\n",    "null",    "true",     "-1",   "1e999",  "1e-99", "NaN",
    "inf",   "&a ",     "*a",       "- ",   "? ",     "!!str", "|\n",
    "---\n", "%YAML ",  "\t",       "#",    "\xff",   " ",     "\\u0000",
    "\\n",   "\\ud800", "{\"a\":",  "0x10", "-0",     "<<: ",  "\r",
    "'",     "[0]",     "\"mean\"", ".",    "\"ks\"", "\x1b",  "99999999999999999999"};

/// Alters inputs. `binary`: numbers in it are bytes, at times, and not only digits.
class mutator {
public:
  explicit mutator(std::uint64_t usual_seed, std::span<const std::string_view> pieces = text_pieces,
                   bool binary = false)
      : random_{seed(usual_seed), "fuzz"}
      , pieces_{pieces}
      , binary_{binary} {}

  std::size_t below(std::size_t n) { return n ? random_.below(static_cast<std::uint32_t>(n)) : 0; }

  /// One to `most` changes, fewer more often, within the first `region` bytes; `other` gives material for splices.
  std::string operator()(std::string s, std::string_view other, std::size_t region = std::string::npos,
                         std::size_t most = 4) {
    for (auto changes = 1 + below(1 + below(most)); changes-- > 0;) {
      const auto at = below(std::min(region, s.size() + 1)), size = below(48);
      switch (below(9)) {
      case 0: overwrite(s, at, static_cast<char>(at < s.size() ? s[at] ^ 1 << below(8) : 0)); break;
      case 1: overwrite(s, at, static_cast<char>(below(256))); break;
      case 2: s.erase(at, size); break;
      case 3: s.insert(at, s.substr(below(s.size()), size)); break;
      case 4:
      case 5: s.insert(at, some_pieces()); break;
      case 6: s.replace(at, size, other.substr(below(other.size()), below(64))); break;
      case 7: number(s, at); break;
      case 8: cut_or_fill(s, at, size); break;
      }
    }
    return s;
  }

private:
  static void overwrite(std::string& s, std::size_t at, char letter) {
    if (at < s.size()) s[at] = letter;
  }
  std::string some_pieces() {
    std::string all;
    for (auto n = 1 + below(3); n-- > 0;) all += pieces_[below(pieces_.size())];
    return all;
  }
  void cut_or_fill(std::string& s, std::size_t at, std::size_t size) {
    const auto kind = below(8);
    if (kind == 0) s.erase(at);
    if (kind == 1) s.erase(s.size() - std::min(size, s.size()));
    if (kind == 2) s.insert(at, std::string(size, static_cast<char>(below(256))));
    if (kind == 3)
      for (const auto piece = pieces_[below(pieces_.size())]; size > 40 && s.size() < 4000;) s.insert(at, piece);
  }
  /// Puts a number from the edge of some type in the place of one.
  void number(std::string& s, std::size_t at) {
    constexpr std::string_view words[] = {"-1", "1e400", "-0.0", "0.5", "1e-320", "9223372036854775808", "1e300"};
    constexpr std::uint64_t edges[] = {0,          1,          0x7F,       0x80,       0xFF,     0x7FFF,
                                       0xFFFF,     0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1u << 20, 1u << 28,
                                       1ull << 40, INT64_MAX,  1ull << 63, ~0ull};
    const auto edge = edges[below(std::size(edges))] + below(3) - 1;
    if (binary_ && below(3) > 0) {
      const auto bytes = raw<std::uint64_t>(edge).substr(0, std::size_t{1} << below(4));
      if (at + bytes.size() <= s.size()) s.replace(at, bytes.size(), bytes);
    } else if (const auto digit = s.find_first_of("0123456789", at); digit != s.npos) {
      const auto end = std::min(s.size(), s.find_first_not_of("0123456789.e+-", digit));
      s.replace(digit, end - digit, below(2) ? std::string(words[below(std::size(words))]) : std::to_string(edge));
    }
  }

  dynofa::random_stream random_;
  std::span<const std::string_view> pieces_;
  bool binary_;
};

/// What became of the inputs of one reader.
struct tally {
  std::string what;        ///< the reader, for people
  std::string where = "f"; ///< what its sentences begin with
  std::size_t read = 0, refused = 0;
  double slowest_s = 0;

  /// `use(file)` reads a file and uses it.
  template <class Use>
  void take(std::string_view content, Use use) {
    const auto file = in_memory(content);
    const auto start = std::chrono::steady_clock::now();
    try {
      use(file);
      ++read;
    } catch (const dynofa::error& e) {
      const std::string said = e.what();
      INFO(said);
      REQUIRE(said.starts_with(where));
      REQUIRE(said.size() < 600);
      REQUIRE(std::none_of(said.begin(), said.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }));
      REQUIRE(said.find(": expected ") != said.npos);
      REQUIRE(said.find(", got ") != said.npos);
      ++refused;
    }
    slowest_s = std::max(slowest_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  /// Shares in percent: some of the inputs are really altered, and some of those get past the door.
  void expect(std::size_t least_read, std::size_t least_refused) const {
    MESSAGE(dynofa::text(what, ": ", read, " read, ", refused, " refused, slowest ", slowest_s * 1e3, " ms"));
    CHECK(read >= (read + refused) * least_read / 100);
    CHECK(refused >= (read + refused) * least_refused / 100);
    CHECK(slowest_s < 5);
  }
};

/// `use(file, i)` for every form of a file, then for `usual` altered ones by turns; form i was altered.
template <class Use>
tally alter(tally counts, const std::vector<std::string>& forms, std::size_t usual, mutator mutate, Use use) {
  const auto take = [&](const std::string& content, std::size_t i) {
    counts.take(content, [&](const dynofa::file_bytes& file) { use(file, i); });
  };
  for (std::size_t i = 0; i < forms.size(); ++i) {
    take(forms[i], i);
    REQUIRE(counts.read == i + 1);
  }
  for (std::size_t n = 0, end = mutations(usual); n < end; ++n) {
    INFO(counts.what, ", altered input ", n);
    const auto& form = forms[n % forms.size()];
    take(mutate(form, forms[mutate.below(forms.size())]), n % forms.size());
  }
  return counts;
}

} // namespace support::fuzz
