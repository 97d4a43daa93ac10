#pragma once
#include <locale.h> // NOLINT: uselocale is POSIX

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace dynofa {

/// Takes a number, written as in C whatever the locale, from the front of `s` and the blanks before it: "  4.2 km"
/// gives 4.2 and leaves " km". Nothing, and `s` as it was, where no number of this type stands. Allocates nothing.
template <class Number>
std::optional<Number> take_number(std::string_view& s) noexcept {
  const auto start = s.find_first_not_of(" \t\n\r");
  if (start == s.npos) return std::nullopt;
  Number number{};
  const auto [end, fault] = std::from_chars(s.data() + start, s.data() + s.size(), number);
  if (fault != std::errc{}) return std::nullopt;
  s.remove_prefix(static_cast<std::size_t>(end - s.data()));
  return number;
}

/// The number that all of `s` is, without blanks; nothing if it is none.
template <class Number>
std::optional<Number> parse_number(std::string_view s) noexcept {
  const auto number = take_number<Number>(s);
  return s.empty() ? number : std::nullopt;
}

namespace detail {

/// While it lives, this thread's C functions read numbers as in C, whatever `setlocale` was told. The JSON library uses
/// them, and a decimal mark of two bytes would cut every number at its point.
class classic_numbers {
public:
  classic_numbers()
      : before_{::uselocale(classic())} {}
  classic_numbers(const classic_numbers&) = delete;
  classic_numbers& operator=(const classic_numbers&) = delete;
  ~classic_numbers() { ::uselocale(before_); }

private:
  static locale_t classic() {
    static const locale_t made = ::newlocale(LC_ALL_MASK, "C", nullptr);
    return made;
  }
  locale_t before_;
};

} // namespace detail
} // namespace dynofa
