#include "dynofa/latency/table_yaml.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include <string>

namespace dynofa_test::latency_table_yaml {

using namespace dynofa;

namespace {

const std::string conv = "Conv-input:96x96x3-output:48x48x24", logits = "Logits-input:1x1x1536-output:200";

std::string said(const std::string& source) {
  return support::sentence([&] { parse_latency_table_yaml(source, "t.yaml"); });
}

} // namespace

TEST_CASE("long names, and entries that share what they hold, as Python writes them") {
  const dynofa::latency_table plain = parse_latency_table_yaml(
      "'96':\n  " + conv + ": {count: 5, mean: 0.25, std: 0.5}\n  " + logits + ": {count: 5, mean: 0.25, std: 0.5}\n");
  CHECK(plain.at(96, conv).std.count() == 0.5);
  CHECK(parse_latency_table_yaml("'96':\n  ? " + conv +
                                 "\n  : &id001\n    count: 5\n    mean: 0.25\n    std: .5\n  ? " + logits +
                                 "\n  : *id001\n") == plain);
  const dynofa::latency_table twice =
      parse_latency_table_yaml("96: &all\n  " + conv + ": {mean: &m 1, std: *m}\n112: *all\n");
  CHECK(twice.at(112, conv) == twice.at(96, conv));
  CHECK(twice.at(112, conv).std.count() == 1);
}

TEST_CASE("aliases that stand for too much, or for themselves, are refused") {
  std::string laughs = "a: &a0 {x: 1, y: 2, z: 3}\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = text("*a", i - 1);
    laughs += text("b", i, ": &a", i, " {1: ", last, ", 2: ", last, ", 3: ", last, "}\n");
  }
  CHECK(said(laughs).ends_with("expected a YAML map of maps, got more than 5 nested levels"));
  std::string wide = "a: &a {";
  for (int i = 0; i < 1000; ++i) wide += text("k", i, ": 1, ");
  wide += "}\nb: {";
  for (int i = 0; i < 2000; ++i) wide += text("k", i, ": *a, ");
  CHECK(said(wide + "}\n").ends_with("got aliases that stand for more than 262144 values"));
  CHECK(said("a: &a\n  b: *a\n").ends_with("got an alias of what it stands in"));
  CHECK(said("a: *b\n").starts_with("t.yaml line 1: expected a YAML"));
  CHECK(said("a: &a 1\n*a : 2\n").ends_with("got an alias"));
}

TEST_CASE("numbers that are none are named with their place") {
  const auto with = [&](const std::string& value) { return said("96: {" + conv + ": {mean: " + value + "}}\n"); };
  const std::string place = "t.yaml, resolution 96, entry " + conv + " field mean: expected a number in 0..1e+12, got ";
  for (const char* nan : {".nan", ".NaN", "nan"}) CHECK(with(nan) == place + "nan");
  CHECK(with("inf") == place + "inf");
  CHECK(with("-1") == place + "-1.0");
  CHECK(with("'1'") == place + "string");
  CHECK(said("96:\n  " + conv + ":\n    mean: !!python/object/apply:numpy.core.multiarray.scalar\n    - 1\n") ==
        "t.yaml line 3: expected plain numbers (float(x) before they are dumped), got a Python value, "
        "\"object/apply:numpy.core.multiarray.scalar\"");
  CHECK(said("96: [1, 2]\n") == "t.yaml line 1: expected a YAML map of maps, got a list");
}

TEST_CASE("a table is written so that it reads back, and only one document counts") {
  dynofa::latency_table table;
  table.device = "a: \"board\"\n#1";
  table.threads = 2, table.frequency_mhz = 1234.5;
  auto& entry = table.resolutions[96][conv];
  entry.mean = milliseconds(1.0 / 3), entry.count = 12345, entry.p50 = milliseconds(1e-5);
  CHECK(parse_latency_table_yaml(to_yaml(table)) == table);
  CHECK(said("# a comment\n").ends_with("expected a YAML map, got an empty text"));
}

} // namespace dynofa_test::latency_table_yaml
