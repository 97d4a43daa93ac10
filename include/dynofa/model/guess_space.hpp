#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/model/layout.hpp"
#include "dynofa/model/tensor.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/ofa_space.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa {

/// A space as far as the tensors of a super-network tell it.
struct space_guess {
  space_description space;          ///< with ImageNet's defaults where `assumed` says so
  std::vector<std::string> assumed; ///< what they do not tell, each for somebody to agree to
};

namespace detail {

/// Reads widths, blocks, kernels, squeeze-excite and classes off the shapes of once-for-all's MobileNetV3.
class space_reader {
public:
  space_reader(const state_dict& tensors, std::string_view where)
      : tensors_{tensors}
      , where_{where} {}

  space_guess guess() const {
    ofa_choices standard;
    const space_description base = ofa_space(standard);
    std::vector<seen_block> blocks;
    while (has(block_kind::inverted_residual, weight_role::output, blocks.size() + 1))
      blocks.push_back(look_at(blocks.size() + 1));
    const auto ends = stage_ends(blocks, base.stages.size());

    space_guess result{base, {}};
    nlohmann::json space = base;
    space["stem_width"] = extent(block_kind::stem, weight_role::output, 0, 0);
    space["final_width"] = extent(block_kind::final_expand, weight_role::output, 0, 0);
    space["mix_width"] = extent(block_kind::feature_mix, weight_role::output, 0, 0);
    space["classes"] = extent(block_kind::classifier, weight_role::output, 0, 0);
    bool has_transforms = false;
    std::size_t most_blocks = 0;
    for (std::size_t s = 0, begin = 0; s < ends.size(); begin = ends[s++]) {
      const std::span<const seen_block> stage = std::span(blocks).subspan(begin, ends[s] - begin);
      const int deepest = static_cast<int>(stage.size());
      nlohmann::json& to = space["stages"][s];
      to["width"] = stage.front().out, to["squeeze_excite"] = stage.front().squeeze_excite;
      to["depths"] = from_two_to(deepest);
      most_blocks = std::max(most_blocks, stage.size());
      to["kernels"] = stage.front().kernels;
      to["expands"] = offered_up_to(expand_ratio(stage));
      has_transforms = has_transforms || stage.front().kernels.size() > 1;
    }
    for (std::size_t s = 0, begin = 0; s < ends.size(); begin = ends[s++]) // by default all have that many
      if (ends[s] - begin < most_blocks) space["stages"][s]["blocks"] = ends[s] - begin;
    space["width_multiplier"] = multiplier_of(space, base);
    result.space = read_space(space);
    result.assumed = {
        "depths from 2 to the number of blocks of a stage",
        "expand ratios of 3 and 4 besides the largest, 6",
        has_transforms ? "kernels of the sizes that have a transformation"
                       : "the largest kernels only, since no transformation makes others",
        "strides, activations and the epsilon of batch norm as in once-for-all's MobileNetV3",
        text("resolutions of ", base.resolutions.min(), " to ", base.resolutions.max()),
    };
    return result;
  }

private:
  struct seen_block {
    std::size_t number;
    int in, mid, out;
    bool squeeze_excite;
    std::vector<int> kernels; ///< ascending
    bool like(const seen_block& other) const {
      return out == other.out && squeeze_excite == other.squeeze_excite && kernels == other.kernels;
    }
  };
  const state_dict& tensors_;
  std::string_view where_;

  static std::string key_of(block_kind kind, weight_role role, std::size_t number) {
    const unit_rows& unit = rows_of_units[static_cast<std::size_t>(kind)];
    const auto row =
        std::find_if(unit.weights.begin(), unit.weights.end(), [&](const weight_row& r) { return r.role == role; });
    return text(unit.key, unit.key.ends_with('.') ? std::to_string(number) : "", row->layer,
                row->wrapped ? ".conv" : "", row->parameter);
  }
  bool has(block_kind kind, weight_role role, std::size_t number) const {
    return tensors_.contains(key_of(kind, role, number));
  }
  /// Extent `axis` of a tensor that the network must have.
  int extent(block_kind kind, weight_role role, std::size_t number, std::size_t axis) const {
    constexpr std::int64_t most = 1 << 20;
    const std::string key = key_of(kind, role, number);
    const auto found = tensors_.find(key);
    if (found == tensors_.end())
      throw error(errc::missing_key, where_, text("tensor ", key, " of once-for-all's MobileNetV3"), "no such key");
    const shape_type& shape = found->second.shape;
    if (axis >= shape.size() || shape[axis] < 1 || shape[axis] > most)
      throw error(errc::shape_mismatch, text(where_, " tensor ", key),
                  text("extents of 1 to ", most, " on ", axis + 1, " axes"), to_string(shape));
    return static_cast<int>(shape[axis]);
  }

  seen_block look_at(std::size_t n) const {
    constexpr auto kind = block_kind::inverted_residual;
    seen_block b{n,
                 extent(kind, weight_role::expand, n, 1),
                 extent(kind, weight_role::expand, n, 0),
                 extent(kind, weight_role::output, n, 0),
                 has(kind, weight_role::se_reduce, n),
                 {extent(kind, weight_role::depthwise, n, 3)}};
    const std::string prefix = key_of(kind, weight_role::depthwise, n);
    for (int k = b.kernels.front(); k > 3; k -= 2) {
      const auto matrix =
          prefix.substr(0, prefix.size() - std::string_view("conv.weight").size()) + text(k, "to", k - 2, "_matrix");
      if (!tensors_.contains(matrix)) break;
      b.kernels.insert(b.kernels.begin(), k - 2);
    }
    return b;
  }

  /// Behind the last block of each stage: where width or squeeze-excite change or, if narrow stages have one width,
  /// after equal numbers of blocks.
  std::vector<std::size_t> stage_ends(const std::vector<seen_block>& blocks, std::size_t stages) const {
    std::vector<std::size_t> ends;
    for (std::size_t i = 1; i <= blocks.size(); ++i)
      if (i == blocks.size() || !blocks[i].like(blocks[i - 1])) ends.push_back(i);
    if (ends.size() == stages) return ends;
    bool equal = !blocks.empty() && blocks.size() % stages == 0;
    ends.clear();
    for (std::size_t s = 0, each = blocks.size() / stages; equal && s < stages; ++s) {
      for (std::size_t i = 1; i < each; ++i) equal = equal && blocks[s * each + i].like(blocks[s * each]);
      ends.push_back((s + 1) * each);
    }
    if (!equal)
      throw error(errc::unsupported, where_, text(stages, " stages of blocks, as once-for-all's MobileNetV3 has"),
                  text(blocks.size(), " blocks that do not form them: describe the space in a JSON file"));
    return ends;
  }

  int expand_ratio(std::span<const seen_block> stage) const {
    for (int ratio : {6, 4, 3, 8, 7, 5, 2, 1})
      if (std::all_of(stage.begin(), stage.end(),
                      [&](const seen_block& b) { return make_divisible(b.in * double(ratio)) == b.mid; }))
        return ratio;
    throw error(errc::unsupported, text(where_, " block ", stage.front().number), "an expand ratio of 1 to 8",
                text(stage.front().mid, " channels made of ", stage.front().in));
  }
  static std::vector<int> offered_up_to(int ratio) {
    if (ratio == 6) return {3, 4, 6};
    return {ratio};
  }
  static std::vector<int> from_two_to(int deepest) {
    std::vector<int> depths;
    for (int d = std::min(2, deepest); d <= deepest; ++d) depths.push_back(d);
    return depths;
  }
  /// The multiplier that makes these widths of once-for-all's: 1, 1.2, else the first of 0.05, 0.1, …
  static double multiplier_of(const nlohmann::json& space, const space_description& base) {
    const auto makes = [&](double w) {
      const auto is = [&](const nlohmann::json& width, int from) { return width == make_divisible(from * w); };
      bool all = is(space["stem_width"], base.stem_width) && is(space["final_width"], base.final_width) &&
                 is(space["mix_width"], base.mix_width);
      for (std::size_t s = 0; s < base.stages.size(); ++s)
        all = all && is(space["stages"][s]["width"], base.stages[s].width);
      return all;
    };
    for (double w : {1.0, 1.2})
      if (makes(w)) return w;
    for (int twentieths = 1; twentieths <= 320; ++twentieths)
      if (const double w = 5 * twentieths / 100.0; makes(w)) return w;
    return std::max(1, static_cast<int>(std::lround(100.0 * space["stem_width"].get<int>() / base.stem_width))) / 100.0;
  }
};

} // namespace detail

/// Guesses the space of a super-network of once-for-all's MobileNetV3 from the shapes of its tensors, which have
/// canonical keys. What shapes do not tell is as once-for-all has it, and listed: have it confirmed. Wrong resolutions
/// or strides give a network that runs and is wrong. Throws errc::missing_key, errc::shape_mismatch or
/// errc::unsupported for another network; `where` names the file.
inline space_guess guess_space(const state_dict& tensors, std::string_view where) {
  return detail::space_reader(tensors, where).guess();
}

} // namespace dynofa
