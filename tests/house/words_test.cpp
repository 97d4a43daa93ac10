// What stands in one place only.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

namespace dynofa_test::house_words_test {

namespace fs = std::filesystem;

namespace {
/// Word → the files below include/ and backends/ that have it.
std::map<std::string, std::set<std::string>> files_with(const std::set<std::string>& words) {
  std::map<std::string, std::set<std::string>> found;
  for (const char* folder : {"include", "backends"})
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(DYNOFA_SOURCE_DIR) / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      for (const std::string& word : words)
        if (text.find(word) != text.npos) found[word].insert(entry.path().filename().string());
    }
  return found;
}
} // namespace

TEST_CASE("one file knows what checkpoints call their tensors") {
  const std::set<std::string> words = {"inverted_bottleneck", "depth_conv",        "point_linear",        "first_conv",
                                       "final_expand_layer",  "feature_mix_layer", "mobile_inverted_conv"};
  const auto found = files_with(words);
  for (const std::string& word : words) {
    CAPTURE(word);
    REQUIRE(found.contains(word));
    CHECK(found.at(word) == std::set<std::string>{"layout.hpp"});
  }
}

} // namespace dynofa_test::house_words_test
