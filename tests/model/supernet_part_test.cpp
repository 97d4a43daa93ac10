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
    for (const block& b : make_plan(net->space, random_arch(net->space, random)).blocks)
      CHECK(whole.holds(net->layout, b));
}

TEST_CASE("a part is the least that holds each of its plans") {
  const auto net = support::tiny_supernet();
  const supernet_part whole = supernet_part::all(*net);
  random_stream random(2, "supernet_part");
  for (int i = 0; i < 20; ++i) {
    std::vector<plan> plans;
    for (int n = 0; n < 3; ++n) plans.push_back(make_plan(net->space, random_arch(net->space, random)));
    const supernet_part part = supernet_part::of(*net, plans);
    REQUIRE(part.weights.size() == whole.weights.size());
    // every figure is that of some plan, so none could be less
    std::vector<weight_extent> wanted(part.weights.size());
    for (std::size_t n = 0; n < wanted.size(); ++n) wanted[n].pitch = whole.weights[n].pitch;
    const auto most = [&](const block& b, weight_role role, int rows, int columns) {
      const auto n = net->layout.find(b, role);
      REQUIRE(n.has_value());
      wanted[*n].rows = std::max(wanted[*n].rows, rows), wanted[*n].columns = std::max(wanted[*n].columns, columns);
    };
    using enum weight_role;
    for (const plan& p : plans)
      for (const block& b : p.blocks) {
        const int in = b.in_channels, mid = b.mid_channels, out = b.out_channels, hidden = b.se_channels;
        if (b.kind == block_kind::inverted_residual) most(b, expand, mid, in);
        if (mid > 0) most(b, depthwise, mid, b.kernel * b.kernel);
        if (hidden > 0) most(b, se_reduce, hidden, mid), most(b, se_expand, mid, hidden);
        if (hidden > 0) most(b, se_reduce_bias, hidden, 1), most(b, se_expand_bias, mid, 1);
        most(b, output, out, mid > 0 ? mid : b.kind == block_kind::stem ? 27 : in);
        if (b.kind == block_kind::classifier) most(b, output_bias, out, 1);
      }
    for (std::size_t n = 0; n < wanted.size(); ++n) CHECK(part.weights[n] == wanted[n]);
    for (const plan& p : plans)
      for (const block& b : p.blocks) CHECK(part.holds(net->layout, b));
  }
}

TEST_CASE("what no plan reads is not held") {
  const auto net = support::tiny_supernet();
  arch a = smallest(net->space);
  const plan small = make_plan(net->space, a);
  const supernet_part part = supernet_part::of(*net, std::span(&small, 1));
  const auto held = [&](const arch& other) {
    const plan p = make_plan(net->space, other);
    return std::all_of(p.blocks.begin(), p.blocks.end(), [&](const block& b) { return part.holds(net->layout, b); });
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

TEST_CASE("ResNet: a width, a depth and a ratio each ask for more than the smallest holds") {
  const auto net = support::tiny_resnet();
  const arch a = smallest(net->space);
  const plan small = make_plan(net->space, a);
  const supernet_part part = supernet_part::of(*net, std::span(&small, 1));
  const auto held = [&](auto change) {
    arch other = a;
    change(other);
    const plan p = make_plan(net->space, other);
    return std::all_of(p.blocks.begin(), p.blocks.end(), [&](const block& b) { return part.holds(net->layout, b); });
  };
  CHECK(held([](arch&) {}));
  for (std::size_t w = 1; w < 6; ++w) CHECK_FALSE(held([w](arch& x) { x.w[w] = 2; }));
  CHECK(held([](arch& x) { x.e[2] = decimal(0.35); })); // of a block that does not run
  CHECK_FALSE(held([](arch& x) { x.e[5] = decimal(0.35); }));
  CHECK_FALSE(held([](arch& x) { x.d[0] = 2; }));
  CHECK_FALSE(held([](arch& x) { x.d[3] = 1; }));
}

} // namespace dynofa_test::model_supernet_part
