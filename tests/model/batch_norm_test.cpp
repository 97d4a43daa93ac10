#include "dynofa/model/batch_norm.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::model_batch_norm {

using namespace dynofa;

TEST_CASE("scale and shift are those of batch normalisation") {
  const supernet_ptr net = support::tiny_supernet();
  const plan p = make_plan(net->space, smallest(net->space));
  const bn_statistics s = stored_statistics(*net, p);
  CHECK(s == stored_statistics(*net, p.arch));
  const scale_shift f = fold(*net, p, s);
  REQUIRE(f.scale.size() == static_cast<std::size_t>(p.norm_values()));
  // channel 3 of the depthwise norm of the extracted block 4 (plan block 5)
  const auto at = static_cast<std::size_t>(p.norms[static_cast<std::size_t>(p.first_norm(5) + 1)].offset + 3);
  const norm_parameters& n = net->norm(p.blocks[5], 1);
  const double scale = n.weight[3] / std::sqrt(static_cast<double>(n.var[3]) + 1e-5);
  CHECK(f.scale[at] == doctest::Approx(scale));
  CHECK(f.shift[at] == doctest::Approx(n.bias[3] - n.mean[3] * scale));
}

TEST_CASE("statistics of another architecture are refused") {
  const supernet_ptr net = support::tiny_supernet();
  const plan small = make_plan(net->space, smallest(net->space)), large = make_plan(net->space, largest(net->space));
  const auto said = support::sentence([&] { fold(*net, small, stored_statistics(*net, large)); });
  CHECK(
      said.starts_with(text("batch-norm statistics: expected ", small.norm_values(), " channels for r32 d 2 2 2 2 2")));
}

TEST_CASE("norms are named as in the extracted network") {
  const plan p = make_plan(support::tiny_space::description, smallest(support::tiny_space::description));
  CHECK(norm_name(p, 0, 0) == "first_conv.bn");
  CHECK(norm_name(p, 1, 0) == "blocks.0.conv.depth_conv.bn");
  CHECK(norm_name(p, 1, 1) == "blocks.0.conv.point_linear.bn");
  CHECK(norm_name(p, 2, 0) == "blocks.1.conv.inverted_bottleneck.bn");
  CHECK(norm_name(p, 2, 2) == "blocks.1.conv.point_linear.bn");
  CHECK(norm_name(p, p.blocks.size() - 3, 0) == "final_expand_layer.bn");
}

} // namespace dynofa_test::model_batch_norm
