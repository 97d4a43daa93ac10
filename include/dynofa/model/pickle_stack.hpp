#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/model/pickle_document.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace dynofa::pickle {

/// What a pickle may cost. A super-network of 475 tensors takes 19 000 opcodes, 10 000 values and 90 kB.
struct limits {
  std::size_t bytes = 64u << 20;  ///< of the pickle
  std::size_t opcodes = 4u << 20; ///< executed
  std::size_t values = 1u << 20;  ///< also the largest memo index
  std::size_t tensors = 1u << 16; ///< made
  std::size_t marks = 256;        ///< open at once: how deeply containers may be nested
};

namespace detail {

/// The stack machine under Python's pickles: bytes, stack, marks, memo, and values of the plain kinds, all within
/// limits. What opcodes there are, and what a checkpoint means by them, says pickle.hpp.
class stack_machine {
public:
  stack_machine(std::span<const std::byte> bytes, std::string_view where, const limits& limit)
      : bytes_{bytes}
      , where_{where}
      , limit_{limit} {}

protected:
  // --- bytes ---
  [[noreturn]] void fail(std::string expected, std::string got, errc code = errc::bad_file) const {
    throw error(code, text(where_, ", pickle byte ", opcode_at_), std::move(expected), std::move(got));
  }
  int code_of(std::size_t i) const { return i < bytes_.size() ? std::to_integer<int>(bytes_[i]) : -1; }

  std::span<const std::byte> take(std::uint64_t n) {
    if (n > bytes_.size() - at_)
      fail(text("at least ", n, " more bytes"), text(bytes_.size() - at_, " up to the end of the file (truncated)"));
    if (n > limit_.bytes - at_) fail(text("a pickle of at most ", limit_.bytes, " bytes"), "more");
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(n));
    at_ += taken.size();
    return taken;
  }
  unsigned char byte() { return std::to_integer<unsigned char>(take(1)[0]); }
  template <class T>
  T number() {
    T n;
    std::memcpy(&n, take(sizeof n).data(), sizeof n);
    return n;
  }
  std::string_view characters(std::uint64_t n) {
    const auto taken = take(n);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  static constexpr std::size_t longest_name = 256, longest_text = 1 << 16; // of a module or class; of a string
  std::string_view line(std::size_t longest = longest_name) {
    const std::string_view ahead(reinterpret_cast<const char*>(bytes_.data()) + at_,
                                 std::min(bytes_.size() - at_, longest));
    const auto length = ahead.find('\n');
    if (length == ahead.npos) fail("a name and the end of its line", printable(ahead));
    return characters(length + 1).substr(0, length);
  }

  // --- stack ---
  value& at(handle h) { return result_.values[h]; }
  value& push(kind k) {
    if (result_.values.size() == limit_.values) fail(text("at most ", limit_.values, " values"), "more");
    stack_.push_back(static_cast<handle>(result_.values.size()));
    result_.values.push_back({});
    result_.values.back().kind = k;
    return result_.values.back();
  }
  std::size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  handle top() const {
    if (available() == 0) fail("a value on the stack", "none");
    return stack_.back();
  }
  handle pop() {
    const auto h = top();
    stack_.pop_back();
    return h;
  }
  value& at(handle h, kind wanted) {
    auto& v = at(h);
    if (v.kind != wanted) fail(std::string(name_of(wanted)), std::string(name_of(v.kind)));
    return v;
  }
  const value& pop(kind wanted) { return at(pop(), wanted); }
  /// Closes the innermost mark; returns how many values stand above it.
  std::size_t pop_mark() {
    if (marks_.empty()) fail("a mark", "none");
    const auto count = available();
    marks_.pop_back();
    return count;
  }
  std::vector<handle> pop_many(std::size_t count) {
    if (count > available()) fail(text(count, " values on the stack"), text(available()));
    std::vector<handle> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  // --- values ---
  void push_long(std::size_t size) {
    const auto digits = characters(size);
    if (size > 8) {
      push(kind::big_integer).text = digits;
      return;
    }
    std::uint64_t bits = 0;
    std::memcpy(&bits, digits.data(), size);
    if (size > 0 && size < 8 && (digits.back() & 0x80)) bits |= ~std::uint64_t{0} << (8 * size); // sign
    push(kind::integer).integer = static_cast<std::int64_t>(bits);
  }
  void push_decimal(std::string_view digits) {
    if (digits == "00" || digits == "01") {
      push(kind::boolean).integer = digits == "01";
      return;
    }
    if (digits.ends_with('L')) digits.remove_suffix(1);
    std::int64_t n = 0;
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (fault == std::errc::result_out_of_range) {
      push(kind::big_integer); // of no use to us: its digits are not those of LONG1
      return;
    }
    if (fault != std::errc() || end != digits.data() + digits.size()) fail("a whole number", printable(digits));
    push(kind::integer).integer = n;
  }
  void push_decimal_real(std::string_view digits) {
    double v = 0;
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), v);
    if (fault == std::errc::invalid_argument || end != digits.data() + digits.size())
      fail("a number", printable(digits));
    push(kind::real).real = v;
  }
  std::size_t decimal_index(std::string_view digits) const {
    std::size_t n = 0;
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (fault != std::errc() || end != digits.data() + digits.size()) fail("a memo index", printable(digits));
    return n;
  }
  void push_real() {
    std::uint64_t bits = 0; // big-endian, the one number in a pickle that is
    for (auto b : take(8)) bits = bits << 8 | std::to_integer<std::uint64_t>(b);
    push(kind::real).real = std::bit_cast<double>(bits);
  }
  void push_text(kind k, std::uint64_t size) {
    const auto s = characters(size);
    push(k).text = s;
  }
  void push_tuple(std::size_t count) { push_list(kind::tuple, count); }
  void push_list(kind k, std::size_t count) {
    if (k == kind::dict && count % 2 != 0) fail("a value for each key", "a key without");
    auto items = pop_many(count);
    push(k).items = std::move(items);
  }
  /// What is added to an object, which may be a list or a dict of a class of its own, is forgotten.
  void extend(kind wanted, std::size_t count) {
    if (wanted == kind::dict && count % 2 != 0) fail("a value for each key", "a key without");
    const auto added = pop_many(count);
    if (at(top()).kind == kind::object) return;
    auto& target = at(top(), wanted);
    target.items.insert(target.items.end(), added.begin(), added.end());
  }

  // --- memo ---
  void remember(std::size_t index) {
    if (index >= limit_.values) fail(text("a memo index below ", limit_.values), std::to_string(index));
    if (index >= memo_.size()) memo_.resize(std::max(index + 1, std::min(2 * memo_.size(), limit_.values)), absent);
    memo_count_ += memo_[index] == absent;
    memo_[index] = top();
  }
  void recall(std::size_t index) {
    if (index >= memo_.size() || memo_[index] == absent) fail("a memo index in use", std::to_string(index));
    stack_.push_back(memo_[index]);
  }

  static constexpr handle absent = ~handle{0};
  std::span<const std::byte> bytes_;
  std::string_view where_;
  const limits& limit_;
  std::size_t at_ = 0, opcode_at_ = 0, memo_count_ = 0;
  document result_;
  std::vector<handle> stack_, memo_;
  std::vector<std::size_t> marks_;
};

} // namespace detail
} // namespace dynofa::pickle
