#include "dynofa/latency/table_io.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <string>

namespace dynofa_test::latency_table_io {

using namespace dynofa;

namespace {

/// Of a phone, as once-for-all publishes it: a file per resolution, the resolution in its name only.
std::string entries_of(int r) {
  return text(
      "Conv-input:", r, "x", r, "x3-output:", r / 2, "x", r / 2, "x24:\n  count: 498\n  mean: 0.", r,
      "\n  std: 0.010239557348882489\nLogits-input:1x1x1536-output:1000:\n  count: 499\n  mean: 0.65\n",
      "  var: 0.0064\nexpanded_conv-input:10x10x136-output:10x10x136-expand:408-kernel:3-stride:1-idskip:1-se:1-",
      "hs:1:\n  count: 100\n  mean: 0.86918\n  std: 0.013281099352086765\n");
}

std::string said(const std::filesystem::path& path) {
  const std::string sentence = support::sentence([&] { load_latency_table(path); });
  REQUIRE(sentence.starts_with(path.parent_path().string()));
  return sentence.substr(path.parent_path().string().size() + 1);
}

} // namespace

TEST_CASE("a folder with a table per resolution, and each file of it alone") {
  const support::scratch_folder scratch;
  const auto folder = scratch.path() / "note10";
  std::filesystem::create_directory(folder);
  for (int r : {160, 224}) support::write_text(folder / text(r, "_lookup_table.yaml"), entries_of(r));
  support::write_text(folder / "._160_lookup_table.yaml", "what macOS leaves beside it");
  support::write_text(folder / "README", "other files");
  const dynofa::latency_table both = load_latency_table(folder);
  CHECK(both.device == "note10");
  REQUIRE(both.resolutions.size() == 2);
  CHECK(both.at(160, "Conv-input:160x160x3-output:80x80x24").mean.count() == 0.16);
  CHECK(both.at(224, "Logits-input:1x1x1536-output:1000").std.count() == doctest::Approx(0.08));
  for (int r : {160, 224}) {
    const dynofa::latency_table one = load_latency_table(folder / text(r, "_lookup_table.yaml"));
    CHECK(one.device == "note10");
    CHECK(one.resolutions == decltype(one.resolutions){{r, both.resolutions.at(r)}});
  }
  std::filesystem::copy_file(folder / "160_lookup_table.yaml", folder / "phone.yml");
  CHECK(said(folder / "phone.yml") == "phone.yml: expected a name such as 96_lookup_table.yaml for a table of one "
                                      "resolution, got another name");
  std::filesystem::rename(folder / "phone.yml", folder / "160_lookup_table.yml");
  CHECK(said(folder) == "note10: expected one table for resolution 160, got two");
}

TEST_CASE("tables of networks without squeeze-excite are told from broken ones") {
  const support::scratch_folder scratch;
  const auto path = scratch.path() / "96_lookup_table.yaml";
  const auto with = [&](const std::string& key) {
    support::write_text(path, key + ": {mean: 1}\n");
    return said(path);
  };
  CHECK(
      with("expanded_conv-input:12x12x48-output:6x6x96-expand:144-kernel:3-stride:2-idskip:0") ==
      "96_lookup_table.yaml: expected once-for-all's tables of MobileNetV3, whose keys end with -se: (squeeze-excite) "
      "and -hs: (h-swish), got one of ProxylessNAS or MobileNetV2, whose keys end with -idskip: "
      "\"expanded_conv-input:12x12x48-output:6x6x96-expand:144-kernel…\"");
  CHECK(with("expanded_conv-input:12x12x48-output:6x6").find("a key of once-for-all's latency tables") !=
        std::string::npos);
}

TEST_CASE("NaN in a JSON table is named with its line") {
  const support::scratch_folder scratch;
  support::write_text(scratch.path() / "t.json",
                      "{\"96\": {\n\"Conv-input:96x96x3-output:48x48x24\": {\n\"mean\": 1.0,\n\"std\": NaN\n}}}");
  CHECK(said(scratch.path() / "t.json") == "t.json: expected finite numbers, got NaN in line 4 as \"std\"");
}

TEST_CASE("a table saved in either form is read back") {
  const support::scratch_folder scratch;
  dynofa::latency_table table;
  table.device = "a board";
  table.resolutions[1024]["Conv-input:1024x1024x3-output:512x512x24"].mean = milliseconds(1234.5);
  for (const char* name : {"t.json", "t.yaml", "t.yml"}) {
    save_latency_table(scratch.path() / name, table);
    CHECK(load_latency_table(scratch.path() / name) == table);
  }
}

} // namespace dynofa_test::latency_table_io
