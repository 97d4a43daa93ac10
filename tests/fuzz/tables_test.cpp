// Latency tables (JSON and YAML, our form and once-for-all's), accuracy lines and class names.
#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/features.hpp"
#include "dynofa/data/load_class_names.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/model/plan.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/fuzz.hpp"
#include "support/tiny_space.hpp"
#include <cmath>

namespace dynofa_test::fuzz_tables {

using namespace dynofa;
using namespace support;

namespace {

latency_table small_table() {
  latency_table table;
  table.device = "a device \"with\" marks", table.backend = "cpu", table.isa = "avx2";
  table.threads = 2, table.governor = "performance", table.frequency_mhz = 2100.5, table.drift = 0.01;
  latency_entry entry;
  entry.mean = milliseconds(1.25), entry.std = milliseconds(0.5), entry.count = 7;
  entry.p50 = entry.p95 = entry.min = milliseconds(1.5);
  entry.interpolated = true;
  for (int r : {160, 176}) {
    table.resolutions[r]["Conv-input:160x160x3-output:80x80x24"] = entry;
    table
        .resolutions[r]["expanded_conv-input:80x80x24-output:40x40x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0"] =
        entry;
    table.resolutions[r]["Logits-input:1x1x1536-output:1000"] = entry;
    table
        .resolutions[r]["expanded_conv-input:80x80x40-output:40x40x32-expand:3.5-kernel:5-stride:2-idskip:0-act:relu"] =
        entry;
  }
  return table;
}

/// What a user does with a table that loaded.
void use(const latency_table& table) {
  double sum = 0;
  for (const auto& [r, entries] : table.resolutions)
    for (const auto& [key, entry] : entries) sum += figure(entry, latency_statistic::p95).count() + r;
  REQUIRE(std::isfinite(sum));
  REQUIRE(parse_latency_table(nlohmann::json(table).dump(), "f") == table);
  try {
    (void)table_model(ofa_w1_2::description, table);
  } catch (const error& e) {
    REQUIRE(e.code() == errc::missing_key);
  }
}

} // namespace

TEST_CASE("latency tables in JSON") {
  const nlohmann::json ours = small_table(), theirs = ours["resolutions"];
  fuzz::alter({"latency tables, JSON"}, {ours.dump(1), theirs.dump(), theirs["160"].dump()}, 20'000, fuzz::mutator(1),
              [](const file_bytes& file, std::size_t) {
                const auto document = detail::parse_table_json(file.text(), "f");
                if (!detail::is_of_one_resolution(document)) return use(read_latency_table(document, "f"));
                latency_table one;
                one.resolutions.emplace(160, detail::read_latency_entries({document, "f"}));
                use(one);
              })
      .expect(1, 10);
}

TEST_CASE("latency tables in YAML") {
  const std::string ours = to_yaml(small_table()),
                    block = "160:\n  Logits-input:1x1x1536-output:1000: {mean: 1.5, std: 0.25, count: 9}\n",
                    shared = "160: &all\n  ? Conv-input:160x160x3-output:80x80x24\n  : &id001 {mean: &m 1.5, std: *m}\n"
                             "  Logits-input:1x1x1536-output:1000: *id001\n176: *all\n";
  fuzz::alter({"latency tables, YAML"}, {ours, block, shared}, 20'000, fuzz::mutator(2),
              [](const file_bytes& file, std::size_t) { use(parse_latency_table_yaml(file.text(), "f")); })
      .expect(1, 10);
}

TEST_CASE("deep and wide texts") {
  fuzz::tally t{"deep texts"};
  for (const char* piece : {"{\"a\":", "[", "{", "- ", "? ", "? - ", "a: ", "!a ", "&a ", "\"", "|", "{a: "}) {
    std::string deep;
    while (deep.size() < 200'000) deep += piece;
    t.take(deep, [](const file_bytes& file) { use(parse_latency_table(file.text(), "f")); });
    t.take(deep, [](const file_bytes& file) { use(parse_latency_table_yaml(file.text(), "f")); });
    t.take(deep, [](const file_bytes& file) { (void)parse_accuracy_data(file.text(), "f"); });
  }
  t.expect(0, 100);
}

TEST_CASE("accuracy lines") {
  std::string lines, loose, active; // as we write them; with what others write; without blocks that do not run
  nlohmann::json dict;
  random_stream random(1, "lines");
  for (int i = 0; i < 4; ++i) {
    const arch a = random_arch(ofa_w1_2::description, random);
    nlohmann::json json = a;
    dict[json.dump()] = 0.5;
    json["top1"] = 0.5;
    lines += json.dump() + "\n";
    nlohmann::json other = json, few = json;
    other["image_size"] = {double(a.r)}, other.erase("r");
    for (const char* genes : {"ks", "e"}) {
      few[genes] = nlohmann::json::array();
      for (std::size_t b = 0; b < a.ks.size(); ++b)
        if (a.active(b))
          few[genes].push_back(json[genes][b]), other[genes][b] = json[genes][b].get<double>();
        else
          other[genes][b] = nullptr;
    }
    loose += other.dump() + "\n", active += few.dump() + "\n";
  }
  const auto use = [](std::string_view source, const space_description* given) {
    const auto data = parse_accuracy_data(source, "f", given);
    try {
      const auto space = space_of_data(given ? *given : ofa_w1_2::description, data);
      for (const auto& one : data) REQUIRE(feature_layout::of_space(space)(one.arch).size() > 0);
    } catch (const error& e) {
      REQUIRE((e.code() == errc::invalid_argument || e.code() == errc::invalid_arch));
    }
  };
  fuzz::alter({"accuracy lines"}, {lines, loose, active, dict.dump(4)}, 10'000, fuzz::mutator(3),
              [&](const file_bytes& file, std::size_t) { use(file.text(), nullptr); })
      .expect(3, 30);

  space_description uneven = ofa_w1_2::description; // stages of different numbers of blocks
  for (std::size_t s = 0; s < uneven.stages.size(); ++s) uneven.stages[s].blocks = static_cast<std::uint8_t>(4 + s);
  std::string whole, few;
  for (int i = 0; i < 4; ++i) {
    const arch a = random_arch(uneven, random);
    nlohmann::json json = a;
    json["top1"] = 0.5;
    whole += json.dump() + "\n";
    json["ks"] = json["e"] = nlohmann::json::array();
    for (std::size_t b = 0; b < a.ks.size(); ++b)
      if (a.active(b)) json["ks"].push_back(int(a.ks[b])), json["e"].push_back(int(a.e[b]));
    few += json.dump() + "\n";
  }
  fuzz::alter({"accuracy lines of uneven stages"}, {whole, few}, 4'000, fuzz::mutator(4),
              [&](const file_bytes& file, std::size_t) { use(file.text(), &uneven); })
      .expect(1, 25);
}

TEST_CASE("class names") {
  fuzz::alter({"class names"},
              {"n01443537 goldfish, Carassius auratus\ncat\ndog\ta good one\n",
               R"([{"wnid": "n1", "name": "caf\u00e9"}, "cat", {"name": "dog", "wnid": "n2"}])"},
              10'000, fuzz::mutator(4),
              [](const file_bytes& file, std::size_t) {
                for (const auto& c : data::parse_class_names(file.text(), "f"))
                  (void)nlohmann::json(c.id + c.name).dump();
              })
      .expect(2, 2);
}

} // namespace dynofa_test::fuzz_tables
