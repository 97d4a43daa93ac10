#include "dynofa/data/class_names_json.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <string>

namespace dynofa_test::data_class_names {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("class names are read in order") {
  const support::scratch_folder folder;
  write_text(folder.path() / "classes.json",
             R"([{"wnid":"n2","name":"a thing, another"},{"wnid":"n1","name":"caf\u00e9","more":1}])");
  CHECK(read_class_names(folder.path() / "classes.json") ==
        std::vector<class_name>{{"n2", "a thing, another"}, {"n1", "café"}});
}

TEST_CASE("anything else is one sentence with the path") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "classes.json";
  const auto said = [&](const std::string& content) {
    write_text(path, content);
    const auto fault = fault_of([&] { read_class_names(path); });
    CHECK(fault.code() == errc::bad_file);
    const std::string sentence = fault.what();
    REQUIRE(sentence.starts_with(path.string()));
    return sentence.substr(path.string().size());
  };
  CHECK(said("") == ": expected a JSON text, got an empty file");
  CHECK(said("[{\"wnid\":\"n1\",") == ": expected a JSON text, got something else");
  CHECK(said("[\"\xff\"]") == ": expected a JSON text, got something else");
  CHECK(said(std::string(100'000, '[')) == ": expected at most 8 nested levels, got more");
  CHECK(said("{\"0\":[]}") == ": expected a list, got object");
  CHECK(said("[]") == ": expected at least one class, got none");
  CHECK(said("[3]") == "[0]: expected an object, got 3");
  CHECK(said(R"([{"wnid":"a","name":"b"},{"wnid":"a"}])") == "[1]: expected a field name, got none");
  CHECK(said(R"([{"wnid":1,"name":"b"}])") == "[0] field wnid: expected a text of at most 1024 bytes, got 1");
  CHECK(fault_of([&] { read_class_names(folder.path() / "none"); }).code() == errc::io);
}

} // namespace dynofa_test::data_class_names
