#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/model/channel_plan.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "../../benchmarks/slimmable.hpp"
#include "support/sentence.hpp"
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

namespace dynofa_test::model_channel_plan {

using namespace dynofa;
using support::sentence;

namespace {

/// A small one: channels differ from block to block.
using small_space = search_space<mobilenet_v2, width<0.5>, classes<10>, resolution<32>>;
const std::vector<int> small_channels = {8,  8,  24, 16, 40, 16, 48, 8,  40, 8,  32, 8,  72, 24, 96,  24, 80, 24,
                                         88, 24, 96, 32, 64, 32, 72, 32, 64, 56, 72, 56, 80, 56, 200, 96, 320};

/// The same network as a space of its own with a single choice per block, ratios to three places.
space_description described(const space_description& space, const plan& p, arch& a) {
  space_description d = space;
  d.stem_width = p.blocks[0].out_channels, d.first_width = p.blocks[1].out_channels;
  a = largest(space);
  for (const block& b : p.blocks) {
    if (b.kind == block_kind::final_expand) d.mix_width = b.out_channels;
    if (b.gene < 0) continue;
    const auto gene = static_cast<std::size_t>(b.gene);
    a.e[gene] = decimal::exactly(std::round(1000.0 * b.mid_channels / b.in_channels) / 1000).value();
    auto& stage = d.stages[space.stage_of(gene)];
    stage.width = b.out_channels;
    if (gene == space.first_block(space.stage_of(gene))) stage.expands = {};
    stage.expands.insert(a.e[gene]);
  }
  return d;
}

} // namespace

TEST_CASE("MACs of the published slimmable networks") {
  const auto data = nlohmann::json::parse(std::ifstream(DYNOFA_SOURCE_DIR "/benchmarks/slimmable.json"));
  int by_channels = 0, by_width = 0;
  bench::for_each_slimmable(data.at("networks"), [&]<class Space>(const bench::slimmable_network& one) {
    CAPTURE(one.system);
    CAPTURE(one.mmacs);
    if (!one.channels.empty()) {
      const plan p = make_channel_plan(Space::description, one.channels, one.arch.r);
      CHECK(std::abs(double(p.macs()) / 1e6 - one.mmacs) < 0.5);
      ++by_channels;
      return;
    }
    const double ours = double(make_plan(Space::description, one.arch).macs()) / 1e6;
    // These papers cut the decimals off as often as they round.
    CHECK(ours - one.mmacs > -0.5);
    CHECK(ours - one.mmacs < 1);
    ++by_width;
  });
  CHECK(by_channels == 6);
  CHECK(by_width == 15 + 8 + 4);
}

TEST_CASE("one width narrows all but the last convolution") {
  const space_description& space = bench::width_by_tenths::description;
  const plan p = make_plan(space, bench::arch_of_width(space, 0.35, 224));
  CHECK(p.blocks[0].out_channels == 16); // 11.2: 8 would be more than 10 % below
  CHECK(p.blocks[1].out_channels == 8);
  CHECK(p.blocks[2].mid_channels == 48);
  CHECK(p.blocks[2].out_channels == 8);
  CHECK(p.blocks[p.blocks.size() - 2].out_channels == 1280);
  CHECK(p.blocks[3].residual);
}

TEST_CASE("a network of free channels is a prefix of its super-network, as one described on its own") {
  const space_description& space = small_space::description;
  const auto net = std::make_shared<const supernet>(random_supernet(space, 3));
  const plan p = make_channel_plan(space, small_channels, 32);
  arch a;
  const space_description own = described(space, p, a);
  const auto alone = std::make_shared<const supernet>(make_extracted(own, a, extract(*net, p)));
  const plan q = make_plan(own, a);
  REQUIRE(p.blocks.size() == q.blocks.size());
  CHECK(p.macs() == q.macs());
  REQUIRE(p.norm_values() == q.norm_values());
  for (std::size_t i = 0; i < p.norms.size(); ++i) CHECK(p.norms[i].offset == q.norms[i].offset);

  random_stream random(4, "image");
  std::vector<float> image(p.image_values()), ours(10), theirs(10), other(10);
  for (float& v : image) v = static_cast<float>(random.normal());
  session<backend::reference> runner({}, net), lone({}, alone);
  const scale_shift norms = fold(*net, p, stored_statistics(*net, p));
  auto level = runner.bind(p, norms);
  auto single = lone.bind(q, fold(*alone, q, stored_statistics(*alone, q)));
  // weight and bias of the batch norms may be each level's own: they are in its scale and shift
  scale_shift own_norms = norms;
  for (float& v : own_norms.shift) v += 0.5f;
  auto second = runner.bind(p, own_norms);
  runner.prepare(), lone.prepare();
  runner.run(level, image, ours), lone.run(single, image, theirs), runner.run(second, image, other);
  CHECK(ours == theirs);
  CHECK(ours != other);
}

TEST_CASE("channels that a super-network does not have are refused") {
  const space_description& space = small_space::description;
  const auto said = [&](auto change) {
    std::vector<int> channels = small_channels;
    change(channels);
    return sentence([&] { make_channel_plan(space, channels, 32); });
  };
  CHECK(said([](auto&) {}) == "(no error)");
  CHECK(said([](auto& c) { c.pop_back(); }) == "channels of a sub-network: expected 35 numbers, got 34");
  CHECK(said([](auto& c) { c[0] = 12; }) ==
        "channels of a sub-network[0]: expected a multiple of 8, at most 16, got 12");
  CHECK(said([](auto& c) { c[0] = 24; }) ==
        "channels of a sub-network[0]: expected a multiple of 8, at most 16, got 24");
  CHECK(said([](auto& c) { c[0] = 0; }) == "channels of a sub-network[0]: expected a multiple of 8, at most 16, got 0");
  CHECK(said([](auto& c) { c[5] = 8; }) ==
        "channels of a sub-network[5]: expected 16, as before the block, since its input is added, got 8");
  CHECK(sentence([] { make_channel_plan(ofa_resnet50_space::description, small_channels, 32); }) ==
        "channels of a sub-network: expected a space of inverted residuals, got one of ResNet's blocks");
}

} // namespace dynofa_test::model_channel_plan
