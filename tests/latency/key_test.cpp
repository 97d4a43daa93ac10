#include "dynofa/latency/key.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

namespace dynofa_test::latency_key {

using namespace dynofa;

namespace {

std::vector<std::string> keys_of(const plan& p) {
  std::vector<std::string> keys;
  for (std::size_t n = 0; n < p.blocks.size(); ++n)
    for_each_operation(p, n, [&](const operation_key& k) { keys.push_back(to_string(k)); });
  return keys;
}

/// How many keys of the space stand for two different blocks.
int shared_keys(const space_description& space) {
  std::map<std::string, std::set<std::string>> blocks;
  for_each_deepest(space, space.resolutions.front(), [&](const arch& a) {
    const plan p = make_plan(space, a);
    for (std::size_t n = 0; n < p.blocks.size(); ++n) {
      const block& b = p.blocks[n];
      blocks[timed_key(p, n)].insert(text(int(b.kind), ' ', int(b.act), ' ', b.residual, ' ', int(b.kernel), ' ',
                                          int(b.stride), ' ', b.in_size, ' ', b.out_size, ' ', b.in_channels, ' ',
                                          b.mid_channels, ' ', b.out_channels, ' ', b.se_channels));
    }
  });
  return static_cast<int>(
      std::count_if(blocks.begin(), blocks.end(), [](const auto& k) { return k.second.size() > 1; }));
}

} // namespace

TEST_CASE("the keys of a network are once-for-all's") {
  const std::vector<std::string> keys = keys_of(make_plan(ofa_w1_2::description, smallest(ofa_w1_2::description)));
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
      const plan p = make_plan(space, deepest(space, 192, k, e));
      for (const std::string& key : keys_of(p)) all.insert(key);
      for (std::size_t n = 0; n < p.blocks.size(); ++n) timed.insert(timed_key(p, n));
    }
  CHECK(all.size() == 96);
  CHECK(timed.size() == 95);
}

TEST_CASE("a network without squeeze-excite and h-swish has ProxylessNAS' keys: ratios, and Logits with the pooling") {
  space_description space = search_space<ofa_proxyless_nas, width<1.0>, depth<2, 3, 4>, expand<3, 6>, kernel<3, 5, 7>,
                                         resolution<224>>::description;
  space.stages[0].expands.insert(decimal(3.5));
  arch a = largest(space);
  a.e[0] = decimal(3.5), a.ks[0] = 5;
  const std::vector<std::string> keys = keys_of(make_plan(space, a));
  REQUIRE(keys.size() == 2 + 21 + 2);
  CHECK(keys[0] == "Conv-input:224x224x3-output:112x112x32");
  CHECK(keys[1] == "expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3-stride:1-idskip:0");
  CHECK(keys[2] == "expanded_conv-input:112x112x16-output:56x56x24-expand:3.5-kernel:5-stride:2-idskip:0");
  CHECK(keys[3] == "expanded_conv-input:56x56x24-output:56x56x24-expand:6-kernel:7-stride:1-idskip:1");
  CHECK(keys[22] == "expanded_conv-input:7x7x192-output:7x7x320-expand:6-kernel:7-stride:1-idskip:0");
  CHECK(keys[23] == "Conv_1-input:7x7x320-output:7x7x1280");
  CHECK(keys[24] == "Logits-input:7x7x1280-output:1000");
  for (const auto& key : keys) CHECK(to_string(parse_operation_key(key)) == key);
}

TEST_CASE("blocks that differ have different keys") {
  CHECK(shared_keys(ofa_w1_2::description) == 0);
  CHECK(shared_keys(ofa_proxyless_w1_3::description) == 0);
  // As alike as they come: two stages of one width and stride, block 0 of that width, ratios from 1 on.
  space_description space =
      search_space<network<stem_width<24>, stage_widths<24, 24, 24>, strides<1, 1, 1>,
                           activations<activation::relu, activation::relu6, activation::identity>,
                           squeeze_excite<false, false, false>, final_width<96>, mix_width<128>, classes<10>>,
                   depth<2>, expand<1, 2>, kernel<3, 5>, resolution<32>>::description;
  CHECK(has_plain_keys(space));
  CHECK(shared_keys(space) == 0);
  space.stages[1].act = activation::h_swish;
  CHECK_FALSE(has_plain_keys(space));
  CHECK(shared_keys(space) == 0);
  space.stages[2].act = activation::relu, space.stages[2].squeeze_excite = true;
  CHECK(shared_keys(space) == 0);
  const std::vector<std::string> keys = keys_of(make_plan(space, smallest(space)));
  CHECK(keys[1] == "expanded_conv-input:16x16x24-output:16x16x24-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0");
  CHECK(keys[2] == keys[1] + "-expansion:1");
  for (const auto& key : keys) CHECK(to_string(parse_operation_key(key)) == key);
}

TEST_CASE("what is not of the grammar is no key") {
  for (const char* wrong :
       {"", "Conv", "Conv-", "Konv-input:8x8x3-output:4x4x8", "Conv-input:8x9x3-output:4x4x8",
        "Conv-input:8x8x3-output:4x4x8x", "Conv-input:8x8x-3-output:4x4x8", "Conv-input:08x08x3-output:4x4x8",
        "Conv-input:8x8x3-output:99999999x99999999x8", "Logits-input:1x1x8-output:1x1x8",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:24-kernel:3-stride:1-idskip:2-se:0-hs:0",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:24-kernel:3-stride:1-idskip:1-se:0",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:3.50-kernel:3-stride:1-idskip:1",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:3-kernel:3.5-stride:1-idskip:1",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:3e0-kernel:3-stride:1-idskip:1",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:3-kernel:3-stride:1-idskip:1-hs:0",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:3-kernel:3-stride:1-idskip:1-act:relu6",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:3-kernel:3-stride:1-idskip:1-act:swish",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:3-kernel:3-stride:1-idskip:1-expansion:0"}) {
    CAPTURE(wrong);
    CHECK_FALSE(find_operation_key(wrong).has_value());
    CHECK_THROWS_AS(parse_operation_key(wrong), error);
  }
}

} // namespace dynofa_test::latency_key
