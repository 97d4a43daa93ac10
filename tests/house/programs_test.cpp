// Every program of ours ends by one way: a sentence for each fault, and a status.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace dynofa_test::house_programs {

namespace fs = std::filesystem;

namespace {

const fs::path source_dir = DYNOFA_SOURCE_DIR;

/// Whether the main() of a source, if it has one, hands its work to what explains faults: `report::run_program`, or
/// what stands on it in the checks.
bool is_wrapped(const std::string& source) {
  const std::size_t begin = source.find("\nint main("); // it stands last
  if (begin == source.npos) return source.find("\nBENCHMARK_MAIN") == source.npos;
  const std::string body = source.substr(begin);
  for (const char* wrapper : {"run_program(", "count_checks(", "golden::check("})
    if (body.find(wrapper) != body.npos) return true;
  return false;
}

} // namespace

TEST_CASE("every example, benchmark and check explains its faults") {
  int programs = 0;
  for (const char* folder : {"examples", "examples/10_a_backend_of_your_own", "examples/12_c_library", "benchmarks",
                             "benchmarks/paper", "tests", "tests/golden"})
    for (const auto& entry : fs::directory_iterator(source_dir / folder)) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() != ".cpp" || name.starts_with("test_")) continue;
      if (name == "01_hello.cpp") continue; // the first program, as short as can be: it opens no file
      std::ifstream in(entry.path());
      const std::string source{std::istreambuf_iterator<char>(in), {}};
      if (!is_wrapped(source)) FAIL_CHECK(folder << '/' << name << " has a main() of its own");
      ++programs;
    }
  CHECK(programs > 30);
}

TEST_CASE("the rule catches what it is for") {
  CHECK_FALSE(is_wrapped("a\nint main(int argc, char** argv) try {\n  return run(argc, argv);\n} catch (...) {}\n"));
  CHECK_FALSE(is_wrapped("a\nint main() {\n  return 0;\n}\n"));
  CHECK_FALSE(is_wrapped("a\nBENCHMARK_MAIN();\n"));
  CHECK(is_wrapped("a\nint main(int argc, char** argv) { return report::run_program(program, argc, argv); }\n"));
  CHECK(is_wrapped("a\nint main() {\n  return support::count_checks([&] { run(); });\n}\n"));
  CHECK(is_wrapped("no program\n"));
}

} // namespace dynofa_test::house_programs
