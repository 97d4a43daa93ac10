#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/json_field.hpp"
#include "dynofa/model/layout.hpp"
#include "dynofa/space/json.hpp"

#include <cmath>
#include <filesystem>
#include <string>
#include <utility>

// Networks that are not searched any more, as once-for-all and ProxylessNAS publish them: `net.config`, a JSON text
// with every layer, and `run.config` beside it with the image size.

namespace dynofa {

/// One network: its architecture, and the least space that has it.
struct described_network {
  space_description space; ///< offers what some block of a stage has; depths and the resolution are what they are
  dynofa::arch arch;       ///< of `space`
};

namespace detail::network_config {

struct layer_facts {
  int in = 0, out = 0, kernel = 1, stride = 1;
  activation act = activation::identity;
};

/// What a config calls a unit of the network, and a block's layer: as checkpoints do.
inline std::string word_of(block_kind kind) { return std::string(rows_of_units[static_cast<std::size_t>(kind)].key); }
inline std::string word_of_block() { return std::string(old_block_layer.substr(1, old_block_layer.size() - 2)); }

inline activation activation_of(const json_field& f) {
  if (f.is_null()) return activation::identity;
  if (f.is_word("relu")) return activation::relu;
  if (f.is_word("relu6")) return activation::relu6;
  if (f.is_word("h_swish")) return activation::h_swish;
  throw f.fault("relu, relu6, h_swish or null", f.value().is_string() ? f.word(60) : "something else");
}

/// A ConvLayer or LinearLayer. `norm`: whether a batch norm stands behind it; where it does there is no bias.
inline layer_facts read_layer(const json_field& f, bool norm, bool bias = false, const char* in = "in_channels",
                              const char* out = "out_channels") {
  constexpr int most = 1 << 14;
  layer_facts l;
  l.in = f[in].whole_number(1, most), l.out = f[out].whole_number(1, most);
  l.act = activation_of(f["act_func"]);
  if (f.has("kernel_size")) l.kernel = f["kernel_size"].whole_number(1, 7);
  if (f.has("stride")) l.stride = f["stride"].whole_number(1, 2);
  for (const char* one : {"dilation", "groups"})
    if (f.has(one) && f[one].whole_number(1, most) != 1) throw f[one].fault("1");
  if (f.has("has_shuffle") && f["has_shuffle"].boolean()) throw f["has_shuffle"].fault("no channel shuffle");
  for (const auto& [what, wanted] : {std::pair{"use_bn", norm}, {"bias", bias}})
    if (f.has(what) && f[what].boolean() != wanted) throw f[what].fault(wanted ? "true here" : "false here");
  if (f.has("ops_order") && !f["ops_order"].is_word("weight_bn_act")) throw f["ops_order"].fault("weight_bn_act");
  return l;
}
inline void expect(const json_field& f, const char* what, int found, int wanted) {
  if (found != wanted) throw f.fault(text(wanted, " as ", what), text(found));
}

/// The blocks of a config one after the other, dealt to stages: a block without a shortcut begins one.
class stage_builder {
public:
  stage_builder(described_network& made, int channels)
      : made_{made}
      , channels_{channels} {}

  void add(const json_field& f, bool first) {
    const json_field conv = f[word_of_block().c_str()], shortcut = f["shortcut"];
    if (conv["name"].is_word("ZeroLayer")) return; // ProxylessNAS' word for a block that was left out
    if (!conv["name"].is_word("MBInvertedConvLayer") && !conv["name"].is_word("MBConvLayer"))
      throw conv["name"].fault("MBInvertedConvLayer or ZeroLayer", "another layer");
    const bool residual = !shortcut.is_null();
    if (residual && !shortcut["name"].is_word("IdentityLayer"))
      throw shortcut["name"].fault("IdentityLayer or no shortcut", "another layer");
    const int in = conv["in_channels"].whole_number(1, 1 << 14), out = conv["out_channels"].whole_number(8, 1 << 14);
    const int stride = conv["stride"].whole_number(1, 2), kernel = conv["kernel_size"].whole_number(3, 7);
    const decimal ratio = conv["expand_ratio"].decimal_number(1, 8);
    const bool gated = conv.has("use_se") && conv["use_se"].boolean();
    const activation act = conv.has("act_func") ? activation_of(conv["act_func"]) : activation::relu6;
    expect(conv["in_channels"], "the block before gives", in, channels_);
    if (conv.has("groups") && !conv["groups"].is_null())
      throw conv["groups"].fault("null, a convolution of each channel by itself");
    if (out % 8 != 0) throw conv["out_channels"].fault("a multiple of 8");
    if (kernel % 2 == 0) throw conv["kernel_size"].fault("3, 5 or 7");
    channels_ = out;
    if (first) return add_first(conv, out, kernel, stride, ratio, gated, act, residual);

    if (ratio == decimal(1)) throw conv["expand_ratio"].fault("a ratio above 1 in all blocks but the first");
    const double mid = in * ratio.thousandths / 1000.0;
    const bool given = conv.has("mid_channels") && !conv["mid_channels"].is_null();
    expect(given ? conv["mid_channels"] : conv["expand_ratio"], "the ratio gives in multiples of 8",
           given ? conv["mid_channels"].whole_number(1, 1 << 17) : static_cast<int>(std::lround(mid)),
           make_divisible(mid));
    auto& stages = made_.space.stages;
    if (residual) {
      if (stages.empty() || stages.back().width != out || stride != 1)
        throw shortcut.fault("a shortcut only where a block keeps its input's shape", "one elsewhere");
      if (stages.back().act != act || stages.back().squeeze_excite != gated)
        throw conv.fault("one activation, and squeeze-excite in all blocks of a stage or none", "another");
    } else {
      if (stages.size() == max_stages)
        throw f.fault(text("at most ", max_stages, " blocks without a shortcut"), "more");
      if (stride == 1 && in == out) throw shortcut.fault("a shortcut where a block keeps its input's shape", "none");
      stage_description stage;
      stage.width = out, stage.stride = stride, stage.act = act, stage.squeeze_excite = gated;
      stages.push_back(stage);
      made_.arch.d.push_back(0);
    }
    const std::size_t last = stages.size() - 1;
    if (made_.arch.d[last] == ratios::capacity) // each may have a ratio of its own
      throw f.fault(text("at most ", ratios::capacity, " blocks in a stage"), "more");
    stages[last].kernels.insert(static_cast<std::uint8_t>(kernel));
    stages[last].expands.insert(ratio);
    if (made_.arch.ks.size() == max_blocks) throw f.fault(text("at most ", max_blocks, " blocks"), "more");
    made_.arch.ks.push_back(static_cast<std::uint8_t>(kernel));
    made_.arch.e.push_back(ratio);
    ++made_.arch.d[last];
  }
  int channels() const { return channels_; }

private:
  void add_first(const json_field& conv, int out, int kernel, int stride, decimal ratio, bool gated, activation act,
                 bool residual) {
    if (kernel != 3 || stride != 1 || ratio != decimal(1) || gated)
      throw conv.fault("a first block of kernel 3, stride 1 and ratio 1 without squeeze-excite", "another");
    space_description& space = made_.space;
    if (residual && out != space.stem_width) throw conv.fault("no shortcut where channels change", "one");
    space.first_width = out == space.stem_width ? 0 : out;
    space.first_act = act, space.first_residual = residual;
  }

  described_network& made_;
  int channels_;
};

} // namespace detail::network_config

/// The network that a `net.config` describes, on images of side `resolution`: MobileNetV3 and ProxylessNASNets of
/// once-for-all, ProxylessNASNets of ProxylessNAS. Throws errc::bad_file in one sentence for what the text has and
/// the library does not: other layers, groups, shuffles, stages that mix activations.
inline described_network read_network_config(const nlohmann::json& json, int resolution) {
  namespace config = detail::network_config;
  const detail::json_field all(json, "net.config");
  all.object();
  const bool has_final = all["name"].is_word("MobileNetV3");
  if (!has_final && !all["name"].is_word("ProxylessNASNets"))
    throw all["name"].fault("MobileNetV3 or ProxylessNASNets", "another network");
  require_argument(resolution >= 8 && resolution <= 4096, "image size", "8 to 4096", resolution);

  described_network made;
  space_description& space = made.space;
  const auto unit = [&](block_kind kind) { return all[config::word_of(kind).c_str()]; };
  const detail::json_field stem_field = unit(block_kind::stem);
  const config::layer_facts stem = config::read_layer(stem_field, true);
  if (stem.in != 3 || stem.kernel != 3 || stem.stride != 2)
    throw stem_field.fault("a 3×3 convolution of 3 channels with stride 2", "another");
  space.stem_width = stem.out, space.stem_act = stem.act;
  config::stage_builder stages(made, stem.out);
  bool first = true;
  all["blocks"].each(max_blocks + 1, [&](const detail::json_field& f) { stages.add(f, std::exchange(first, false)); });
  if (space.stages.empty()) throw all["blocks"].fault("more than one block", "fewer");
  for (std::size_t s = 0; s < space.stages.size(); ++s)
    space.stages[s].depths = {made.arch.d[s]}, space.stages[s].blocks = made.arch.d[s];

  int channels = stages.channels();
  space.final_width = 0;
  if (has_final) {
    const detail::json_field field = unit(block_kind::final_expand);
    const config::layer_facts last = config::read_layer(field, true);
    config::expect(field["in_channels"], "the last block gives", last.in, channels);
    channels = space.final_width = last.out;
    space.head_act = last.act;
  }
  const detail::json_field mix_field = unit(block_kind::feature_mix), head_field = unit(block_kind::classifier);
  const config::layer_facts mix = config::read_layer(mix_field, !has_final),
                            head = config::read_layer(head_field, false, true, "in_features", "out_features");
  config::expect(mix_field["in_channels"], "the layer before gives", mix.in, channels);
  config::expect(head_field["in_features"], "the layer before gives", head.in, mix.out);
  if (has_final && mix.act != space.head_act)
    throw mix_field["act_func"].fault("the activation of the layer before", "another");
  if (head.act != activation::identity) throw head_field["act_func"].fault("null behind the classifier", "another");
  space.mix_width = mix.out, space.head_act = mix.act, space.classes = head.out;
  space.bn_epsilon = detail::read_epsilon(all["bn"]["eps"]);
  space.resolutions = {static_cast<std::uint16_t>(resolution)};
  made.arch.r = static_cast<std::uint16_t>(resolution);
  made.arch = conform(space, made.arch);
  return made;
}

/// Reads `net.config` and `run.config` of a folder.
inline described_network load_network_config(const std::filesystem::path& folder) {
  const auto read = [&](const char* name) {
    const std::filesystem::path file = folder / name;
    return detail::parse_bounded(map_file(file).text(), file.string());
  };
  const nlohmann::json run = read("run.config");
  return read_network_config(read("net.config"),
                             detail::json_field(run, "run.config")["image_size"].whole_number(8, 4096));
}

} // namespace dynofa
