#pragma once
#include "dynofa/core/json_field.hpp"
#include "dynofa/space/arch.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// Architectures and spaces in files. Apart from arch.hpp so that a program without files does not pay for a JSON
// library's compile time. Whatever is wrong with a text is one dynofa::error (errc::bad_file) that names the field.

namespace dynofa {

namespace detail {

/// 6, or 0.65
inline nlohmann::json number(decimal d) { return d.is_whole() ? nlohmann::json(int(d)) : nlohmann::json(d.value()); }
template <class Values>
nlohmann::json numbers(const Values& values) {
  auto list = nlohmann::json::array();
  for (const decimal v : values) list.push_back(number(v));
  return list;
}

/// A whole number, which Python may have written as 4.0.
inline int read_whole(const json_field& f, int most) {
  if (f.value().is_number_float())
    if (const double v = f.number(); v >= 0 && v <= most && v == static_cast<int>(v)) return static_cast<int>(v);
  return f.whole_number(0, most);
}
/// An epsilon of batch norm, which is above 0 as a float too.
inline float read_epsilon(const json_field& f) { return static_cast<float>(std::max(1e-30, f.positive(1))); }
/// One value per block into `genes`. Blocks that do not run may have null (once-for-all's tools write None there): the
/// value of their stage's first block. `a.d` is read already.
template <class Genes>
void read_genes(const json_field& f, const arch& a, Genes& genes) {
  using value = typename Genes::value_type;
  constexpr int most = std::numeric_limits<std::uint8_t>::max();
  std::vector<std::size_t> nulls;
  f.each(Genes::capacity, [&](const json_field& one) {
    if (one.is_null())
      nulls.push_back(genes.size()), genes.push_back({});
    else if constexpr (std::is_same_v<value, decimal>)
      genes.push_back(one.decimal_number(0, most));
    else
      genes.push_back(static_cast<value>(read_whole(one, most)));
  });
  const std::size_t stages = a.d.size(), per_stage = stages == 0 ? 0 : genes.size() / stages;
  for (const std::size_t i : nulls) {
    const bool even = per_stage > 0 && genes.size() == per_stage * stages;
    if (!even || i % per_stage < a.d[i / per_stage])
      throw error(errc::bad_file, text(f.name(), '[', i, ']'), even ? "a number, since its block runs" : "a number",
                  "null");
    genes[i] = genes[i / per_stage * per_stage];
  }
}

inline constexpr const char* activation_words[] = {"identity", "relu", "h_swish", "h_sigmoid",
                                                   "relu6"}; // in the order of the enumeration
inline const char* word_of(activation a) { return activation_words[static_cast<int>(a)]; }
inline activation read_activation(const json_field& field) {
  for (const activation a : {activation::identity, activation::relu, activation::h_swish, activation::relu6})
    if (field.is_word(word_of(a))) return a;
  throw field.fault("identity, relu, h_swish or relu6", "something else");
}

} // namespace detail

/// Writes once-for-all's form: {"ks": […], "e": […], "d": […], "r": 160}, with "w": […] where widths are chosen.
inline void to_json(nlohmann::json& json, const arch& a) {
  json = {{"ks", detail::numbers(a.ks)}, {"e", detail::numbers(a.e)}, {"d", detail::numbers(a.d)}, {"r", a.r}};
  if (!a.w.empty()) json["w"] = detail::numbers(a.w);
}

/// Reads once-for-all's form, as its various tools write it: `r` may be called `image_size` and be a list of one, whole
/// numbers may be floating-point, genes of blocks that do not run may be null, `wid` may be there and null (the widths
/// belong to the super-network); other fields are ignored. Checks form and capacity only; whether a space contains the
/// architecture says `validate`.
inline arch read_arch(const nlohmann::json& json) {
  const detail::json_field all(json, "architecture");
  all.object();
  arch a;
  all["d"].each(max_stages, [&](const detail::json_field& f) {
    a.d.push_back(static_cast<std::uint8_t>(detail::read_whole(f, std::numeric_limits<std::uint8_t>::max())));
  });
  if (all.has("ks") || !all.has("w"))
    detail::read_genes(all["ks"], a, a.ks); // once-for-all's ResNet has no choice there
  detail::read_genes(all["e"], a, a.e);
  if (all.has("w"))
    all["w"].each(max_widths, [&](const detail::json_field& f) {
      a.w.push_back(static_cast<std::uint8_t>(detail::read_whole(f, std::numeric_limits<std::uint8_t>::max())));
    });
  const auto read_r = [](const detail::json_field& r) {
    constexpr int most = std::numeric_limits<std::uint16_t>::max();
    if (!r.is_array()) return detail::read_whole(r, most);
    int one = -1;
    r.each(1, [&](const detail::json_field& f) { one = detail::read_whole(f, most); });
    if (one < 0) throw r.fault("a number or a list of one", "an empty list");
    return one;
  };
  const bool has_r = all.has("r") || !all.has("image_size");
  const int r = read_r(all[has_r ? "r" : "image_size"]);
  if (has_r && all.has("image_size") && read_r(all["image_size"]) != r)
    throw all["image_size"].fault(text("the same as r, ", r));
  a.r = static_cast<std::uint16_t>(r);
  if (all.has("wid") && !all["wid"].is_null()) throw all["wid"].fault("null, since a super-network fixes its widths");
  return a;
}
/// The same of a text. Throws errc::bad_file for what is no JSON.
inline arch parse_arch(std::string_view source) { return read_arch(detail::parse_bounded(source, "architecture")); }
/// `read_arch`, where nlohmann's library looks for it.
inline void from_json(const nlohmann::json& json, arch& a) { a = read_arch(json); }

/// A stage as part of a space's JSON.
inline void to_json(nlohmann::json& json, const stage_description& s) {
  json = {{"width", s.width},
          {"stride", s.stride},
          {"activation", detail::word_of(s.act)},
          {"squeeze_excite", s.squeeze_excite},
          {"depths", detail::numbers(s.depths)},
          {"expands", detail::numbers(s.expands)},
          {"kernels", detail::numbers(s.kernels)}};
  if (s.blocks > 0) json["blocks"] = s.blocks;
  if (s.fixed_blocks > 0) json["fixed_blocks"] = s.fixed_blocks;
  if (s.kind != block_kind::inverted_residual) json["kind"] = s.kind == block_kind::stem ? "deep_stem" : "bottleneck";
}

namespace detail {

/// Channels are multiples of 8.
inline int read_channels(const json_field& f) {
  const int n = f.whole_number(8, 1 << 14);
  if (n % 8 != 0) throw f.fault("a multiple of 8");
  return n;
}

/// Stage `s` of a space.
inline stage_description read_stage(const json_field& f, std::size_t s) {
  f.object();
  stage_description stage;
  stage.width = read_channels(f["width"]);
  stage.stride = f["stride"].whole_number(1, 2);
  stage.act = read_activation(f["activation"]);
  stage.squeeze_excite = f["squeeze_excite"].boolean();
  if (f.has("kind")) {
    const json_field kind = f["kind"];
    if (kind.is_word("deep_stem"))
      stage.kind = block_kind::stem;
    else if (kind.is_word("bottleneck"))
      stage.kind = block_kind::bottleneck;
    else if (!kind.is_word("inverted_residual"))
      throw kind.fault("inverted_residual, bottleneck or deep_stem", "something else");
    if (stage.kind == block_kind::stem && s > 0)
      throw kind.fault("a deep stem as the first stage only", text("stage ", s + 1));
    if (stage.kind != block_kind::inverted_residual && stage.squeeze_excite)
      throw f["squeeze_excite"].fault("false, which goes with inverted residuals", "true");
  }
  if (f.has("fixed_blocks"))
    stage.fixed_blocks = static_cast<std::uint8_t>(f["fixed_blocks"].whole_number(0, max_blocks));
  const bool may_be_empty = stage.fixed_blocks > 0 || stage.kind == block_kind::stem;
  stage.depths = f["depths"].ascending<choices>(may_be_empty ? 0 : 1, 8);
  if (stage.kind == block_kind::stem) {
    if (stage.depths.size() > 2) throw f["depths"].fault("one depth or two", "more");
    for (const char* blocks : {"blocks", "fixed_blocks"})
      if (f.has(blocks)) throw f[blocks].fault("none, since a deep stem has no blocks");
    return stage;
  }
  if (stage.kind == block_kind::bottleneck)
    stage.expands = f["expands"].ascending<ratios>(decimal(0.01), 8);
  else
    stage.expands = f["expands"].ascending<ratios>(1, 8);
  if (f.has("blocks") || stage.fixed_blocks > 0)
    stage.blocks = static_cast<std::uint8_t>(
        f["blocks"].whole_number(std::max(1, stage.fixed_blocks + stage.depths.max()), max_blocks));
  const json_field kernels = f["kernels"];
  stage.kernels = kernels.ascending<choices>(3, 7);
  for (int k : stage.kernels)
    if (k % 2 == 0) throw kernels.fault("kernels of 3, 5 or 7", std::to_string(k));
  return stage;
}

} // namespace detail

/// Every field of a space, under its own name; what is as in a MobileNetV3 of once-for-all's is left out.
inline void to_json(nlohmann::json& json, const space_description& space) {
  json = {{"width_multiplier", space.width_multiplier},
          {"stem_width", space.stem_width},
          {"stages", std::vector<nlohmann::json>(space.stages.begin(), space.stages.end())},
          {"final_width", space.final_width},
          {"mix_width", space.mix_width},
          {"classes", space.classes},
          {"bn_epsilon", space.bn_epsilon},
          {"resolutions", detail::numbers(space.resolutions)}};
  const space_description usual;
  if (space.stem_act != usual.stem_act) json["stem_activation"] = detail::word_of(space.stem_act);
  if (space.first_width != usual.first_width) json["first_width"] = space.first_width;
  if (space.first_act != usual.first_act) json["first_activation"] = detail::word_of(space.first_act);
  if (space.first_residual != usual.first_residual) json["first_residual"] = space.first_residual;
  if (!space.widths.empty()) json["widths"] = detail::numbers(space.widths);
  if (space.one_width) json["one_width"] = true;
  if (space.head_act != usual.head_act) json["head_activation"] = detail::word_of(space.head_act);
}

/// A space that is sound in itself: choices ascending, not empty and within the limits that `search_space` has at
/// compile time, widths multiples of 8. All fields are required, others ignored.
inline space_description read_space(const nlohmann::json& json) {
  constexpr int most_classes = 1 << 20, most_pixels = 4096;
  const detail::json_field all(json, "space");
  all.object();
  space_description space;
  space.width_multiplier = all["width_multiplier"].positive(1000);
  space.stem_width = detail::read_channels(all["stem_width"]);
  const auto stages = all["stages"];
  stages.each(max_stages,
              [&](const detail::json_field& f) { space.stages.push_back(detail::read_stage(f, space.stages.size())); });
  if (space.stages.empty()) throw stages.fault("at least one stage", "an empty list");
  if (space.block_count() > max_blocks)
    throw stages.fault(text("at most ", max_blocks, " blocks in all stages"), std::to_string(space.block_count()));
  if (space.block_count() == 0) throw stages.fault("at least one stage of blocks", "a deep stem alone");
  if (all.has("stem_activation")) space.stem_act = detail::read_activation(all["stem_activation"]);
  if (all.has("first_width")) space.first_width = detail::read_channels(all["first_width"]);
  if (all.has("first_activation")) space.first_act = detail::read_activation(all["first_activation"]);
  if (all.has("first_residual")) space.first_residual = all["first_residual"].boolean();
  if (space.first_residual && space.width_of_first() != space.stem_width)
    throw all["first_residual"].fault("false, as block 0 changes the number of channels", "true");
  if (all.has("head_activation")) space.head_act = detail::read_activation(all["head_activation"]);
  const auto channels_or_none = [](const detail::json_field& f) {
    return f.value() == 0 ? 0 : detail::read_channels(f);
  };
  space.final_width = channels_or_none(all["final_width"]);
  space.mix_width = channels_or_none(all["mix_width"]);
  if (space.mix_width == 0 && space.final_width > 0)
    throw all["mix_width"].fault("channels behind the last convolution before pooling", "0");
  if (all.has("widths")) {
    space.widths = all["widths"].ascending<ratios>(decimal(0.01), 1);
    if (space.widths.max() != decimal(1)) throw all["widths"].fault("1 as the largest", text(space.widths.max()));
  }
  if (all.has("one_width")) space.one_width = all["one_width"].boolean();
  if (space.one_width && space.widths.empty()) throw all["one_width"].fault("false without widths", "true");
  space.classes = all["classes"].whole_number(1, most_classes);
  space.bn_epsilon = detail::read_epsilon(all["bn_epsilon"]);
  space.resolutions = all["resolutions"].ascending<decltype(space.resolutions)>(1, most_pixels);
  return space;
}
/// The same of a text. Throws errc::bad_file for what is no JSON.
inline space_description parse_space(std::string_view source) {
  return read_space(detail::parse_bounded(source, "space"));
}
/// `read_space`, where nlohmann's library looks for it.
inline void from_json(const nlohmann::json& json, space_description& space) { space = read_space(json); }

} // namespace dynofa
