#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace dynofa_test::space_search_space {

using namespace dynofa;

namespace {

template <class Values>
std::vector<int> list(const Values& values) {
  return {values.begin(), values.end()};
}
std::vector<int> widths(const space_description& space) {
  std::vector<int> out;
  for (const auto& stage : space.stages) out.push_back(stage.width);
  return out;
}

} // namespace

TEST_CASE("the published spaces have the published geometry") {
  constexpr const auto& w10 = ofa_w1_0::description;
  constexpr const auto& w12 = ofa_w1_2::description;
  CHECK(w10.stem_width == 16);
  CHECK(widths(w10) == std::vector{24, 40, 80, 112, 160});
  CHECK(w10.final_width == 960);
  CHECK(w10.mix_width == 1280);
  CHECK(w12.stem_width == 24);
  CHECK(widths(w12) == std::vector{32, 48, 96, 136, 192});
  CHECK(w12.final_width == 1152);
  CHECK(w12.mix_width == 1536);
  CHECK(w12.classes == 1000);
  CHECK(w12.width_multiplier == 1.2);
  CHECK(w12.bn_epsilon == 1e-5f);
  const bool se[] = {false, true, false, true, true};
  const int strides[] = {2, 2, 2, 1, 2};
  for (std::size_t s = 0; s < 5; ++s) {
    CHECK(w12.stages[s].squeeze_excite == se[s]);
    CHECK(w12.stages[s].stride == strides[s]);
    CHECK(w12.stages[s].act == (s < 2 ? activation::relu : activation::h_swish));
    CHECK(list(w12.stages[s].depths) == std::vector{2, 3, 4});
    CHECK(list(w12.stages[s].expands) == std::vector{3, 4, 6});
    CHECK(list(w12.stages[s].kernels) == std::vector{3, 5, 7});
  }
  CHECK(w10.resolutions.size() == 25);
  CHECK(w12.resolutions.size() == 17);
  CHECK(w12.resolutions.min() == 160);
  CHECK(w12.resolutions.max() == 224);
}

TEST_CASE("policies come in any order and offers are sorted") {
  using a = search_space<ofa_mobilenet_v3, depth<4, 2>, kernel<7, 3>, expand<6, 3>, resolution<64, 32>, width<0.5>>;
  using b = search_space<ofa_mobilenet_v3, width<0.5>, resolution<32, 64>, expand<3, 6>, kernel<3, 7>, depth<2, 4>>;
  CHECK(a::description == b::description);
  CHECK(list(a::description.resolutions) == std::vector{32, 64});
}

TEST_CASE("a policy given to the space replaces the network's own") {
  using s = search_space<ofa_mobilenet_v3, classes<10>, mix_width<640>, depth<2>, kernel<3>, expand<3>, resolution<32>>;
  CHECK(s::description.classes == 10);
  CHECK(s::description.mix_width == 640);
  CHECK(s::description.final_width == 960);
  CHECK(s::description.width_multiplier == 1.0);
  CHECK(s::cardinality == 1);
}

TEST_CASE("a network of the user's own, with another offer in every stage") {
  using net =
      network<stem_width<8>, stage_widths<16, 24>, strides<1, 2>, activations<activation::relu, activation::h_swish>,
              squeeze_excite<true, false>, final_width<64>, mix_width<128>, classes<3>>;
  using s = search_space<net, depth_per_stage<offer<1>, offer<3, 2>>, kernel_per_stage<offer<7, 5>, offer<3>>,
                         expand_per_stage<offer<2>, offer<1, 4>>, resolution<33>>;
  constexpr const auto& d = s::description;
  CHECK(d.stages.size() == 2);
  CHECK(list(d.stages[0].depths) == std::vector{1});
  CHECK(list(d.stages[1].depths) == std::vector{2, 3});
  CHECK(list(d.stages[0].kernels) == std::vector{5, 7});
  CHECK(list(d.stages[1].expands) == std::vector{1, 4});
  CHECK(d.stages[0].squeeze_excite);
  CHECK(d.blocks_of(0) == 3); // as the deepest stage, as in once-for-all
  CHECK(d.block_count() == 6);
  CHECK(s::cardinality == 2 * (2 * 2 + 2 * 2 * 2));
}

TEST_CASE("contains is validate without the sentence, at compile time too") {
  static_assert(ofa_w1_2::contains(largest(ofa_w1_2::description)));
  arch a = smallest(ofa_w1_2::description);
  CHECK(ofa_w1_2::contains(a));
  a.r = 128;
  CHECK(!ofa_w1_2::contains(a));
  CHECK(ofa_w1_0::contains(a));
}

TEST_CASE("ProxylessNAS: a sixth stage of one block, whatever depth is offered elsewhere") {
  constexpr space_description d = ofa_proxyless_w1_3::description;
  CHECK(d.stem_width == 40);
  CHECK(d.first_width == 24);
  const int widths[] = {32, 56, 104, 128, 248, 416};
  for (std::size_t s = 0; s < 6; ++s) CHECK(d.stages[s].width == widths[s]);
  CHECK(d.final_width == 0);
  CHECK(d.mix_width == 1664);
  CHECK(d.bn_epsilon == 1e-3f);
  CHECK(d.block_count() == 21);
  CHECK(d.stages[5].depths == choices{1});
  // files say five depths or six
  arch a = largest(d);
  CHECK(a.d.size() == 6);
  a.d.resize(5);
  CHECK(is_legal(d, a));
  CHECK(conform(d, a) == largest(d));
  a.d.resize(4);
  CHECK_FALSE(is_legal(d, a));
}

TEST_CASE("ResNet-50D has the published geometry") {
  constexpr space_description d = ofa_resnet50_space::description;
  CHECK(widths(d) == std::vector{64, 256, 512, 1024, 2048});
  CHECK(d.stem_width == 32);
  CHECK(d.stem_act == activation::relu);
  CHECK(d.final_width == 0);
  CHECK(d.mix_width == 0);
  CHECK(d.classes == 1000);
  CHECK(d.bn_epsilon == 1e-5f);
  CHECK(d.width_multiplier == 1.0);
  CHECK(d.widths == ratios{0.65, 0.8, 1});
  CHECK_FALSE(d.one_width);
  CHECK(d.stages[0].kind == block_kind::stem);
  const int strides[] = {1, 1, 2, 2, 2}, blocks[] = {0, 4, 4, 6, 4};
  for (std::size_t s = 1; s < 5; ++s) {
    CHECK(d.stages[s].kind == block_kind::bottleneck);
    CHECK(d.stages[s].stride == strides[s]);
    CHECK(d.stages[s].blocks == blocks[s]);
    CHECK(d.stages[s].fixed_blocks == blocks[s] - 2);
    CHECK(list(d.stages[s].depths) == std::vector{0, 1, 2});
    CHECK(d.stages[s].expands == ratios{0.2, 0.25, 0.35});
    CHECK(list(d.stages[s].kernels) == std::vector{3});
  }
}

TEST_CASE("one value of width fixes the widths, several offer them") {
  using fixed = search_space<ofa_resnet50, width<0.65>, depth<0, 1, 2>, expand<0.2>, resolution<64>>;
  CHECK(fixed::description.widths.empty());
  CHECK(fixed::description.width_count() == 0);
  CHECK(widths(fixed::description) == std::vector{40, 168, 336, 664, 1328});
  CHECK(fixed::description.stem_width == 24);
  using one = search_space<ofa_resnet50, one_width<1.0, 0.5>, depth<0, 1, 2>, expand<0.2>, resolution<64>>;
  CHECK(one::description.widths == ratios{0.5, 1}); // ascending
  CHECK(one::description.one_width);
  CHECK(one::description.width_count() == 1);
  CHECK(widths(one::description) == std::vector{64, 256, 512, 1024, 2048});
}

TEST_CASE("depths are cut off where a stage has no more blocks, fixed ones counted") {
  using s =
      search_space<ofa_resnet50, stage_blocks<2, 3, 6, 4>, width<1.0>, depth<0, 1, 2>, expand<0.25>, resolution<64>>;
  CHECK(list(s::description.stages[1].depths) == std::vector{0});
  CHECK(list(s::description.stages[2].depths) == std::vector{0, 1});
  CHECK(list(s::description.stages[3].depths) == std::vector{0, 1, 2});
}

} // namespace dynofa_test::space_search_space
