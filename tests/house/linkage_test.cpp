// What a header defines is one thing in the whole program: a function or table with internal linkage would be another
// in every unit, and whatever is inline and names it would break the one-definition rule.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace dynofa_test::house_linkage {

namespace fs = std::filesystem;

namespace {

/// "FILE:LINE text" for every definition at namespace scope, which our formatter leaves at the start of a line, that
/// has internal linkage.
std::vector<std::string> internal_linkage(std::istream& source, const std::string& name) {
  static const std::regex function(R"(^static (?!_?assert))"), unnamed(R"(^namespace \{)"),
      variable(R"(^(constexpr|const) [^(]*(=|\{|\[))");
  std::vector<std::string> found;
  std::string before;
  int number = 0;
  for (std::string line; std::getline(source, line); before = line) {
    ++number;
    const bool templated = before.starts_with("template <"); // these have external linkage
    if (std::regex_search(line, function) || std::regex_search(line, unnamed) ||
        (!templated && std::regex_search(line, variable)))
      found.push_back(name + ":" + std::to_string(number) + " " + line);
  }
  return found;
}

} // namespace

TEST_CASE("nothing in a header has internal linkage") {
  const fs::path root = DYNOFA_SOURCE_DIR;
  int seen = 0;
  for (const char* folder : {"include", "simulate/include", "backends/cpu/include", "backends/cuda/include"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream source(entry.path());
      for (const std::string& fault : internal_linkage(source, fs::relative(entry.path(), root).string()))
        FAIL_CHECK(fault);
      ++seen;
    }
  CHECK(seen > 150);
}

TEST_CASE("the check finds what it is for") {
  std::istringstream source(
      "static void f() {}\nstatic_assert(true);\ninline constexpr int a = 1;\nconstexpr int b = 1;\nconstexpr int c[] "
      "= "
      "{1};\ntemplate <class T>\nconstexpr bool d = false;\nconstexpr int g(int x) { return x; }\nnamespace {\n");
  CHECK(internal_linkage(source, "f").size() == 4);
}

} // namespace dynofa_test::house_linkage
