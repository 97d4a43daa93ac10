#include "dynofa/model/batch_norm.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <cmath>
#include <limits>

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

TEST_CASE("values that cannot be are refused with norm and channel, and so are scales beyond a float") {
  supernet net = *support::tiny_supernet();
  const plan p = make_plan(net.space, smallest(net.space));
  const bn_statistics whole = stored_statistics(net, p);
  const auto said = [&](std::size_t at, float mean, float var) {
    bn_statistics s = whole;
    s.mean[at] = mean, s.var[at] = var;
    return support::sentence([&] { fold(net, p, s); });
  };
  const float infinity = std::numeric_limits<float>::infinity();
  const auto last = whole.mean.size() - 1;
  const std::string expected = ": expected a finite mean, a finite variance of at least 0, got ";
  CHECK(said(3, std::nanf(""), 1) == "batch-norm statistics, first_conv.bn, channel 3" + expected + "NaN and 1");
  CHECK(said(last, 2, infinity) == text("batch-norm statistics, final_expand_layer.bn, channel ",
                                        p.norms.back().channels - 1, expected, "2 and inf"));
  CHECK(said(8, 0, -1) == "batch-norm statistics, blocks.0.conv.depth_conv.bn, channel 0" + expected + "0 and -1");
  // with depth 2 the sub-network's block 3 is block 5 of the super-network, by whose name it is told
  const auto later = static_cast<std::size_t>(p.norms[static_cast<std::size_t>(p.first_norm(4))].offset);
  CHECK(said(later, infinity, 1)
            .starts_with("batch-norm statistics, blocks.5.conv.inverted_bottleneck.bn.bn, channel 0" + expected));
  CHECK(said(3, 1e30f, 1e-10f) == "(no error)");
  net.norms[0].weight[3] = 3e38f;
  CHECK(said(3, 1, 1e-4f) ==
        "batch norm first_conv.bn, channel 3: expected a finite scale and shift, got inf and -inf");
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
