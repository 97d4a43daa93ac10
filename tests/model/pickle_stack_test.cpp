#include "dynofa/model/pickle_stack.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"

namespace dynofa_test::model_pickle_stack {

using namespace dynofa;
using namespace dynofa::pickle;
using support::sentence;

namespace {

/// The machine, as what derives from it sees it.
struct opened : dynofa::pickle::detail::stack_machine {
  using stack_machine::at;
  using stack_machine::extend;
  using stack_machine::line;
  using stack_machine::marks_;
  using stack_machine::number;
  using stack_machine::pop;
  using stack_machine::pop_mark;
  using stack_machine::push;
  using stack_machine::push_long;
  using stack_machine::push_tuple;
  using stack_machine::recall;
  using stack_machine::remember;
  using stack_machine::stack_;
  using stack_machine::stack_machine;
  using stack_machine::top;
};
std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }

} // namespace

TEST_CASE("numbers, names and long integers are taken from the bytes in order") {
  const limits most;
  opened m(bytes_of(std::string_view("\x01\x02\xfe\xffname\nrest", 13)), "p", most);
  CHECK(m.number<std::uint16_t>() == 0x0201);
  m.push_long(2); // little-endian, with a sign
  CHECK(m.at(m.pop()).integer == -2);
  CHECK(m.line() == "name");
  CHECK(sentence([&] { m.number<std::uint64_t>(); }) ==
        "p, pickle byte 0: expected at least 8 more bytes, got 4 up to the end of the file (truncated)");
}

TEST_CASE("a mark closes over what was pushed behind it, and hides what lies before") {
  const limits most;
  opened m({}, "p", most);
  m.push(kind::none);
  m.marks_.push_back(m.stack_.size());
  CHECK(sentence([&] { m.pop(); }) == "p, pickle byte 0: expected a value on the stack, got none");
  m.push(kind::integer).integer = 1, m.push(kind::integer).integer = 2;
  m.push_tuple(m.pop_mark());
  CHECK(m.at(m.top()).items.size() == 2);
  CHECK(m.stack_.size() == 2);
  CHECK(sentence([&] { m.pop_mark(); }) == "p, pickle byte 0: expected a mark, got none");
}

TEST_CASE("values and memo stay within the limits, and a container takes its own kind only") {
  limits few;
  few.values = 2;
  opened m({}, "p", few);
  m.push(kind::list);
  m.remember(1), m.recall(1);
  CHECK(m.pop() == 0);
  CHECK(sentence([&] { m.recall(0); }) == "p, pickle byte 0: expected a memo index in use, got 0");
  CHECK(sentence([&] { m.remember(2); }) == "p, pickle byte 0: expected a memo index below 2, got 2");
  CHECK(sentence([&] { m.extend(kind::dict, 0); }) == "p, pickle byte 0: expected a dict, got a list");
  m.push(kind::none);
  CHECK(sentence([&] { m.push(kind::none); }) == "p, pickle byte 0: expected at most 2 values, got more");
}

} // namespace dynofa_test::model_pickle_stack
