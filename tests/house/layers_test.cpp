// The direction of includes, and that the umbrella header names every public header.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace dynofa_test::house_layers {

namespace fs = std::filesystem;

namespace {

/// Where public headers lie: the library's, those that only simulate, and those of each backend.
const fs::path source_dir = DYNOFA_SOURCE_DIR;
const fs::path root = source_dir / "include", simulate_root = source_dir / "simulate/include";
const std::vector<fs::path> backend_roots = {source_dir / "backends/cpu/include", source_dir / "backends/cuda/include"};

/// Layer → the layers it may include, itself among them.
std::map<std::string, std::set<std::string>> allowed() {
  const std::vector<std::vector<std::string>> order = {
      {"core"},   {"space"},     {"model"},  {"backend"}, {"latency", "accuracy"},
      {"search"}, {"calibrate"}, {"family"}, {"runtime"}, {"simulate"}};
  std::map<std::string, std::set<std::string>> rules = {{"data", {"core", "data"}}, {"report", {"core", "report"}}};
  std::set<std::string> left;
  for (const auto& layers : order) {
    for (const auto& layer : layers) {
      rules[layer] = left;
      rules[layer].insert(layer);
    }
    left.insert(layers.begin(), layers.end());
  }
  rules["farm"] = {"core", "farm"};
  rules["testing"] = {"core", "space", "model", "backend", "testing"};
  for (const char* layer : {"calibrate", "family", "runtime", "simulate"}) rules[layer].insert({"data", "report"});
  return rules;
}

std::vector<std::string> dynofa_includes(std::istream& source) {
  static const std::regex form(R"re(^\s*#\s*include\s*["<](dynofa/[^">]*)[">])re");
  std::vector<std::string> found;
  std::smatch match;
  for (std::string line; std::getline(source, line);)
    if (std::regex_search(line, match, form)) found.push_back(match[1]);
  return found;
}
std::string layer_of(const std::string& header) { // "dynofa/core/error.hpp" → "core"
  const auto begin = header.find('/') + 1, end = header.find('/', begin);
  return end == std::string::npos ? "" : header.substr(begin, end - begin);
}
std::vector<std::string> public_headers() {
  std::vector<std::string> found;
  for (const fs::path& from : {root, simulate_root})
    for (const auto& entry : fs::recursive_directory_iterator(from))
      if (entry.is_regular_file() && entry.path().extension() == ".hpp")
        found.push_back(fs::relative(entry.path(), from).generic_string());
  return found;
}

/// "HEADER includes OTHER" for every include that runs against the order.
std::vector<std::string> violations(const std::string& header, std::istream& source) {
  const auto rules = allowed();
  const auto rule = rules.find(layer_of(header));
  if (rule == rules.end()) return {header + " lies in no known layer"};
  std::vector<std::string> found;
  for (const std::string& other : dynofa_includes(source))
    if (!rule->second.count(layer_of(other))) found.push_back(header + " includes " + other);
  return found;
}

} // namespace

TEST_CASE("a header includes its own layer and those left of it") {
  int seen = 0;
  for (const std::string& header : public_headers()) {
    if (header == "dynofa/dynofa.hpp") continue;
    std::ifstream source((layer_of(header) == "simulate" ? simulate_root : root) / header);
    REQUIRE(source.is_open());
    for (const std::string& violation : violations(header, source)) FAIL_CHECK(violation);
    ++seen;
  }
  CHECK(seen > 20);
}

TEST_CASE(
    "a backend's sources, whatever they end in, lie in the layer backend and include its own and those left of it") {
  for (const fs::path& from : backend_roots) {
    CAPTURE(from.string());
    std::set<std::string> endings;
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = fs::relative(entry.path(), from).generic_string();
      if (name == "dynofa/adaptive_classifier.hpp")
        continue; // what programs begin with: a backend and the run time in one
      if (layer_of(name) != "backend") FAIL_CHECK(name << " does not lie in dynofa/backend");
      std::ifstream source(entry.path());
      for (const std::string& violation : violations(name, source))
        // the one that prepares pictures on the device itself knows what they are
        if (!violation.starts_with("dynofa/backend/cuda/picture_schedule.hpp includes dynofa/data/"))
          FAIL_CHECK(violation);
      endings.insert(entry.path().extension().string());
    }
    CHECK(endings.count(".hpp") == 1);
    CHECK(endings.size() > 1); // .inl or .cuh
  }
}

TEST_CASE("the rule catches what it is for") {
  const auto of = [](const char* header, const char* line) {
    std::istringstream source(line);
    return violations(header, source).size();
  };
  CHECK(of("dynofa/core/a.hpp", "#include \"dynofa/space/arch.hpp\"") == 1);
  CHECK(of("dynofa/space/a.hpp", "#  include <dynofa/model/plan.hpp>") == 1);
  CHECK(of("dynofa/data/a.hpp", "#include \"dynofa/space/arch.hpp\"") == 1);
  CHECK(of("dynofa/model/a.hpp", "#include \"dynofa/data/image.hpp\"") == 1);
  CHECK(of("dynofa/latency/a.hpp", "#include \"dynofa/accuracy/a.hpp\"") == 1);
  CHECK(of("dynofa/core/a.hpp", "#include \"dynofa/dynofa.hpp\"") == 1);
  CHECK(of("dynofa/runtime/a.hpp", "#include \"dynofa/simulate/trace.hpp\"") == 1);
  CHECK(of("dynofa/elsewhere/a.hpp", "") == 1);
  CHECK(of("dynofa/runtime/a.hpp", "#include \"dynofa/data/image.hpp\"\n#include \"dynofa/core/error.hpp\"") == 0);
  CHECK(of("dynofa/search/a.hpp", "#include \"dynofa/latency/a.hpp\"\n#include \"dynofa/search/b.hpp\"") == 0);
}

TEST_CASE("the umbrella names every public header but simulated devices and tests, once, left before right") {
  std::ifstream source(root / "dynofa/dynofa.hpp");
  const auto named = dynofa_includes(source);
  const std::set<std::string> unique(named.begin(), named.end());
  CHECK(unique.size() == named.size());
  for (const std::string& header : public_headers())
    if (header.ends_with(".hpp") && header != "dynofa/dynofa.hpp" &&
        unique.count(header) == (layer_of(header) == "simulate" || layer_of(header) == "testing"))
      FAIL_CHECK(header << " is missing in dynofa/dynofa.hpp, or should be");
  for (const std::string& header : named)
    if (!fs::exists(root / header)) FAIL_CHECK(header << " is named but not there");
  const std::vector<std::string> order = {"core",      "space",  "model",   "backend", "latency", "accuracy", "search",
                                          "calibrate", "family", "runtime", "data",    "report",  "farm"};
  const auto rank = [&](const std::string& header) {
    return std::find(order.begin(), order.end(), layer_of(header)) - order.begin();
  };
  for (std::size_t i = 1; i < named.size(); ++i)
    if (rank(named[i - 1]) > rank(named[i])) FAIL_CHECK(named[i] << " stands after " << named[i - 1]);
}

} // namespace dynofa_test::house_layers
