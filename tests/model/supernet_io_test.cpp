#include "dynofa/model/supernet_io.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
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

namespace {
const space_description& resnet = support::tiny_resnet_space::description;

/// The names of a published file: plain layers, as in an extracted network.
state_dict with_plain_names(const state_dict& wrapped) {
  state_dict plain;
  for (const auto& [name, t] : wrapped) {
    std::string key = name;
    for (const std::string twice : {".conv.conv.weight", ".bn.bn.", ".linear.linear."})
      if (const auto at = key.find(twice); at != key.npos) key.erase(at, twice.find('.', 1));
    plain[key] = t;
  }
  return plain;
}
} // namespace

TEST_CASE("ResNet: a checkpoint with wrapped layers and one with plain ones are the same network") {
  const state_dict wrapped = random_checkpoint(resnet, 5), plain = with_plain_names(wrapped);
  CHECK(plain.contains("blocks.4.downsample.conv.weight"));
  CHECK(plain.contains("input_stem.1.conv.conv.weight"));
  CHECK(plain.contains("classifier.linear.weight"));
  CHECK(plain.size() == wrapped.size());
  const supernet a = make_supernet(resnet, wrapped), b = make_supernet(resnet, plain);
  CHECK(a.hash() == b.hash());
  CHECK(a.hash() == random_supernet(resnet, 5).hash());
  for (std::size_t i = 0; i < a.norms.size(); ++i) CHECK(a.norms[i].var == b.norms[i].var);
  auto twice = wrapped;
  twice["blocks.4.downsample.conv.weight"] = plain.at("blocks.4.downsample.conv.weight");
  CHECK(sentence([&] {
          make_supernet(resnet, twice);
        }).starts_with("checkpoint: expected only tensors of this search space, got also \"blocks.4.downsample"));
  auto without = wrapped;
  without.erase("blocks.5.conv2.conv.conv.weight");
  CHECK(sentence([&] {
          make_supernet(resnet, without);
        }).starts_with("checkpoint: expected tensor blocks.5.conv2.conv.conv.weight ["));
}

TEST_CASE("ResNet: what is extracted is a prefix of every array, and reads back as the same sub-network") {
  const supernet net = random_supernet(resnet, 9);
  random_stream random(9, "resnet extract");
  for (int i = 0; i < 12; ++i) {
    const plan p = make_plan(resnet, random_arch(resnet, random));
    const state_dict sub = extract(net, p);
    std::int64_t learnable = 0;
    for (const auto& [key, t] : sub)
      if (t.type == dtype::f32 && !key.ends_with("running_mean") && !key.ends_with("running_var"))
        learnable += t.size();
    CHECK(learnable == p.parameters());
    const supernet read = make_extracted(resnet, p.arch, sub);
    CHECK(read.only == p.arch);
    for (const block& b : p.blocks) {
      supernet_part::for_each_array(net.layout, b, [&](std::size_t w, const weight_extent& e) {
        CHECK(dynofa::detail::prefix_of(read.weights[w], e) == dynofa::detail::prefix_of(net.weights[w], e));
      });
      for (int n = 0; n < b.norm_count(); ++n)
        for (int c = 0; c < b.norm_channels(n); ++c) {
          const auto at = static_cast<std::size_t>(c);
          REQUIRE(read.norm(b, n).weight[at] == net.norm(b, n).weight[at]);
          REQUIRE(read.norm(b, n).var[at] == net.norm(b, n).var[at]);
        }
    }
    const state_dict again = extract(read, p);
    for (const auto& [key, t] : sub) CHECK(std::ranges::equal(again.at(key).bytes, t.bytes));
  }
}

TEST_CASE("ResNet: the numbers of an extracted network have no gaps, those of a skipped stem convolution included") {
  const supernet net = random_supernet(resnet, 9);
  arch a = smallest(resnet);
  const state_dict sub = extract(net, make_plan(resnet, a));
  CHECK(sub.contains("input_stem.1.conv.weight")); // the super-network's input_stem.2
  CHECK_FALSE(sub.contains("input_stem.2.conv.weight"));
  CHECK(sub.at("input_stem.1.conv.weight").shape == shape_type{40, 24, 3, 3});
  CHECK(sub.at("blocks.0.downsample.conv.weight").shape == shape_type{24, 40, 1, 1});
  CHECK(sub.contains("blocks.9.conv3.bn.weight"));
  CHECK_FALSE(sub.contains("blocks.10.conv3.bn.weight"));
  CHECK(sub.at("classifier.linear.weight").shape == shape_type{10, 80});
  a.d[0] = 2;
  const state_dict deep = extract(net, make_plan(resnet, a));
  CHECK(deep.contains("input_stem.1.conv.conv.weight"));
  CHECK(deep.contains("input_stem.2.conv.weight"));
}

TEST_CASE("ResNet: altered names and shapes are refused in one sentence, plain names among wrapped ones are not") {
  const state_dict whole = random_checkpoint(resnet, 5);
  const std::uint64_t hash = make_supernet(resnet, whole).hash();
  random_stream random(5, "resnet names");
  std::size_t read = 0, refused = 0;
  for (int n = 0; n < 400; ++n) {
    state_dict altered = whole;
    auto at = altered.begin();
    std::advance(at, random.below(static_cast<std::uint32_t>(altered.size())));
    const bool counts = !at->first.ends_with("num_batches_tracked"),
               is_norm = at->first.find(".bn.bn.") != at->first.npos;
    const auto how = random.below(4);
    auto taken = altered.extract(at);
    if (how == 0) { // a plain name
      taken.key() = with_plain_names({{taken.key(), {}}}).begin()->first;
    } else if (how == 1) { // another letter
      taken.key()[random.below(static_cast<std::uint32_t>(taken.key().size()))] = '_';
    } else if (how == 2 && counts) { // another shape of as many values
      taken.mapped().shape.push_back(1);
    }
    const bool changed = !whole.contains(taken.key());
    if (how != 3) altered.insert(std::move(taken));
    std::uint64_t found = hash;
    const std::string said = sentence([&] { found = make_supernet(resnet, altered).hash(); });
    CAPTURE(said);
    CHECK(found == hash);
    CHECK(said.find('\n') == said.npos);
    // The parts of a batch norm have one style of names; counters of batches are not read, but known by their names.
    const bool good = how == 0 ? !is_norm : how == 1 ? !changed : !counts;
    CHECK((said == "(no error)") == good);
    (said == "(no error)" ? read : refused) += 1;
  }
  CHECK(read > 50);
  CHECK(refused > 50);
}

} // namespace dynofa_test::model_supernet_io
