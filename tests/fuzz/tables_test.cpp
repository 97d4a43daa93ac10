// Altered latency tables (JSON and YAML, our form and once-for-all's), accuracy lines, search states, predictor
// files and network configs must load or be refused with one dynofa::error of one sentence: no crash, no other
// exception, no hang. Run it under AddressSanitizer and UBSan too; what loads is used.
#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/data/load_class_names.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/model/plan.hpp"
#include "dynofa/search/state_json.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/described_networks.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_space.hpp"
#include <chrono>

namespace dynofa_test::fuzz_tables {

using namespace dynofa;

namespace {

class mutator {
public:
  explicit mutator(std::uint64_t seed)
      : random_{seed, "fuzz/tables"} {}
  std::size_t below(std::size_t n) { return n ? random_.below(static_cast<std::uint32_t>(n)) : 0; }

  /// One to four changes; `other` gives material for splices.
  std::string operator()(std::string s, std::string_view other) {
    constexpr std::string_view pieces[] = {"{",      "}",       "[",        "]",       "\"",   ":",
                                           ",",      "\n",      "null",     "true",    "-1",   "1e999",
                                           "1e-999", "NaN",     "&a ",      "*a",      "- ",   "? ",
                                           "!!str",  "|\n",     "---\n",    "%YAML ",  "\t",   "#",
                                           "\xff",   "\\u0000", "\\ud800",  "{\"a\":", "0x10", "99999999999999999999",
                                           "-0",     "<<: ",    "\"mean\"", "\"ks\"",  "\r",   "'"};
    for (auto changes = 1 + below(4); changes-- > 0;) {
      const auto at = below(s.size() + 1), size = below(40), from = below(other.size()), kind = below(8);
      const auto piece = pieces[below(std::size(pieces))];
      const auto letter = static_cast<char>(below(256));
      if (kind == 0 && at < s.size()) s[at] = static_cast<char>(s[at] ^ 1 << (letter & 7));
      if (kind == 1 && at < s.size()) s[at] = letter;
      if (kind == 2) s.erase(at, size);
      if (kind == 3 || kind == 4) s.insert(at, piece);
      if (kind == 5) s.replace(at, size, other.substr(from, below(60)));
      if (kind == 6) number(s, at);
      if (kind == 7 && size < 4) s.resize(at);
      if (kind == 7 && size == 4)
        for (int n = 0; n < 300; ++n) s.insert(at, piece);
    }
    return s;
  }

private:
  void number(std::string& s, std::size_t at) {
    constexpr const char* edges[] = {"0", "-1", "4294967296", "9223372036854775808", "1e400", "0.5", "1e-320", "256"};
    const auto digit = s.find_first_of("0123456789", at);
    if (digit == s.npos) return;
    const auto end = s.find_first_not_of("0123456789.e+-", digit);
    s.replace(digit, (end == s.npos ? s.size() : end) - digit, edges[below(std::size(edges))]);
  }
  random_stream random_;
};

struct tally {
  std::size_t loaded = 0, refused = 0;
  double slowest_s = 0;
  template <class Use>
  void read(Use use) {
    const auto start = std::chrono::steady_clock::now();
    try {
      use();
      ++loaded;
    } catch (const error& e) {
      const std::string_view said = e.what();
      INFO(std::string(said));
      REQUIRE(said.starts_with("f"));
      REQUIRE(said.size() < 600);
      REQUIRE(said.find_first_of("\n\r\t") == said.npos);
      REQUIRE(said.find(": expected ") != said.npos);
      REQUIRE(said.find(", got ") != said.npos);
      ++refused;
    }
    slowest_s = std::max(slowest_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  void report(const std::string& what) const {
    MESSAGE(what << ": " << loaded << " loaded, " << refused << " refused, slowest " << slowest_s * 1e3 << " ms");
  }
};

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

TEST_CASE("latency tables") {
  const latency_table table = small_table();
  nlohmann::json plain = nlohmann::json(table)["resolutions"];
  const std::string ours = nlohmann::json(table).dump(1), theirs = plain.dump(), yaml = to_yaml(table);
  mutator mutate(1);
  tally json_ours, json_theirs, yaml_ours, yaml_theirs, yaml_shared, one_file;
  const std::string block = "160:\n  Logits-input:1x1x1536-output:1000: {mean: 1.5, std: 0.25, count: 9}\n";
  const std::string shared = "160: &all\n  ? Conv-input:160x160x3-output:80x80x24\n  : &id001 {mean: &m 1.5, std: *m}\n"
                             "  Logits-input:1x1x1536-output:1000: *id001\n176: *all\n";
  const std::string entries = plain["160"].dump();
  const auto read_one = [](const std::string& s) {
    return [s] {
      const auto document = detail::parse_table_json(s, "f");
      if (!detail::is_of_one_resolution(document)) throw error(errc::bad_file, "f", "one resolution", "others");
      latency_table one;
      one.resolutions.emplace(160, detail::read_latency_entries({document, "f"}));
      use(one);
    };
  };
  const auto read_json = [](const std::string& s) { return [s] { use(parse_latency_table(s, "f")); }; };
  const auto read_yaml = [](const std::string& s) { return [s] { use(parse_latency_table_yaml(s, "f")); }; };
  json_ours.read(read_json(ours)), json_theirs.read(read_json(theirs));
  yaml_ours.read(read_yaml(yaml)), yaml_theirs.read(read_yaml(block));
  yaml_shared.read(read_yaml(shared)), one_file.read(read_one(entries));
  const auto all = {&json_ours, &json_theirs, &yaml_ours, &yaml_theirs, &yaml_shared, &one_file};
  for (const auto* t : all) REQUIRE(t->loaded == 1);
  for (int n = 0; n < 10000; ++n) {
    json_ours.read(read_json(mutate(ours, theirs)));
    json_theirs.read(read_json(mutate(theirs, ours)));
    yaml_ours.read(read_yaml(mutate(yaml, ours)));
    yaml_theirs.read(read_yaml(mutate(block, yaml)));
    yaml_shared.read(read_yaml(mutate(shared, shared)));
    one_file.read(read_one(mutate(entries, theirs)));
  }
  json_ours.report("JSON, our form"), json_theirs.report("JSON, once-for-all's form");
  yaml_ours.report("YAML, our form"), yaml_theirs.report("YAML, once-for-all's form");
  yaml_shared.report("YAML with aliases"), one_file.report("a file of one resolution");
  for (const auto* t : all) {
    CHECK(t->refused > 1000);
    CHECK(t->loaded > 50);
    CHECK(t->slowest_s < 5);
  }
}

TEST_CASE("deep and wide texts") {
  tally t;
  for (const char* piece : {"{\"a\":", "[", "{", "- ", "? ", "? - ", "a: ", "!a ", "&a ", "\"", "|", "{a: "}) {
    std::string deep;
    while (deep.size() < 200'000) deep += piece;
    t.read([&] { use(parse_latency_table(deep, "f")); });
    t.read([&] { use(parse_latency_table_yaml(deep, "f")); });
    t.read([&] { (void)parse_accuracy_data(deep, "f"); });
  }
  CHECK(t.loaded == 0);
  t.report("deep");
  CHECK(t.slowest_s < 5);
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
  mutator mutate(2);
  tally t;
  const auto read = [](const std::string& s, const space_description* given = nullptr) {
    return [s, given] {
      const auto data = parse_accuracy_data(s, "f", given);
      try {
        const auto space = space_of_data(given ? *given : ofa_w1_2::description, data);
        for (const auto& one : data) REQUIRE(feature_layout::of_space(space)(one.arch).size() > 0);
      } catch (const error& e) {
        REQUIRE((e.code() == errc::invalid_argument || e.code() == errc::invalid_arch));
      }
    };
  };
  const std::string forms[] = {lines, loose, active, dict.dump(4)};
  for (const std::string& form : forms) t.read(read(form));
  REQUIRE(t.loaded == 4);
  for (int n = 0; n < 10000; ++n) t.read(read(mutate(forms[n % 4], forms[n / 4 % 4])));
  t.report("accuracy lines");
  CHECK(t.refused > 3000);
  CHECK(t.loaded > 300);

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
  tally dealt;
  dealt.read(read(whole, &uneven)), dealt.read(read(few, &uneven));
  REQUIRE(dealt.loaded == 2);
  for (int n = 0; n < 4000; ++n) dealt.read(read(n % 2 ? mutate(whole, few) : mutate(few, whole), &uneven));
  dealt.report("accuracy lines of uneven stages");
  CHECK(dealt.refused > 1000);
  CHECK(dealt.loaded > 50);
}

TEST_CASE("network configs") {
  const auto& all = support::published_networks();
  mutator mutate(11);
  tally t;
  for (std::size_t n = 0; n < 6000; ++n) {
    const std::string one = all[n % all.size()].config.dump(),
                      s = n < all.size() ? one : mutate(one, all[0].config.dump());
    t.read([&] {
      try {
        const described_network made = read_network_config(detail::parse_bounded(s, "f"), 64);
        REQUIRE(make_plan(made.space, made.arch).macs() > 0);
      } catch (const error& e) { // names the text as its users know it
        throw error(e.code(), text("f ", e.where()), e.expected(), e.got());
      }
    });
    if (n + 1 == all.size()) REQUIRE(t.loaded == all.size());
  }
  t.report("network configs");
  CHECK(t.refused > 2000);
  CHECK(t.loaded > all.size() + 100);
}

TEST_CASE("class names") {
  const std::string texts[] = {"n01443537 goldfish, Carassius auratus\ncat\ndog\ta good one\n",
                               R"([{"wnid": "n1", "name": "caf\u00e9"}, "cat", {"name": "dog", "wnid": "n2"}])"};
  mutator mutate(9);
  for (const std::string& whole : texts) {
    tally counts;
    for (int n = 0; n < 5000; ++n) {
      const auto altered = n == 0 ? whole : mutate(whole, texts[mutate.below(2)]);
      counts.read([&] {
        for (const auto& c : data::parse_class_names(altered, "f")) (void)nlohmann::json(c.id + c.name).dump();
      });
    }
    counts.report("class names");
    CHECK(counts.loaded > 100);
    CHECK(counts.refused > 100);
    CHECK(counts.slowest_s < 2);
  }
}

TEST_CASE("search states") {
  const auto space = support::tiny_space::description;
  search::pareto_state pareto;
  search::evolution_state evolution;
  const search::candidate one{smallest(space), 0.5, 3}, two{largest(space), 0.7, 9};
  pareto.all.insert(one), pareto.all.insert(two);
  pareto.limits.push_back({5, {one}, {one.arch.hash()}, 17, 2});
  evolution.population = {two, one};
  pareto.inputs = evolution.inputs = {{"seed", "1"}};
  evolution.random_key = ~0ull;
  const std::string texts[] = {nlohmann::json(pareto).dump(), nlohmann::json(evolution).dump()};
  mutator mutate(3);
  tally t;
  for (int n = 0; n < 10000; ++n) {
    const std::string s = n < 2 ? texts[n] : mutate(texts[n % 2], texts[1 - n % 2]);
    t.read([&] {
      try {
        const auto json = detail::parse_bounded(s, "f");
        if (n % 2 == 0)
          (void)search::read_pareto_state(json, space);
        else
          (void)search::read_evolution_state(json, space);
      } catch (const error& e) { // names no file: its caller does
        throw error(e.code(), text("f ", e.where()), e.expected(), e.got());
      }
    });
    if (n == 1) REQUIRE(t.loaded == 2);
  }
  t.report("search states");
  CHECK(t.refused > 2000);
}

TEST_CASE("predictor files") {
  const auto space = support::tiny_space::description;
  const auto layout = feature_layout::of_space(space);
  predictor_network network{{std::vector<float>(2 * layout.size(), 0.5f), {0, 1}}, {{1, 2}, {3}}};
  const support::scratch_folder folder;
  save_predictor(folder.path() / "p", {space, layout, {network}});
  const std::string whole = support::read_text(folder.path() / "p");
  mutator mutate(4);
  tally t;
  for (int n = 0; n < 3000; ++n) {
    support::write_text(folder.path() / "f", n ? mutate(whole, whole) : whole);
    t.read([&] {
      try {
        (void)load_predictor(folder.path() / "f")(largest(space));
      } catch (const error& e) {
        // another space may have been written into the file
        throw error(e.code(), text("f ", e.where()), e.expected(), e.got());
      }
    });
    if (n == 0) REQUIRE(t.loaded == 1);
  }
  t.report("predictor files");
  CHECK(t.refused > 1000);
}

} // namespace dynofa_test::fuzz_tables
