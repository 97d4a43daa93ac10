#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::family_design_sections {

using namespace dynofa;
using namespace support;

TEST_CASE("a family without sections, and with what they hold") {
  family f(tiny_supernet(), data::exact_preprocessing(), {});
  CHECK(provenance_of(f).empty());
  CHECK_FALSE(table_of(f));
  CHECK_FALSE(predictor_of(f));
  set_provenance(f, {{"origin", "here"}, {"made_by", "\"me\""}});
  CHECK(provenance_of(f).at("made_by") == "\"me\"");
  latency_table table;
  table.device = "a board";
  table.resolutions[160]["Conv-input:160x160x3-output:80x80x24"].mean = milliseconds(1);
  set_table(f, table);
  CHECK(table_of(f)->device == "a board");
  CHECK(sentence([&] {
          set_provenance(f, {{"origin", "\xFF"}});
        }) == "provenance: expected names and texts in UTF-8, got another encoding");
  CHECK(provenance_of(f).size() == 2);
  CHECK(inputs_of(f).empty());
  set_inputs(f, {{"images", "12 pictures"}});
  CHECK(inputs_of(f) == named_inputs{{"images", "12 pictures"}});
}

TEST_CASE("a section that nobody here knows stays in the file, to the bit") {
  const scratch_folder folder;
  family f(tiny_supernet(), data::exact_preprocessing(), {});
  const std::vector<float> values = {1, 2, 3};
  f.sections["thermal_model"] = {"anything at all", {{"a.b", tensor::of_floats(values, {3})}}};
  save_family(folder.path() / "f", f);
  const family g = load_family(folder.path() / "f");
  CHECK(g.sections.at("thermal_model").text == "anything at all");
  CHECK(g.sections.at("thermal_model").tensors.at("a.b").to_floats() == values);
  save_family(folder.path() / "g", g);
  CHECK(read_text(folder.path() / "f") == read_text(folder.path() / "g"));
  for (const char* taken : {"levels", "supernet", "", "A", "a.b"}) {
    family bad = f;
    bad.sections[taken] = {};
    CHECK_THROWS_AS(save_family(folder.path() / "bad", bad), error);
  }
}

TEST_CASE("sections that are something else are refused when they are asked for") {
  family f(tiny_supernet(), data::exact_preprocessing(), {});
  const auto says = [&](const char* section, const char* content) {
    f.sections[section].text = content;
    return sentence([&] { (void)provenance_of(f), (void)table_of(f), (void)predictor_of(f); });
  };
  CHECK(says("provenance", "[1]") == "provenance: expected an object, got array");
  CHECK(says("provenance", "{\"a\":1}").starts_with("provenance, text a: expected a text"));
  CHECK(says("provenance", "{}") == "(no error)");
  CHECK(says("predictor", "{\"official\":1}").starts_with("predictor"));
  f.sections.erase("predictor");
  CHECK(says("table", "{").starts_with("latency table"));
}

} // namespace dynofa_test::family_design_sections
