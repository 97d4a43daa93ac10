#include "dynofa/model/guess_space.hpp"
#include "dynofa/model/random_supernet.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::model_guess_space {

using namespace dynofa;
using support::sentence;

namespace {
/// Only the shapes of a checkpoint of the space.
state_dict shapes_of(const space_description& space) {
  const network_layout layout(space);
  state_dict shapes;
  for (const weight_array& w : layout.weights)
    if (w.made_from >= 0)
      shapes[layout.transform_key(w)].shape = {w.kernel * w.kernel, w.kernel * w.kernel};
    else
      shapes[layout.key(w)].shape = network_layout::checkpoint_shape(w);
  return shapes;
}
space_description guessed(const space_description& space, const state_dict& shapes) {
  space_guess guess = guess_space(shapes, "f");
  CHECK(guess.assumed.size() == 5);
  guess.space.resolutions = space.resolutions; // which nothing tells
  return guess.space;
}
} // namespace

TEST_CASE("the space of a super-network is told by its tensors, all but the resolutions") {
  const auto check = [](const space_description& space) { CHECK(guessed(space, shapes_of(space)) == space); };
  check(support::tiny_space::description); // whose first two stages have one width
  check(ofa_w1_0::description);
  check(ofa_w1_2::description);
  check(ofa_space({.width = 0.65, .classes = 7}));
  check(ofa_space({.classes = 200, .depths = {2, 3}, .kernels = {3, 5}}));
  check(ofa_space({.width = 2, .depths = {1}, .expands = {4}, .kernels = {5}}));
  CHECK(make_supernet(guess_space(random_checkpoint(support::tiny_space::description, 7), "f").space,
                      random_checkpoint(support::tiny_space::description, 7))
            .hash() == support::tiny_supernet()->hash());
}

TEST_CASE("blocks of unequal number, and widths of no one multiplier") {
  space_description space = ofa_space({.width = 1});
  space.stages[1].depths = {2, 3}, space.stages[1].blocks = 3;
  space.stages[3].depths = {2, 3, 4, 5}, space.stages[3].blocks = 5;
  space.stages[2].width = 88;
  const space_description guess = guessed(space, shapes_of(space));
  CHECK(guess.width_multiplier == 1);
  CHECK(guess.stages[2].width == 88);
  CHECK(guess.blocks_of(1) == 3);
  CHECK(guess.blocks_of(3) == 5);
  CHECK(network_layout(guess).weights.size() == network_layout(space).weights.size());
}

TEST_CASE("another network is refused with a sentence") {
  const auto said = [](auto change) {
    auto shapes = shapes_of(support::tiny_space::description);
    change(shapes);
    return sentence([&] { guess_space(shapes, "f"); });
  };
  CHECK(said([](auto& s) {
          s.clear();
        }).starts_with("f: expected 5 stages of blocks, as once-for-all's MobileNetV3 has, got 0"));
  CHECK(said([](auto& s) { s.erase("blocks.9.conv.point_linear.conv.conv.weight"); }).find("got 8 blocks") !=
        std::string::npos);
  CHECK(said([](auto& s) { s.erase("blocks.9.conv.depth_conv.conv.conv.weight"); }) ==
        "f: expected tensor blocks.9.conv.depth_conv.conv.conv.weight of once-for-all's MobileNetV3, got no such key");
  CHECK(said([](auto& s) { s.erase("classifier.linear.weight"); }).find("tensor classifier.linear.weight of") !=
        std::string::npos);
  CHECK(said([](auto& s) {
          s["blocks.2.conv.inverted_bottleneck.conv.conv.weight"].shape = {50, 8, 1, 1};
        }) == "f block 1: expected an expand ratio of 1 to 8, got 48 channels made of 8");
  CHECK(said([](auto& s) { s["first_conv.conv.weight"].shape = {}; }).find("expected extents of 1 to 1048576") !=
        std::string::npos);
  CHECK(said([](auto& s) {
          s["first_conv.conv.weight"].shape[0] = INT64_MAX;
        }).find("expected extents of 1 to 1048576") != std::string::npos);
  CHECK(said([](auto& s) { s["first_conv.conv.weight"].shape[0] = 9; }) ==
        "space field stem_width: expected a multiple of 8, got 9");
  for (const auto& named : shapes_of(support::tiny_space::description)) { // broken in any way, never worse
    const auto& key = named.first;
    for (std::int64_t extent : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{3}, INT64_MAX})
      said([&](auto& s) {
        for (auto& e : s[key].shape) e = extent;
      });
  }
}

} // namespace dynofa_test::model_guess_space
