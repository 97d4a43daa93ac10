// A page of the guide that names one of our programs says how to build it and where it then lies.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace dynofa_test::house_guides {

namespace fs = std::filesystem;

namespace {

const fs::path source_dir = DYNOFA_SOURCE_DIR;

/// Program → the folder that it is built in.
std::map<std::string, std::string> programs() {
  std::map<std::string, std::string> found;
  for (const char* folder : {"examples", "benchmarks", "tests"})
    for (const auto& entry : fs::directory_iterator(source_dir / folder))
      if (const std::string stem = entry.path().stem().string();
          entry.path().extension() == ".cpp" && !stem.starts_with("test_"))
        found[stem] = folder;
  found["golden_check"] = "tests";
  return found;
}

/// What a page lacks for the programs it names.
std::vector<std::string> lacking(const std::string& page) {
  std::vector<std::string> found;
  for (const auto& [name, folder] : programs()) {
    // named as a program: in back quotes or at the start of an indented line, with or without a path, not as a file
    const std::regex named("(`|\n    )([a-z/]*/)?" + name + "( |`|\n)");
    if (!std::regex_search(page, named)) continue;
    if (!std::regex_search(page, std::regex("--target[^\n]* " + name + "[ \n`]")))
      found.push_back("how to build " + name);
    if (page.find("build/release/" + folder + '/' + name) == page.npos) found.push_back("where " + name + " lies");
  }
  for (std::size_t at = 0; (at = page.find(" build/", at)) != page.npos; ++at)
    if (page.compare(at, 15, " build/release/") != 0 && page.compare(at, 10, " build/gpu") != 0)
      found.push_back("build/release/ in" + page.substr(at, 40));
  return found;
}

} // namespace

TEST_CASE("every page tells how to build what it names, and where it lies") {
  int pages = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source_dir / "docs/guide")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path());
    const std::string page{std::istreambuf_iterator<char>(in), {}};
    for (const std::string& what : lacking(page)) FAIL_CHECK(entry.path().filename().string() << " lacks " << what);
    ++pages;
  }
  CHECK(pages > 5);
}

TEST_CASE("the rule catches what it is for") {
  CHECK(lacking("run `latency_check` now\n").size() == 2);
  CHECK(lacking("text\n    build/release/tests/latency_check --seed 1\n").size() == 1);
  CHECK(lacking("text\n    build/tests/latency_check\n").size() == 3);
  CHECK(lacking("the program `latency_check`:\n    cmake --build --preset release --target latency_check\n"
                "    build/release/tests/latency_check\n")
            .empty());
  CHECK(lacking("[`examples/11_on_a_gpu.cpp`](../../examples/11_on_a_gpu.cpp)\n").empty());
}

} // namespace dynofa_test::house_guides
