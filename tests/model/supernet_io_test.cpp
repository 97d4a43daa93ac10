#include "dynofa/model/supernet_io.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <bit>
#include <limits>

namespace dynofa_test::model_supernet_io {

using namespace dynofa;
using support::sentence;

namespace {
const space_description& space = support::tiny_space::description;
state_dict tensors() { return random_checkpoint(space, 7); }
} // namespace

TEST_CASE("each fault of a checkpoint is one sentence with key and shapes") {
  CHECK(sentence([] {
          auto t = tensors();
          t.erase("blocks.3.conv.depth_conv.conv.conv.weight");
          make_supernet(space, t);
        }) == "checkpoint: expected tensor blocks.3.conv.depth_conv.conv.conv.weight [48, 1, 7, 7], got no such key");
  CHECK(sentence([] {
          auto t = tensors();
          t["classifier.linear.bias"] = tensor::of_floats(std::vector<float>(12), {12});
          make_supernet(space, t);
        }) == "checkpoint tensor classifier.linear.bias: expected [10], got [12]");
  CHECK(sentence([] {
          auto t = tensors();
          t["blocks.99.conv.weight"] = tensor::of_floats(std::vector<float>(4), {2, 2});
          make_supernet(space, t);
        }) == "checkpoint: expected only tensors of this search space, got also \"blocks.99.conv.weight\" [2, 2]");
  CHECK(sentence([] {
          auto t = tensors();
          const std::vector<std::int64_t> integers(10);
          t["classifier.linear.bias"] = tensor::of(std::span(integers), {10}, dtype::i64);
          make_supernet(space, t);
        }) == "checkpoint tensor classifier.linear.bias: expected a floating-point type, got I64");
  CHECK(sentence([] {
          auto t = tensors();
          t["first_conv.bn.running_var"] = tensor::of_floats(std::vector<float>(8, -1.0f), {8});
          make_supernet(space, t);
        }) == "checkpoint tensor first_conv.bn.running_var: expected values ≥ 0, got -1 at [0]");
  CHECK(sentence([] {
          auto t = tensors();
          t.erase("blocks.7.conv.depth_conv.conv.5to3_matrix");
          make_supernet(space, t);
        }).starts_with("checkpoint: expected tensor blocks.7.conv.depth_conv.conv.5to3_matrix [9, 9]"));
}

TEST_CASE("a value that is infinite or NaN is refused with key and index, wherever it stands") {
  const float nan = std::bit_cast<float>(0xFFC00001u), infinity = std::numeric_limits<float>::infinity();
  const auto broken = [](const state_dict& whole, const std::string& key, std::size_t at, float value) {
    auto t = whole;
    auto values = t.at(key).to_floats();
    values.at(at) = value;
    t[key] = tensor::of_floats(values, t.at(key).shape);
    return t;
  };
  const state_dict whole = tensors();
  const auto said = [&](const std::string& key, std::size_t at, float value) {
    return sentence([&] { make_supernet(space, broken(whole, key, at, value)); });
  };
  CHECK(said("blocks.3.conv.depth_conv.conv.conv.weight", 60, nan) ==
        "checkpoint tensor blocks.3.conv.depth_conv.conv.conv.weight: expected finite values, got NaN at [1, 0, 1, 4]");
  CHECK(said("first_conv.bn.running_var", 5, infinity) ==
        "checkpoint tensor first_conv.bn.running_var: expected finite values, got inf at [5]");
  CHECK(said("classifier.linear.weight", 257, -infinity) ==
        "checkpoint tensor classifier.linear.weight: expected finite values, got -inf at [1, 1]");
  for (const auto& [name, t] : whole)
    if (t.type == dtype::f32) {
      const std::string key = name; // clang 14 captures no structured binding
      CAPTURE(key);
      CHECK(
          said(key, static_cast<std::size_t>(t.size() - 1), nan).find(key + ": expected finite values, got NaN at [") !=
          std::string::npos);
    }
  // a double beyond the range of a float, and finite kernels whose transform is not
  auto wide = whole;
  const std::vector<double> huge(10, 1e300);
  wide["classifier.linear.bias"] = tensor::of(std::span(huge), {10}, dtype::f64);
  CHECK(sentence([&] { make_supernet(space, wide); }) ==
        "checkpoint tensor classifier.linear.bias: expected finite values, got inf at [0]");
  auto steep = broken(whole, "blocks.3.conv.depth_conv.conv.7to5_matrix", 0, 3e38f);
  steep = broken(steep, "blocks.3.conv.depth_conv.conv.conv.weight", 8, 1e10f);
  CHECK(sentence([&] { make_supernet(space, steep); })
            .starts_with("checkpoint tensor blocks.3.conv.depth_conv.conv.7to5_matrix applied: expected finite values, "
                         "got inf at [0, 0, 0]"));

  const supernet net = make_supernet(space, whole);
  const plan p = make_plan(space, smallest(space));
  const state_dict sub = extract(net, p);
  CHECK(sentence([&] {
          make_extracted(space, p.arch, broken(sub, "blocks.3.conv.point_linear.bn.running_mean", 2, nan));
        }) == "checkpoint tensor blocks.3.conv.point_linear.bn.running_mean: expected finite values, got NaN at [2]");
}

TEST_CASE("a network trained without kernel transformation uses the plain centre") {
  auto t = tensors();
  std::erase_if(t, [](const auto& item) { return item.first.ends_with("_matrix"); });
  const supernet net = make_supernet(space, t);
  const auto taps = [&](int k) -> const std::vector<float>& {
    block b = net.layout.units[2];
    b.kernel = static_cast<std::uint8_t>(k);
    return net.array(b, weight_role::depthwise);
  };
  CHECK(taps(5)[0] == taps(7)[8]);
  CHECK(taps(3)[4] == taps(7)[24]);
}

TEST_CASE("an extracted sub-network is made of prefixes") {
  const supernet net = random_supernet(space, 7);
  const plan p = make_plan(space, smallest(space));
  const state_dict sub = extract(net, p);
  // Block 2 of the extracted network is block 2 of the super-network; block 3 is block 5: depth 2 skips two.
  const auto project = sub.at("blocks.3.conv.point_linear.conv.weight").to_floats();
  const block& unit = net.layout.units[6]; // block 5
  const auto& whole = net.array(unit, weight_role::output);
  REQUIRE(project.size() == 8 * 24);
  CHECK(project[0] == whole[0]);
  CHECK(project[24] == whole[static_cast<std::size_t>(unit.mid_channels)]); // row 1
  CHECK(sub.at("blocks.3.conv.depth_conv.conv.weight").shape == shape_type{24, 1, 3, 3});
  CHECK_FALSE(sub.contains("blocks.11.conv.depth_conv.conv.weight"));
}

} // namespace dynofa_test::model_supernet_io
