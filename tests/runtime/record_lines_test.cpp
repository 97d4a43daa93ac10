#include "dynofa/runtime/record_lines.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::runtime_record_lines {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

/// "NAME line 2: a=1 b=x; …"
std::string read(const std::string& content) {
  std::string all;
  read_records(content, "f", [&](const std::string& where, const record_fields& fields) {
    all += where + ":";
    for (const auto& [key, value] : fields) all += ' ' + key + '=' + value;
    all += ';';
  });
  return all;
}

} // namespace

TEST_CASE("CSV and JSON lines give the same fields") {
  CHECK(read("b, a,c\n1,x y,\n\n2.5,\t,z\r\n") == "f line 2: b=1 a=xy;f line 4: b=2.5 c=z;");
  CHECK(read(R"({"b":1,"a":"x y","c":null,"d":[1]})"
             "\n\n"
             R"({"b":2.5,"a":"","c":true})") == "f line 1: b=1 a=x y;f line 3: b=2.5 c=true;");
  CHECK_THROWS_WITH_AS(read(""), "f: expected at least one line, got an empty file", error);
  CHECK(read("a,b\n") == "");
}

TEST_CASE("a line that is no record is refused by its number") {
  CHECK_THROWS_WITH_AS(read("a,b\n1,2\n1\n"), "f line 3: expected 2 columns, as in the header, got 1", error);
  CHECK_THROWS_WITH_AS(read("{}\n[]"), "f line 2: expected a JSON object, got something else", error);
  CHECK_THROWS_WITH_AS(read("{}\n" + std::string(70000, 'x')), "f line 2: expected at most 64 KiB, got a longer line",
                       error);
}

} // namespace dynofa_test::runtime_record_lines
