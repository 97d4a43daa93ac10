// The index of errors names every kind of fault.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace dynofa_test::house_errors {

namespace fs = std::filesystem;

namespace {

const fs::path source_dir = DYNOFA_SOURCE_DIR;

std::string content_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}
/// The enumerators of `enum class errc` in a header's text.
std::vector<std::string> codes_in(const std::string& header) {
  const std::size_t begin = header.find("enum class errc {"), end = header.find("};", begin);
  std::vector<std::string> codes;
  static const std::regex form(R"(\n  ([a-z_]+),)");
  const std::string list = begin == header.npos ? "" : header.substr(begin, end - begin);
  for (std::sregex_iterator one(list.begin(), list.end(), form), none; one != none; ++one) codes.push_back((*one)[1]);
  return codes;
}
/// Codes without a row of their own in the index: "| `io` | …".
std::vector<std::string> missing(const std::vector<std::string>& codes, const std::string& page) {
  std::vector<std::string> found;
  for (const std::string& code : codes)
    if (page.find("\n| `" + code + "` | ") == page.npos) found.push_back(code);
  return found;
}

} // namespace

TEST_CASE("every error code has a row in the index of errors") {
  const auto codes = codes_in(content_of(source_dir / "include/dynofa/core/error.hpp"));
  CHECK(codes.size() >= 12);
  for (const std::string& code : missing(codes, content_of(source_dir / "docs/guide/errors.md")))
    FAIL_CHECK("docs/guide/errors.md lacks " << code);
}

TEST_CASE("the rule catches what it is for") {
  CHECK(codes_in("enum class errc {\n  io, ///< a\n  bad_file, ///< b, c\n};\n  more,\n").size() == 2);
  CHECK(missing({"io", "bad_file"}, "| code |\n| `io` | a | b |\n").size() == 1);
}

} // namespace dynofa_test::house_errors
