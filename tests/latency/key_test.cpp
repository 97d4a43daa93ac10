#include "dynofa/latency/key.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include <set>

namespace dynofa_test::latency_key {

using namespace dynofa;

TEST_CASE("the keys of a network are once-for-all's") {
  std::vector<std::string> keys;
  for (const block& b : make_plan(ofa_w1_2::description, smallest(ofa_w1_2::description)).blocks)
    for_each_operation(b, [&](const operation_key& k) { keys.push_back(to_string(k)); });
  REQUIRE(keys.size() == 2 + 10 + 4);
  CHECK(keys[0] == "Conv-input:160x160x3-output:80x80x24");
  CHECK(keys[1] == "expanded_conv-input:80x80x24-output:80x80x24-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0");
  CHECK(keys[2] == "expanded_conv-input:80x80x24-output:40x40x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0");
  CHECK(keys[5] == "expanded_conv-input:20x20x48-output:20x20x48-expand:144-kernel:3-stride:1-idskip:1-se:1-hs:0");
  CHECK(keys[12] == "Conv_1-input:5x5x192-output:5x5x1152");
  CHECK(keys[13] == "AvgPool2D-input:5x5x1152-output:1x1x1152");
  CHECK(keys[14] == "Conv_2-input:1x1x1152-output:1x1x1536");
  CHECK(keys[15] == "Logits-input:1x1x1536-output:1000");
  for (const auto& key : keys) CHECK(to_string(parse_operation_key(key)) == key);
}

TEST_CASE("a resolution of w = 1.2 has 96 keys, 95 of them timed") {
  const space_description& space = ofa_w1_2::description;
  std::set<std::string> all, timed;
  for (int k : {3, 5, 7})
    for (int e : {3, 4, 6}) {
      const arch a = deepest(space, 192, k, e);
      for (const block& b : make_plan(space, a).blocks) {
        timed.insert(timed_key(b));
        for_each_operation(b, [&](const operation_key& key) { all.insert(to_string(key)); });
      }
    }
  CHECK(all.size() == 96);
  CHECK(timed.size() == 95);
}

TEST_CASE("what is not of the grammar is no key") {
  for (const char* wrong :
       {"", "Conv", "Conv-", "Konv-input:8x8x3-output:4x4x8", "Conv-input:8x9x3-output:4x4x8",
        "Conv-input:8x8x3-output:4x4x8x", "Conv-input:8x8x-3-output:4x4x8", "Conv-input:08x08x3-output:4x4x8",
        "Conv-input:8x8x3-output:99999999x99999999x8", "Logits-input:1x1x8-output:1x1x8",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:24-kernel:3-stride:1-idskip:2-se:0-hs:0",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:24-kernel:3-stride:1-idskip:1-se:0"}) {
    CAPTURE(wrong);
    CHECK_FALSE(find_operation_key(wrong).has_value());
    CHECK_THROWS_AS(parse_operation_key(wrong), error);
  }
}

} // namespace dynofa_test::latency_key
