#include "dynofa/model/keys.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include <initializer_list>

namespace dynofa_test::model_keys {

using namespace dynofa;
using support::sentence;

namespace {
state_dict named(std::initializer_list<const char*> keys) {
  state_dict tensors;
  for (auto* key : keys) tensors[key];
  return tensors;
}
} // namespace

TEST_CASE("old names and wrapped names become canonical") {
  CHECK(canonical_key("blocks.7.mobile_inverted_conv.depth_conv.conv.conv.weight") ==
        "blocks.7.conv.depth_conv.conv.conv.weight");
  CHECK(canonical_key("module.first_conv.conv.weight") == "first_conv.conv.weight");
  CHECK(canonical_key("module.blocks.0.mobile_inverted_conv.point_linear.bn.bias") ==
        "blocks.0.conv.point_linear.bn.bias");
  for (auto* wrapped : {"module.model._orig_mod.first_conv.conv.weight", "_orig_mod.module.first_conv.conv.weight",
                        "model.model.first_conv.conv.weight", "net.first_conv._orig_mod.conv.weight",
                        "module.ema_model.module.first_conv.conv.weight", "first_conv.conv.module.weight"})
    CHECK(canonical_key(wrapped) == "first_conv.conv.weight");
  for (auto* same : {"blocks.7.conv.depth_conv.se.fc.reduce.weight", "classifier.linear.bias", "submodule.weight",
                     "a.module", "module", "models.a", ""})
    CHECK(canonical_key(same) == same);

  const auto tensors = named({"module.a", "blocks.1.mobile_inverted_conv.b"});
  const auto canonical = with_canonical_keys(tensors, "f");
  CHECK(canonical.size() == 2);
  CHECK(canonical.contains("a"));
  CHECK(canonical.contains("blocks.1.conv.b"));
}

TEST_CASE("counters that other tools leave are left out and told") {
  std::vector<std::string> left_out;
  const auto canonical = with_canonical_keys(named({"module.a", "module.blocks.0.total_ops", "module.n_averaged",
                                                    "total_params", "n_averaged", "total_ops.weight"}),
                                             "f", &left_out);
  CHECK(canonical.size() == 2);
  CHECK(canonical.contains("a"));
  CHECK(canonical.contains("total_ops.weight"));
  CHECK(left_out ==
        std::vector<std::string>{"module.blocks.0.total_ops", "module.n_averaged", "n_averaged", "total_params"});
}

TEST_CASE("two names that become one are refused") {
  CHECK(sentence([] {
          with_canonical_keys(named({"blocks.1.conv.b", "blocks.1.mobile_inverted_conv.b"}), "f");
        }) ==
        "f: expected one entry for \"blocks.1.conv.b\", got a second one named \"blocks.1.mobile_inverted_conv.b\"");
}

TEST_CASE("the style shows in the names of the blocks") {
  const auto style = [](std::initializer_list<const char*> keys) { return style_of(named(keys), "f"); };
  // block 0 is not elastic: its names are single in every style
  CHECK(style({"blocks.0.mobile_inverted_conv.depth_conv.conv.weight",
               "blocks.1.mobile_inverted_conv.depth_conv.conv.conv.weight"}) == key_style::supernet_old);
  CHECK(style({"blocks.0.conv.depth_conv.conv.weight", "blocks.1.conv.depth_conv.bn.bn.weight"}) ==
        key_style::supernet_new);
  CHECK(style({"blocks.0.mobile_inverted_conv.depth_conv.conv.weight",
               "blocks.1.mobile_inverted_conv.depth_conv.bn.weight"}) == key_style::extracted_old);
  CHECK(style({"first_conv.conv.weight", "blocks.1.conv.inverted_bottleneck.conv.weight",
               "blocks.1.conv.inverted_bottleneck.bn.weight"}) == key_style::extracted_new);
  CHECK(style({"blocks.1.mobile_inverted_conv.depth_conv.bn.bn.weight", "blocks.1.total_ops",
               "blocks.1.total_params"}) == key_style::supernet_old); // thop's counters say nothing of it
  CHECK(style({"_orig_mod.module.model.blocks.1.conv.inverted_bottleneck.conv.conv.weight"}) ==
        key_style::supernet_new);
  CHECK(style({"module.blocks.1.conv.inverted_bottleneck.conv.conv.weight"}) == key_style::supernet_new);
  CHECK(name_of(key_style::extracted_old) == "extracted_old");

  CHECK(sentence([&] { style({"classifier.linear.bias"}); }) == "f: expected entries named blocks.N.…, got none");
  CHECK(sentence([&] {
          style({"blocks.0.conv.a", "blocks.1.mobile_inverted_conv.a"});
        }) == "f: expected one style of names, got .mobile_inverted_conv. and .conv. mixed");
}

} // namespace dynofa_test::model_keys
