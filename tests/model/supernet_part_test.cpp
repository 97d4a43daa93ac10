#include "dynofa/model/supernet_part.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::model_supernet_part {

using namespace dynofa;

TEST_CASE("the whole super-network holds every sub-network") {
  const auto net = support::tiny_supernet();
  const supernet_part whole = supernet_part::all(*net);
  random_stream random(1, "supernet_part");
  for (int i = 0; i < 50; ++i)
    for (const block& b : make_plan(net->space, random_arch(net->space, random)).blocks) CHECK(whole.holds(b));
}

TEST_CASE("a part is the least that holds each of its plans") {
  const auto net = support::tiny_supernet();
  const supernet_part whole = supernet_part::all(*net);
  random_stream random(2, "supernet_part");
  for (int i = 0; i < 20; ++i) {
    std::vector<plan> plans;
    for (int n = 0; n < 3; ++n) plans.push_back(make_plan(net->space, random_arch(net->space, random)));
    const supernet_part part = supernet_part::of(*net, plans);
    REQUIRE(part.blocks.size() == whole.blocks.size());
    // every figure is that of some plan, so none could be less
    for (std::size_t n = 0; n < part.blocks.size(); ++n) {
      supernet_part::block_part wanted;
      for (const plan& p : plans)
        for (const block& b : p.blocks)
          if (b.mid_channels > 0 && b.supernet_index == static_cast<int>(n)) {
            wanted.mid_channels = std::max(wanted.mid_channels, b.mid_channels);
            wanted.se_channels = std::max(wanted.se_channels, b.se_channels);
            auto& taps = wanted.depthwise[b.kernel == 3 ? 0 : b.kernel == 5 ? 1 : 2];
            taps = std::max(taps, b.mid_channels);
          }
      CHECK(part.blocks[n] == wanted);
      CHECK(wanted.mid_channels <= whole.blocks[n].mid_channels);
    }
    for (const plan& p : plans)
      for (const block& b : p.blocks) CHECK(part.holds(b));
  }
}

TEST_CASE("what no plan reads is not held") {
  const auto net = support::tiny_supernet();
  arch a = smallest(net->space);
  const plan small = make_plan(net->space, a);
  const supernet_part part = supernet_part::of(*net, std::span(&small, 1));
  const auto held = [&](const arch& other) {
    const plan p = make_plan(net->space, other);
    return std::all_of(p.blocks.begin(), p.blocks.end(), [&](const block& b) { return part.holds(b); });
  };
  CHECK(held(a));
  arch larger = a;
  larger.r = net->space.resolutions.back(); // asks for no weights
  CHECK(held(larger));
  arch wider = a, deeper = a, kernel = a;
  wider.e[0] = 4, deeper.d[1] = 3, kernel.ks[4] = 5;
  CHECK_FALSE(held(wider));
  CHECK_FALSE(held(deeper));
  CHECK_FALSE(held(kernel));
}

TEST_CASE("plans of another space are refused") {
  const plan other = make_plan(ofa_w1_2::description, smallest(ofa_w1_2::description));
  CHECK(support::sentence([&] { supernet_part::of(*support::tiny_supernet(), std::span(&other, 1)); }) ==
        text("part of a super-network: expected plans of its space, got one of another, ", other.arch));
}

} // namespace dynofa_test::model_supernet_part
