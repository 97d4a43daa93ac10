#include "dynofa/core/json_field.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <clocale>
#include <cstdlib>

namespace dynofa_test::core_json_field {

using namespace dynofa;
using detail::json_field, detail::parse_bounded;
using nlohmann::json;
using support::sentence;

namespace {
template <class Read>
std::string said(const json& value, Read read) {
  return sentence([&] { (void)read(json_field(value, "f")); });
}
} // namespace

TEST_CASE("a decimal mark of two bytes cuts no number") {
  // Pashto's; compiled here where the system does not have it.
  const support::scratch_folder scratch;
  const std::string before = std::setlocale(LC_NUMERIC, nullptr), path = (scratch.path() / "ps_AF.UTF-8").string();
  if (std::setlocale(LC_NUMERIC, "ps_AF.UTF-8") == nullptr) {
    if (std::system(("localedef -i ps_AF -f UTF-8 '" + path + "' >/dev/null 2>&1").c_str()) != 0)
      MESSAGE("no sources of locales here");
    ::setenv("LOCPATH", scratch.path().c_str(), 1);
    std::setlocale(LC_NUMERIC, "ps_AF.UTF-8");
    ::unsetenv("LOCPATH");
  }
  const json parsed = parse_bounded("[1.5, 2.25e3, 7]", "f");
  const std::size_t mark = std::string(std::localeconv()->decimal_point).size();
  std::setlocale(LC_NUMERIC, before.c_str());
  MESSAGE("a decimal mark of ", mark, " bytes");
  CHECK(parsed == json({1.5, 2250.0, 7}));
}

TEST_CASE("whole numbers within any bounds") {
  const auto any = [](const json_field& f) { return f.whole_number(0, UINT64_MAX); };
  CHECK(json_field(json(UINT64_MAX), "f").whole_number(0, UINT64_MAX) == UINT64_MAX);
  CHECK(json_field(json(INT64_MIN), "f").whole_number(INT64_MIN, INT64_MAX) == INT64_MIN);
  CHECK(json_field(json(-3), "f").whole_number(-3, 7) == -3);
  CHECK(said(-1, any) == "f: expected a whole number in 0..18446744073709551615, got -1");
  CHECK(said(0.5, any).ends_with("got 0.5"));
  CHECK(said(UINT64_MAX, [](const json_field& f) { return f.whole_number(-1, 7); }) ==
        "f: expected a whole number in -1..7, got 18446744073709551615");
}

TEST_CASE("numbers, words, truths") {
  CHECK(json_field(json(2), "f").number() == 2);
  CHECK(json_field(json(0.5), "f").number(0, 1) == 0.5);
  CHECK(said("2", [](const json_field& f) { return f.number(); }) == "f: expected a number, got string");
  CHECK(said(2, [](const json_field& f) { return f.number(0, 1); }) == "f: expected a number in 0..1, got 2");
  CHECK(said(0, [](const json_field& f) { return f.positive(1); }) == "f: expected a number above 0, at most 1, got 0");
  CHECK(json_field(json("four"), "f").word(4) == "four");
  CHECK(said("fives", [](const json_field& f) { return f.word(4); }) ==
        "f: expected a text of at most 4 bytes, got string");
  CHECK(said("\xff", [](const json_field& f) { return f.word(4); }) == "f: expected UTF-8, got other bytes");
  CHECK(said(1, [](const json_field& f) { return f.boolean(); }) == "f: expected true or false, got 1");
}

TEST_CASE("a fault names its place") {
  const json document = {{"a", {{"b", {1, 2, "x"}}}}};
  const json_field all(document, "f");
  const auto sum = [&](std::size_t most) {
    int total = 0;
    all["a"]["b"].each(most, [&](const json_field& n) { total += n.whole_number(0, 9); });
    return total;
  };
  CHECK(sentence([&] { sum(3); }) == "f field a field b[2]: expected a whole number in 0..9, got string");
  CHECK(sentence([&] { sum(2); }) == "f field a field b: expected a list of at most 2, got 3");
  CHECK(sentence([&] { (void)all["a"]["c"]; }) == "f field a: expected a field c, got none");
  CHECK(sentence([&] { (void)all["a"]["b"]["c"]; }) == "f field a field b: expected a field c, got none");
  const auto members = [&](std::size_t least, std::size_t most) {
    all.members(least, most, "part", [](const std::string&, const json_field& part) { (void)part.number(); });
  };
  CHECK(sentence([&] { members(0, 1); }) == "f, part a: expected a number, got object");
  CHECK(sentence([&] { members(2, 3); }) == "f: expected 2 to 3 members, got 1");
  const json odd = {{"a\nb\x80", nullptr}};
  CHECK(sentence([&] {
          json_field(odd, "f").members(1, 1, "part", [](auto&, const json_field& part) { (void)part.number(); });
        }) == "f, part a?b?: expected a number, got null");
}

TEST_CASE("texts are bounded before anything is read from them") {
  CHECK(parse_bounded(R"({"a": {"x": 1}, "b": {"x": [2]}})", "f")["b"]["x"][0] == 2);
  const auto fault = [](std::string_view source, std::size_t most = 100) {
    return sentence([&] { parse_bounded(source, "f", most); });
  };
  CHECK(fault("[1, 2]", 5) == "f: expected at most 5 bytes, got 6 bytes");
  CHECK(fault("[[[[[[[[[[1]]]]]]]]]]") == "f: expected at most 8 nested levels, got more");
  CHECK(fault(R"([{"a": 1}, {"b": 1, "c": {"b": 1}, "b": 2}])") == "f: expected each name once, got \"b\" twice");
  CHECK(fault("{\"a\": ") == "f: expected a JSON text, got something else");
}

TEST_CASE("texts that are not UTF-8 are refused in one sentence, names of files made fit") {
  CHECK(detail::json_text({{"a", "é"}}, "here") == "{\"a\":\"é\"}");
  CHECK_THROWS_WITH_AS(detail::json_text("caf\xe9", "here"),
                       "here: expected names and texts in UTF-8, got another encoding", error);
  CHECK(detail::utf8("café") == "café");
  CHECK(detail::utf8("caf\xe9") == "caf?");
}

} // namespace dynofa_test::core_json_field
