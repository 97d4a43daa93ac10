#pragma once
#include "dynofa/space/json.hpp"
#include "dynofa/space/search_space.hpp"

#include <algorithm>
#include <vector>

namespace dynofa {

/// What tells the super-networks of once-for-all's MobileNetV3 apart.
struct ofa_choices {
  double width = 1.0; ///< multiplies every width but the number of classes
  int classes = 1000; ///< logits of an image
  std::vector<int> resolutions = {128, 144, 160, 176, 192, 208, 224}; ///< sides of the image in pixels, ascending
  std::vector<int> depths = {2, 3, 4}, expands = {3, 4, 6}, kernels = {3, 5, 7}; ///< the same in every stage, ascending
};

/// `search_space<ofa_mobilenet_v3, width<…>, …>::description` of choices that are known at run time only. Values may
/// stand in any order. Throws `error` for choices that no space offers (kernels 3, 5, 7; depths and ratios 1 … 8).
inline space_description ofa_space(const ofa_choices& choices) {
  require_argument(choices.width > 0 && choices.width <= 16, "width multiplier", "a number above 0, at most 16",
                   choices.width);
  using one = search_space<ofa_mobilenet_v3, depth<4>, expand<6>, kernel<7>, resolution<224>>;
  const auto ascending = [](std::vector<int> values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    return values;
  };
  const auto scaled = [&](nlohmann::json& width) { width = make_divisible(width.get<int>() * choices.width); };
  nlohmann::json space = one::description;
  space["width_multiplier"] = choices.width;
  for (const char* width : {"stem_width", "final_width", "mix_width"}) scaled(space[width]);
  for (auto& stage : space["stages"]) {
    scaled(stage["width"]);
    stage["depths"] = ascending(choices.depths);
    stage["expands"] = ascending(choices.expands);
    stage["kernels"] = ascending(choices.kernels);
  }
  space["classes"] = choices.classes;
  space["resolutions"] = ascending(choices.resolutions);
  return read_space(space); // which checks it
}

} // namespace dynofa
