// Examples are read and copied on their own: what they include is the library, other people's libraries, or theirs.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace dynofa_test::house_examples {

namespace fs = std::filesystem;

namespace {

const fs::path examples = fs::path(DYNOFA_SOURCE_DIR) / "examples";

/// What a source in `folder` includes that is neither the library's nor anybody's in <>, nor lies below examples/.
std::vector<std::string> strangers(const fs::path& folder, std::istream& source) {
  static const std::regex form(R"re(^\s*#\s*include\s*(["<])([^">]*)[">])re");
  std::vector<std::string> found;
  std::smatch match;
  for (std::string line; std::getline(source, line);) {
    if (!std::regex_search(line, match, form)) continue;
    const std::string name = match[2];
    if (name.starts_with("dynofa/")) continue;
    if (match[1] == "<" && name.find("..") == name.npos && !name.starts_with("tests/")) continue;
    const fs::path file = fs::weakly_canonical(folder / name), inside = fs::weakly_canonical(examples);
    if (match[1] == "<" || !fs::exists(file) || file.string().compare(0, inside.string().size(), inside.string()) != 0)
      found.push_back(name);
  }
  return found;
}

} // namespace

TEST_CASE("examples include nothing from tests or benchmarks") {
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(examples)) {
    const std::string ending = entry.path().extension().string();
    if (ending != ".cpp" && ending != ".hpp") continue;
    std::ifstream source(entry.path());
    for (const std::string& name : strangers(entry.path().parent_path(), source))
      FAIL_CHECK(entry.path().string() << " includes " << name);
    ++seen;
  }
  CHECK(seen > 12);
}

TEST_CASE("the rule catches what it is for") {
  const auto count = [](const char* line) {
    std::istringstream source(line);
    return strangers(examples, source).size();
  };
  CHECK(count("#include \"../tests/support/checks.hpp\"") == 1);
  CHECK(count("#include \"../benchmarks/support.hpp\"") == 1);
  CHECK(count("#include \"golden/golden_check.hpp\"") == 1); // by an include path of the tests
  CHECK(count("#  include <tests/support/checks.hpp>") == 1);
  CHECK(count("#include \"dynofa/dynofa.hpp\"\n#include <CLI/CLI.hpp>\n#include \"spaces.hpp\"") == 0);
}

TEST_CASE("an example is a story of at most 120 lines, a file that it leans on may be longer") {
  for (const auto& entry : fs::directory_iterator(examples)) {
    if (entry.path().extension() != ".cpp" || entry.path().filename() == "quickstart.cpp") continue;
    std::ifstream source(entry.path());
    int lines = 0;
    for (std::string line; std::getline(source, line);) {
      ++lines;
      if (line.size() > 120) FAIL_CHECK(entry.path().string() << " line " << lines << " is longer than 120");
    }
    if (lines > 120) FAIL_CHECK(entry.path().string() << " has " << lines << " lines");
  }
}

} // namespace dynofa_test::house_examples
