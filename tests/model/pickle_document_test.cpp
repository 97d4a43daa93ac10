#include "dynofa/model/pickle_document.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::model_pickle_document {

using namespace dynofa::pickle;

TEST_CASE("find looks text keys up, the last one winning") {
  document d; // {"a": 10, 7: 20, "a": 30, 20: 10}
  d.values.resize(6);
  d.values[0].kind = kind::dict;
  d.values[0].items = {1, 2, 3, 4, 1, 5, 4, 2};
  d.values[1].kind = kind::string;
  d.values[1].text = "a";
  for (std::size_t i = 2; i < 6; ++i) d.values[i].kind = kind::integer;
  d.values[2].integer = 10, d.values[3].integer = 7, d.values[4].integer = 20, d.values[5].integer = 30;
  CHECK(&d.top() == &d[0]);
  REQUIRE(d.find(d.top(), "a"));
  CHECK(d.find(d.top(), "a")->integer == 30);
  CHECK(d.find(d.top(), "b") == nullptr);
  CHECK(name_of(kind::none) == "None");
  CHECK(name_of(kind::tensor) == "a tensor");
}

} // namespace dynofa_test::model_pickle_document
