#include "dynofa/model/layout.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"
#include <set>
#include <string>

namespace dynofa_test::model_layout_test {

using namespace dynofa;

TEST_CASE("the layout of a space has the checkpoint's tensors, each once") {
  const space_description& space = support::tiny_space::description;
  const network_layout layout(space);
  std::set<std::string> keys;
  for (const weight_array& w : layout.weights)
    CHECK(keys.insert(w.made_from < 0 ? layout.key(w) : layout.transform_key(w)).second);
  for (const norm_array& n : layout.norms)
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var", ".num_batches_tracked"})
      CHECK(keys.insert(layout.key(n) + part).second);
  std::set<std::string> written;
  for (const auto& named : random_checkpoint(space, 1)) written.insert(named.first);
  CHECK(keys == written);
}

TEST_CASE("units have the geometry of the space at full width") {
  const auto units = units_of(ofa_w1_2::description);
  REQUIRE(units.size() == 2 + 20 + 3);
  CHECK(units[1].kind == block_kind::separable);
  const block& b = units[14]; // first block of stage 4
  CHECK(b.gene == 12);
  CHECK(b.in_channels == 96);
  CHECK(b.mid_channels == 576);
  CHECK(b.out_channels == 136);
  CHECK(b.stride == 1);
  CHECK_FALSE(b.residual);
  CHECK(b.se_channels == 144);
  CHECK(units[15].residual);
  CHECK(units[15].se_channels == 208); // not 816 / 4: make_divisible
  CHECK(units.back().output == 0);
}

TEST_CASE("a block reads prefixes of its unit's arrays") {
  const space_description& space = ofa_w1_0::description;
  const network_layout layout(space);
  random_stream random(3, "layout");
  for (int i = 0; i < 20; ++i)
    for (const block& b : make_plan(space, random_arch(space, random)).blocks)
      for (const weight_array& w : layout.weights_of(b.unit)) {
        if (w.role() == weight_role::depthwise && w.kernel != b.kernel) continue;
        const weight_extent read = w.extent_in(b), whole = w.extent();
        CAPTURE(layout.key(w));
        CHECK(read.rows >= 1);
        CHECK(read.rows <= whole.rows);
        CHECK(read.columns <= whole.columns);
        CHECK(read.pitch == whole.pitch);
        if (b.gene < 0) CHECK(read == whole);
      }
}

TEST_CASE("an array is found by its role") {
  const network_layout layout(support::tiny_space::description);
  block b = layout.units[2]; // of a stage without squeeze-excite
  CHECK_FALSE(layout.find(b, weight_role::se_reduce).has_value());
  CHECK_FALSE(layout.find(layout.units[0], weight_role::expand).has_value());
  for (int k : {3, 5, 7}) {
    b.kernel = static_cast<std::uint8_t>(k);
    REQUIRE(layout.find(b, weight_role::depthwise).has_value());
    const weight_array& w = layout.weights[*layout.find(b, weight_role::depthwise)];
    CHECK(w.kernel == k);
    CHECK((w.made_from < 0) == (k == 7));
    CHECK(network_layout::checkpoint_shape(w)[1] == 1);
  }
}

TEST_CASE("ResNet: the units, and what checkpoints call their arrays") {
  const space_description& space = ofa_resnet50_space::description;
  const network_layout layout(space);
  using enum block_kind;
  REQUIRE(layout.units.size() == 4 + 18 + 2);
  const block_kind kinds[] = {stem, convolution, convolution, max_pool};
  for (std::size_t i = 0; i < 4; ++i) CHECK(layout.units[i].kind == kinds[i]);
  CHECK(layout.units[22].kind == average_pool);
  CHECK(layout.units[23].kind == classifier);
  CHECK(layout.units[1].deepest_only);
  CHECK(layout.units[1].residual);
  std::set<std::string> keys;
  for (const weight_array& w : layout.weights) CHECK(keys.insert(layout.key(w)).second);
  for (const norm_array& n : layout.norms) CHECK(keys.insert(layout.key(n)).second);
  for (const char* key :
       {"input_stem.0.conv.conv.weight", "input_stem.0.bn.bn", "input_stem.1.conv.conv.conv.weight",
        "input_stem.1.conv.bn.bn", "input_stem.2.conv.conv.weight", "blocks.0.conv1.conv.conv.weight",
        "blocks.0.conv2.bn.bn", "blocks.17.conv3.conv.conv.weight", "blocks.0.downsample.conv.conv.weight",
        "blocks.4.downsample.bn.bn", "classifier.linear.linear.weight", "classifier.linear.linear.bias"})
    CHECK_MESSAGE(keys.contains(key), key);
  CHECK_FALSE(keys.contains("blocks.1.downsample.conv.conv.weight"));
  // 3 convolutions of the stem, 18 blocks of three, 4 shortcuts, the classifier's two
  CHECK(layout.weights.size() == 3 + 3 * 18 + 4 + 2);
  CHECK(layout.norms.size() == 3 + 3 * 18 + 4);
}

TEST_CASE("ResNet: a sub-network reads prefixes of every array, as many rows and columns as it has channels") {
  const space_description& space = support::tiny_resnet_space::description;
  const network_layout layout(space);
  random_stream random(4, "resnet layout");
  for (int i = 0; i < 20; ++i)
    for (const block& b : make_plan(space, random_arch(space, random)).blocks)
      for (const weight_array& w : layout.weights_of(b.unit)) {
        const weight_extent read = w.extent_in(b), whole = w.extent();
        CAPTURE(layout.key(w));
        CHECK(read.rows <= whole.rows);
        CHECK(read.columns <= whole.columns);
        CHECK(read.pitch == whole.pitch);
        const int in = b.in_channels, mid = b.mid_channels, out = b.out_channels, taps = b.kernel * b.kernel;
        switch (w.role()) {
        case weight_role::expand: CHECK((read.rows == mid && read.columns == in)); break;
        case weight_role::dense: CHECK((read.rows == mid && read.columns == mid * taps)); break;
        case weight_role::shortcut: CHECK((read.rows == out && read.columns == in)); break;
        case weight_role::output_bias: CHECK((read.rows == out && read.columns == 1)); break;
        default:
          CHECK((read.rows == out && read.columns == (b.mid_channels > 0 ? mid : in * (b.kernel > 1 ? taps : 1))));
        }
      }
}

} // namespace dynofa_test::model_layout_test
