#include "dynofa/data/class_names_json.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <string>

namespace dynofa_test::data_class_names {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("class names are read in order") {
  const temporary_folder folder("class_names");
  write_text(folder.path / "classes.json",
             R"([{"wnid":"n2","name":"a thing, another"},{"wnid":"n1","name":"caf\u00e9","more":1}])");
  CHECK(read_class_names(folder.path / "classes.json") ==
        std::vector<class_name>{{"n2", "a thing, another"}, {"n1", "café"}});
}

TEST_CASE("anything else is one sentence with the path") {
  const temporary_folder folder("class_names-faults");
  const auto path = folder.path / "classes.json";
  const auto got = [&](const std::string& content) {
    write_text(path, content);
    const auto fault = fault_of([&] { read_class_names(path); });
    CHECK(fault.code() == errc::bad_file);
    CHECK(fault.where() == path.string());
    return fault.got();
  };
  CHECK(got("") == "a file that is not JSON");
  CHECK(got("[{\"wnid\":\"n1\",") == "a file that is not JSON");
  CHECK(got("[\"\xff\"]") == "a file that is not JSON");
  CHECK(got(std::string(100'000, '[')) == "a file that is not JSON");
  CHECK(got("{\"0\":[]}") == "an object");
  CHECK(got("[]") == "an empty array");
  CHECK(got("[3]") == "entry 0 that is no object");
  CHECK(got(R"([{"wnid":"a","name":"b"},{"wnid":"a"}])") == "entry 1 without a name");
  CHECK(got(R"([{"wnid":1,"name":"b"}])") == "entry 0 without a wnid");
  CHECK(fault_of([&] { read_class_names(folder.path / "none"); }).code() == errc::io);
}

} // namespace dynofa_test::data_class_names
