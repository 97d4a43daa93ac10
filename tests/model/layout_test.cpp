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

} // namespace dynofa_test::model_layout_test
