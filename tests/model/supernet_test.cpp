#include "dynofa/model/supernet.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"

namespace dynofa_test::model_supernet {

using namespace dynofa;

TEST_CASE("the hash sees every learnable value and nothing else") {
  const supernet_ptr net = support::tiny_supernet();
  const std::uint64_t h = net->hash();
  CHECK(h == support::tiny_supernet()->hash());
  CHECK(h != support::tiny_supernet(8)->hash());
  auto changed = [&](auto change) {
    supernet copy = *net;
    change(copy);
    return copy.hash() != h;
  };
  CHECK(changed([](supernet& n) { n.stem[0] += 1; }));
  CHECK(changed([](supernet& n) { n.blocks[9].expand.back() += 1; }));
  CHECK(changed([](supernet& n) { n.blocks[5].se_expand_bias[0] += 1; }));
  CHECK(changed([](supernet& n) { n.blocks[20].norms[2].bias[3] += 1; }));
  CHECK(changed([](supernet& n) { n.classifier_bias.back() += 1; }));
  CHECK(changed([](supernet& n) { std::swap(n.feature_mix[0], n.feature_mix[1]); }));
  CHECK_FALSE(changed([](supernet& n) { n.blocks[20].norms[2].mean[3] += 1; })); // running statistics belong to a level
}

TEST_CASE("the widest blocks have the geometry of the space") {
  const auto& space = ofa_w1_2::description;
  CHECK(widest_block(space, 0).kind == block_kind::separable);
  const block b = widest_block(space, 13); // first block of stage 4
  CHECK(b.in_channels == 96);
  CHECK(b.mid_channels == 576);
  CHECK(b.out_channels == 136);
  CHECK(b.stride == 1);
  CHECK_FALSE(b.residual);
  CHECK(b.se_channels == 144);
  CHECK(widest_block(space, 14).residual);
  CHECK(widest_block(space, 14).se_channels == 208); // not 816 / 4: make_divisible
}

} // namespace dynofa_test::model_supernet
