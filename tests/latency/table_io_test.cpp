#include "dynofa/latency/extremes.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/latency/quality.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <cmath>
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
  const dynofa::latency_table phone = load_latency_table(folder / "phone.yml"); // its stem says the resolution
  CHECK(phone.device == "phone");
  CHECK(phone.resolutions == load_latency_table(folder / "160_lookup_table.yaml").resolutions);
  const std::string expected = "phone.yml: expected a name such as 96_lookup_table.yaml, or one entry Conv-input: that "
                               "says the resolution, got ";
  support::write_text(folder / "phone.yml", entries_of(160) + "Conv-input:96x96x3-output:48x48x24: {mean: 1}\n");
  CHECK(said(folder / "phone.yml") ==
        expected + "Conv-input:160x160x3-output:80x80x24 and Conv-input:96x96x3-output:48x48x24");
  support::write_text(folder / "phone.yml", "Logits-input:1x1x1536-output:1000: {mean: 1}\n");
  CHECK(said(folder / "phone.yml") == expected + "no such entry");
  support::write_text(folder / "phone.yml", entries_of(160));
  std::filesystem::rename(folder / "phone.yml", folder / "160_lookup_table.yml");
  CHECK(said(folder) == "note10: expected one table for resolution 160, got two");
}

TEST_CASE("ProxylessNAS' own table predicts its sub-networks as ProxylessNAS does, to the bit") {
  using proxyless =
      search_space<ofa_proxyless_nas, width<1.0>, depth<2, 3, 4>, expand<3, 6>, kernel<3, 5>, resolution<224>>;
  const std::filesystem::path golden = DYNOFA_SOURCE_DIR "/tests/golden"; // what mobile_trim.yaml says of kernels 3, 5
  const dynofa::latency_table table = load_latency_table(golden / "mobile_trim.yaml");
  CHECK(table.device == "mobile_trim");
  CHECK(table.at(224, "Logits-input:7x7x1280-output:1000").std.count() == doctest::Approx(std::sqrt(0.0558376668)));
  const table_model model(proxyless::description, table);
  const auto cases = nlohmann::json::parse(map_file(golden / "mobile_trim.json").text());
  REQUIRE(cases.size() == 8);
  for (const auto& one : cases) CHECK(model(read_arch(one.at("arch"))) == one.at("ms").get<double>());
  const cost_extremes found = find_extremes(model.costs());
  CHECK(found.least.cost <= cases[0].at("ms").get<double>());
  CHECK(found.most.cost >= cases[1].at("ms").get<double>());
  CHECK(examine(table, proxyless::description).missing.empty());

  const auto lacks = [&](const dynofa::space_description& space) {
    const std::string all = support::sentence([&] { table_model(space, table); });
    const std::string expected = "latency table of mobile_trim, resolution 224: expected an entry ";
    REQUIRE(all.starts_with(expected));
    return all.substr(expected.size());
  };
  CHECK(lacks(search_space<ofa_proxyless_nas, width<1.0>, depth<2>, expand<3, 6>, kernel<3, 7>,
                           resolution<224>>::description) ==
        "expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:7-stride:2-idskip:0, got none");
  CHECK(lacks(search_space<ofa_proxyless_nas, width<1.0>, depth<2>, expand<4>, kernel<3>, resolution<224>>::description)
            .find("-expand:4-") != std::string::npos);
  CHECK(
      lacks(search_space<ofa_mobilenet_v3, width<1.0>, depth<2>, expand<3>, kernel<3>, resolution<224>>::description) ==
      "Conv-input:224x224x3-output:112x112x16, got none");
}

TEST_CASE("a key of no grammar is named") {
  const support::scratch_folder scratch;
  const auto path = scratch.path() / "96_lookup_table.yaml";
  support::write_text(path, "expanded_conv-input:12x12x48-output:6x6: {mean: 1}\n");
  CHECK(said(path) == "96_lookup_table.yaml: expected a key of once-for-all's or ProxylessNAS' latency tables, got "
                      "\"expanded_conv-input:12x12x48-output:6x6\"");
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
