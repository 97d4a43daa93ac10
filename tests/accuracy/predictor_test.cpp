#include "dynofa/accuracy/model.hpp"
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/accuracy/smooth_features.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <fstream>
#include <limits>
#include <set>

namespace dynofa_test::accuracy_predictor_test {

using namespace dynofa;
using support::sentence;

namespace {

predictor_network random_network(std::size_t inputs, const std::vector<std::size_t>& widths, std::uint64_t seed) {
  random_stream random(seed, "network");
  predictor_network network;
  for (const std::size_t outs : widths) {
    predictor_layer layer;
    for (std::size_t i = 0; i < inputs * outs; ++i)
      layer.weight.push_back(static_cast<float>(random.normal() / std::sqrt(double(inputs))));
    for (std::size_t i = 0; i < outs; ++i) layer.bias.push_back(static_cast<float>(0.1 * random.normal()));
    inputs = outs;
    network.push_back(std::move(layer));
  }
  return network;
}

/// Plain loops in double.
double run_by_hand(const predictor_network& network, const feature_layout& layout, const arch& a) {
  std::vector<double> in(layout.size());
  for (auto one : layout(a)) in[static_cast<std::size_t>(one)] = 1;
  for (std::size_t l = 0; l < network.size(); ++l) {
    std::vector<double> out(network[l].bias.begin(), network[l].bias.end());
    for (std::size_t o = 0; o < out.size(); ++o) {
      for (std::size_t i = 0; i < in.size(); ++i) out[o] += double(network[l].weight[o * in.size() + i]) * in[i];
      if (l + 1 < network.size()) out[o] = std::max(out[o], 0.0);
    }
    in = std::move(out);
  }
  return in[0];
}

const space_description space = support::tiny_space::description;

} // namespace

TEST_CASE("features of the official predictor and of a space") {
  space_description published = space;
  published.resolutions = {160, 164, 176, 224};
  const auto official = feature_layout::official(published);
  arch a = smallest(published);
  CHECK(official.size() == 128);
  CHECK(official(a).size() == 21); // 10 blocks, twice, and a resolution
  CHECK(official(a).front() == 0);
  CHECK(official(a).back() == 123);
  a.r = 164;
  CHECK(official(a).back() == 123); // a bin of 16
  a = largest(published);
  CHECK(official(a).front() == 2);
  CHECK(official(a).size() == 41);
  CHECK(official(a).back() == 127);
  CHECK(sentence([] { feature_layout::official(space); }) ==
        "features of the official predictor: expected resolutions in 112..239, got 32");

  const auto own = feature_layout::of_space(space);
  CHECK(own.size() == 123);
  a.r = 48;
  CHECK(own(a).back() == 121);
  arch b = a;
  b.d[4] = 2, b.ks[19] = 3;
  CHECK(own(b).size() == 37);
  a.r = 50;
  CHECK_THROWS_AS(own(a), error);
  a = largest(space);
  a.ks[0] = 4;
  CHECK_NOTHROW(own(largest(space)));
  a.e[0] = 5;
  CHECK_THROWS_AS(own(a), error);
}

TEST_CASE("features of ProxylessNAS, whose last depth files leave out") {
  const space_description proxyless = support::tiny_proxyless()->space;
  const auto layout = feature_layout::of_space(proxyless);
  CHECK(layout.size() == 21 * 3 + 21 * 3 + 3);
  CHECK(layout(smallest(proxyless)).size() == 2 * 11 + 1);
  CHECK(layout(largest(proxyless)).size() == 2 * 21 + 1);
  const smooth_features smooth(proxyless);
  CHECK(smooth.size() == 3 * 21 + 3);
  random_stream random(3, "archs");
  for (int i = 0; i < 50; ++i) {
    arch a = random_arch(proxyless, random), other = a;
    const auto ones = layout(a);
    std::vector<float> numbers(smooth.size()), again(smooth.size());
    smooth(a, numbers);
    CHECK(std::is_sorted(ones.begin(), ones.begin() + static_cast<std::ptrdiff_t>(ones.size() / 2)));
    other.ks[20] = a.ks[20] == 3 ? 5 : 3; // the sixth stage's block always runs
    CHECK_FALSE(layout(other) == ones);
    a.d.resize(5);
    CHECK(layout(a) == ones);
    smooth(a, again);
    CHECK(numbers == again);
    a.d.resize(4);
    CHECK_THROWS_AS(layout(a), error);
  }
  CHECK(sentence([&] { feature_layout::official(proxyless); }) ==
        "features of the official predictor: expected 5 stages of 4 blocks, got 6 of 4");
}

TEST_CASE("predictions are those of plain loops, whatever the widths and the batch") {
  const auto layout = feature_layout::of_space(space);
  random_stream random(1, "archs");
  std::vector<arch> archs;
  for (int i = 0; i < 131; ++i) archs.push_back(random_arch(space, random));
  for (const auto& widths : std::vector<std::vector<std::size_t>>{{1, 1}, {7, 1}, {16, 33, 1}, {80, 81, 5, 1}}) {
    const std::vector members{random_network(layout.size(), widths, 1), random_network(layout.size(), widths, 2)};
    const accuracy_predictor predictor(space, layout, members);
    std::vector<double> values(archs.size()), spread(archs.size());
    predictor.predict(archs, values, spread);
    for (std::size_t i = 0; i < archs.size(); ++i) {
      const double first = run_by_hand(members[0], layout, archs[i]),
                   second = run_by_hand(members[1], layout, archs[i]);
      CHECK(values[i] == doctest::Approx((first + second) / 2).epsilon(1e-5));
      CHECK(spread[i] == doctest::Approx(std::abs(first - second) / 2).epsilon(1e-3));
      CHECK(predictor(archs[i]) == values[i]);
    }
  }
}

TEST_CASE("every instruction set gives the same layer") {
  const std::size_t in = 37, out = 21, rows = 13;
  random_stream random(2, "layer");
  std::vector<float> weights(in * out), bias(out), x(in * rows);
  for (auto* v : {&weights, &bias, &x})
    for (float& f : *v) f = static_cast<float>(random.normal());
  const detail::dense_layer layer(weights, bias, true);
  std::vector<float> y(layer.width() * rows);
  layer(x.data(), in, rows, y.data());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < out; ++o) {
      double wanted = bias[o];
      for (std::size_t i = 0; i < in; ++i) wanted += double(weights[o * in + i]) * x[r * in + i];
      CHECK(y[r * layer.width() + o] == doctest::Approx(std::max(wanted, 0.0)).epsilon(1e-4));
    }
    for (std::size_t o = out; o < layer.width(); ++o) CHECK(y[r * layer.width() + o] == 0);
  }
}

TEST_CASE("files: what was saved is what is loaded, and nothing else is") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "p.safetensors";
  const auto layout = feature_layout::of_space(space);
  const accuracy_predictor predictor(space, layout, {random_network(layout.size(), {9, 4, 1}, 3)});
  save_predictor(path, predictor);
  CHECK(load_predictor(path)(largest(space)) == predictor(largest(space)));
  CHECK_FALSE(load_predictor(path).is_official());
  CHECK(sentence([&] { load_official_predictor(path, space); }).find("expected a tensor 0.weight, got none") !=
        std::string::npos);

  safetensors_file file = read_safetensors(path);
  auto metadata = file.metadata;
  metadata.erase("space");
  write_safetensors(path, file.tensors, metadata);
  CHECK(sentence([&] { load_predictor(path); }) == text(path.string(), ": expected metadata space, got none"));
  metadata = file.metadata;
  metadata["format"] = "dynofa accuracy predictor 2";
  write_safetensors(path, file.tensors, metadata);
  CHECK(sentence([&] { load_predictor(path); }).find("expected format dynofa accuracy predictor 1") !=
        std::string::npos);
  state_dict fewer = file.tensors;
  fewer.erase("member.0.layer.0.bias");
  write_safetensors(path, fewer, file.metadata);
  CHECK_THROWS_AS(load_predictor(path), error);
  fewer = file.tensors;
  fewer.erase("member.0.layer.1.bias"), fewer.erase("member.0.layer.1.weight");
  write_safetensors(path, fewer, file.metadata);
  CHECK_THROWS_AS(load_predictor(path), error);
}

TEST_CASE("networks that do not fit are refused") {
  const auto layout = feature_layout::of_space(space);
  const auto make = [&](predictor_network n) {
    return sentence([&] { accuracy_predictor(space, layout, {std::move(n)}); });
  };
  CHECK(make({}) == "accuracy predictor: expected at least 2 layers, got 0");
  CHECK(make(random_network(122, {4, 1}, 1)).starts_with("accuracy predictor: expected layers of 123 inputs"));
  CHECK(make(random_network(123, {4, 2}, 1)) == "accuracy predictor: expected one output, got 2");
  CHECK(sentence([&] { accuracy_predictor(space, layout, {}); }) ==
        "accuracy predictor: expected at least one network, got none");
  auto broken = random_network(123, {4, 1}, 1);
  broken[0].weight[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(make(broken) == "accuracy predictor: expected finite weights and biases, got NaN in a layer of 4 outputs");
}

TEST_CASE("a plain function is an accuracy model") {
  const auto depth_sum = [](const arch& a) { return double(a.d[0]); };
  static_assert(accuracy_model<decltype(depth_sum)> && !batch_accuracy_model<decltype(depth_sum)>);
  static_assert(batch_accuracy_model<accuracy_predictor>);
  const std::vector archs{smallest(space), largest(space)};
  std::vector<double> values(2);
  predict_all(depth_sum, std::span<const arch>(archs), std::span<double>(values));
  CHECK(values == std::vector<double>{2, 4});
}

namespace {
/// Weights that another program makes alike: uniform in ± scale / 2.
std::vector<float> made_up(std::uint32_t seed, std::size_t n, double scale) {
  std::vector<float> values;
  for (std::uint32_t i = 0; i < n; ++i) {
    std::uint32_t z = (i + 1) * 2654435761u + seed * 40503u;
    z = (z ^ z >> 15) * 2246822519u;
    z ^= z >> 13;
    values.push_back(static_cast<float>((z / 4294967296.0 - 0.5) * scale));
  }
  return values;
}
} // namespace

TEST_CASE("the official predictor of ResNet: inputs and values as another program worked them out") {
  const auto recorded = nlohmann::json::parse(std::ifstream(DYNOFA_SOURCE_DIR "/tests/golden/resnet_predictor.json"));
  space_description resnet = ofa_resnet50_space::description;
  resnet.resolutions = {128, 144, 160, 176, 192, 224, 240, 256};
  state_dict tensors;
  constexpr std::int64_t hidden = 24, sizes[] = {82, hidden, hidden, hidden, 1};
  for (std::uint32_t l = 0; l < 4; ++l) {
    const std::string name = text("layers.", l, l < 3 ? ".0" : "");
    const auto in = sizes[l], out = sizes[l + 1];
    tensors[name + ".weight"] = tensor::of_floats(made_up(l, static_cast<std::size_t>(in * out), 1), {out, in});
    if (l < 3) tensors[name + ".bias"] = tensor::of_floats(made_up(100 + l, static_cast<std::size_t>(out), 0.5), {out});
  }
  tensors["base_acc"] = tensor::of_floats(std::vector<float>{0.75f}, {1});
  const support::scratch_folder folder;
  const auto path = folder.path() / "p.safetensors";
  write_safetensors(path, tensors);
  const accuracy_predictor predictor = load_official_predictor(path, resnet);
  CHECK(predictor.layout().size() == 82);
  for (const auto& one : recorded.at("cases")) {
    const arch a = conform(resnet, read_arch(one.at("arch")));
    const auto ours = predictor.layout()(a);
    CHECK(std::set<int>(ours.begin(), ours.end()) == one.at("ones").get<std::set<int>>());
    CHECK(predictor(a) == doctest::Approx(one.at("made_up").get<double>()).epsilon(1e-5));
    CHECK(predictor(read_arch(one.at("arch"))) == predictor(a)); // as files have it
  }
  save_predictor(folder.path() / "saved.safetensors", predictor);
  CHECK(load_predictor(folder.path() / "saved.safetensors")(largest(resnet)) == predictor(largest(resnet)));
  auto lacking = tensors;
  lacking.erase("base_acc");
  write_safetensors(path, lacking);
  CHECK(sentence([&] { load_official_predictor(path, resnet); }).ends_with("expected a tensor base_acc, got none"));
}

TEST_CASE("the official predictors refuse spaces that they do not describe") {
  const auto said = [](auto change) {
    space_description s = ofa_resnet50_space::description;
    change(s);
    return sentence([&] { feature_layout::official(s); });
  };
  CHECK(said([](auto&) {}) == "(no error)");
  CHECK(
      said([](auto& s) { s.resolutions = {208}; }) ==
      "features of the official predictor: expected resolutions of 128, 144, 160, 176, 192, 224, 240 and 256, got 208");
  CHECK(said([](auto& s) { s.widths = {0.5, 1}; }).find("widths of 0.65, 0.8 and 1") != std::string::npos);
  CHECK(said([](auto& s) { s.one_width = true; }).find("widths of 0.65, 0.8 and 1") != std::string::npos);
  CHECK(said([](auto& s) {
          s.stages[2].expands = {0.2, 0.3};
        }) == "features of the official predictor: expected expand ratios of 0.2, 0.25 and 0.35, got 0.3");
  CHECK(sentence([] {
          feature_layout::official(support::tiny_slimmable_space::description);
        }).starts_with("features of the official predictor: expected 5 stages of 4 blocks"));
}

TEST_CASE("a space's own features: widths and the stem's depth have inputs of their own") {
  const space_description& resnet = support::tiny_resnet_space::description;
  const auto layout = feature_layout::of_space(resnet);
  CHECK(layout.size() == 18 + 3 * 18 + 3 + 3 * 6 + 2);
  const arch a = smallest(resnet);
  CHECK(layout(a).size() == 10 + 10 + 1 + 6 + 1);
  std::set<decltype(layout(a))> seen{layout(a)};
  for (const gene& g : resnet.genes()) { // every gene that counts shows
    if (g.kind == gene_kind::kernel || !a.active(g)) continue;
    arch other = a;
    other.set(g, resnet.offer(g, resnet.offer_count(g) - 1));
    CHECK(seen.insert(layout(other)).second);
  }
  arch inactive = a;
  inactive.e[2] = decimal(0.35);
  CHECK(layout(inactive) == layout(a));
}

TEST_CASE("weights that decayed to nothing count as nothing, and are kept as they are") {
  const auto layout = feature_layout::of_space(space);
  predictor_network network = random_network(layout.size(), {20, 20, 1}, 8), decayed = network;
  for (std::size_t l = 0; l < 3; ++l)
    for (std::size_t i = 0; i < network[l].weight.size(); i += 2)
      network[l].weight[i] = 0, decayed[l].weight[i] = i % 4 == 0 ? 1e-31f : 1e-42f; // the latter is subnormal
  const accuracy_predictor a(space, layout, {network}), b(space, layout, {decayed});
  random_stream random(8, "decay");
  for (int i = 0; i < 50; ++i) {
    const arch one = random_arch(space, random);
    CHECK(a(one) == b(one));
    CHECK(b(one) == doctest::Approx(run_by_hand(decayed, layout, one)).epsilon(1e-5));
  }
  CHECK(b.members()[0][1].weight == decayed[1].weight);
}

} // namespace dynofa_test::accuracy_predictor_test
