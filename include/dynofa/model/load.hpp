#pragma once
#include "dynofa/model/checkpoint.hpp"
#include "dynofa/model/keys.hpp"
#include "dynofa/model/supernet_io.hpp"
#include "dynofa/space/json.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

// Files ↔ super-networks.

namespace dynofa {

/// Reads a trained super-network: torch legacy, torch zip or safetensors, old or new once-for-all key names. The space
/// says what the file must hold; each fault is one sentence with key, expected and found shape.
inline supernet load_supernet(const std::filesystem::path& path, const space_description& space) {
  const checkpoint file = read_checkpoint(path);
  const key_style style = style_of(file.tensors, path.string());
  if (style == key_style::extracted_old || style == key_style::extracted_new)
    throw error(errc::mismatch, path.string(), "a super-network",
                "an extracted sub-network: load_extracted reads it, given its architecture");
  return make_supernet(space, with_canonical_keys(file.tensors, path.string()));
}

/// Reads a super-network that carries its own space (safetensors written by `save_supernet`).
inline supernet load_supernet(const std::filesystem::path& path) {
  const checkpoint file = read_checkpoint(path);
  const auto space = file.metadata.find("dynofa.space");
  if (space == file.metadata.end())
    throw error(errc::missing_key, path.string(), "metadata dynofa.space, or the space as an argument",
                file.format + " without it");
  return make_supernet(parse_space(space->second), with_canonical_keys(file.tensors, path.string()));
}

/// Writes a checkpoint's tensors as safetensors in fp32 or fp16 with the space in its metadata. Kernel-transform
/// matrices stay fp32: they are small, and every 5×5 and 3×3 kernel is made from them. Other integer tensors are kept.
inline void save_checkpoint(const std::filesystem::path& path, const state_dict& tensors,
                            const space_description& space, dtype weights = dtype::f32,
                            std::map<std::string, std::string> metadata = {}) {
  if (weights != dtype::f32 && weights != dtype::f16)
    throw error(errc::unsupported, "save_checkpoint", "weights as F32 or F16", std::string(name_of(weights)));
  state_dict out;
  for (const auto& [key, t] : tensors) {
    const bool real = t.type == dtype::f32 || t.type == dtype::f64 || t.type == dtype::f16 || t.type == dtype::bf16;
    const bool keep_wide = t.shape.size() < 2 || key.ends_with("_matrix"); // batch norm, biases and matrices: under 2 %
    if (!real) {
      out[key] = t;
    } else if (weights == dtype::f32 || keep_wide) {
      out[key] = tensor::of_floats(t.to_floats(), t.shape);
    } else {
      std::vector<std::uint16_t> halves;
      for (float v : t.to_floats()) {
        halves.push_back(float_to_half(v));
        if (std::isfinite(v) && (halves.back() & 0x7C00u) == 0x7C00u)
          throw error(errc::unsupported, "save_checkpoint tensor " + key, "values that fit half precision",
                      std::to_string(v));
      }
      out[key] = tensor::of(std::span<const std::uint16_t>(halves), t.shape, dtype::f16);
    }
  }
  metadata["dynofa.space"] = nlohmann::json(space).dump();
  write_safetensors(path, out, metadata);
}

/// Reads an extracted sub-network (a checkpoint of one architecture, batch norm included) as a super-network that is
/// good for that architecture alone: `only` is set, and an engine refuses any other.
inline supernet load_extracted(const std::filesystem::path& path, const space_description& space, const arch& a) {
  const state_dict tensors = with_canonical_keys(read_checkpoint(path).tensors, path.string());
  const plan p = make_plan(space, a);
  detail::tensor_reader in(tensors);
  supernet net;
  net.space = space;
  net.only = p.arch;
  auto put = [](std::vector<float>& all, int rows, int columns, const std::vector<float>& slice, int slice_columns) {
    all.assign(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), 0.0f);
    for (std::size_t i = 0; i < slice.size(); ++i)
      all[i / static_cast<std::size_t>(slice_columns) * static_cast<std::size_t>(columns) +
          i % static_cast<std::size_t>(slice_columns)] = slice[i];
  };
  auto widened = [](norm_parameters n, int channels) {
    for (auto* values : {&n.weight, &n.bias, &n.mean, &n.var}) values->resize(static_cast<std::size_t>(channels), 0.0f);
    return n;
  };
  net.stem = in.take("first_conv.conv.weight", detail::shape_of_conv(space.stem_width, 3, 3));
  net.stem_norm = in.take_norm("first_conv.bn", space.stem_width);
  for (std::size_t i = 0; i <= space.block_genes(); ++i) {
    const block widest = widest_block(space, i);
    block_weights w;
    w.in_channels = widest.in_channels, w.mid_channels = widest.mid_channels;
    w.out_channels = widest.out_channels, w.se_channels = widest.se_channels;
    for (int n = 0; n < widest.norm_count(); ++n)
      w.norms[static_cast<std::size_t>(n)] = widened({}, widest.norm_channels(n));
    net.blocks.push_back(std::move(w));
  }
  for (std::size_t i = 1; i + 3 < p.blocks.size(); ++i) {
    const block& b = p.blocks[i];
    block_weights& w = net.blocks[static_cast<std::size_t>(b.supernet_index)];
    const std::string key = text("blocks.", i - 1, ".conv.");
    const int in_c = b.in_channels, mid = b.mid_channels, out = b.out_channels, hidden = b.se_channels;
    for (int n = 0; n < b.norm_count(); ++n)
      w.norms[static_cast<std::size_t>(n)] =
          widened(in.take_norm(norm_name(p, i, n), b.norm_channels(n)), n + 1 == b.norm_count() ? out : w.mid_channels);
    if (b.kind == block_kind::inverted_residual)
      put(w.expand, w.mid_channels, in_c,
          in.take(key + "inverted_bottleneck.conv.weight", detail::shape_of_conv(mid, in_c)), in_c);
    put(w.depthwise_of(b.kernel), w.mid_channels, b.kernel * b.kernel,
        in.take(key + "depth_conv.conv.weight", detail::shape_of_conv(mid, 1, b.kernel)), b.kernel * b.kernel);
    put(w.project, out, w.mid_channels, in.take(key + "point_linear.conv.weight", detail::shape_of_conv(out, mid)),
        mid);
    if (hidden == 0) continue;
    const std::string se = key + "depth_conv.se.fc.";
    put(w.se_reduce, w.se_channels, w.mid_channels, in.take(se + "reduce.weight", detail::shape_of_conv(hidden, mid)),
        mid);
    put(w.se_expand, w.mid_channels, w.se_channels, in.take(se + "expand.weight", detail::shape_of_conv(mid, hidden)),
        hidden);
    put(w.se_reduce_bias, 1, w.se_channels, in.take(se + "reduce.bias", {hidden}), hidden);
    put(w.se_expand_bias, 1, w.mid_channels, in.take(se + "expand.bias", {mid}), mid);
  }
  net.final_expand =
      in.take("final_expand_layer.conv.weight", detail::shape_of_conv(space.final_width, space.stages.back().width));
  net.final_norm = in.take_norm("final_expand_layer.bn", space.final_width);
  net.feature_mix = in.take("feature_mix_layer.conv.weight", detail::shape_of_conv(space.mix_width, space.final_width));
  net.classifier = in.take("classifier.linear.weight", {space.classes, space.mix_width});
  net.classifier_bias = in.take("classifier.linear.bias", {space.classes});
  in.expect_nothing_left();
  // What the architecture does not use is zero, so that a backend can pack the whole as it packs any other.
  for (std::size_t i = 0; i < net.blocks.size(); ++i) {
    block_weights& w = net.blocks[i];
    auto zeros = [](std::vector<float>& v, int n) { v.resize(static_cast<std::size_t>(n), 0.0f); };
    if (i > 0) zeros(w.expand, w.mid_channels * w.in_channels);
    zeros(w.project, w.out_channels * w.mid_channels);
    const choices kernels = i == 0 ? choices{3} : space.stages[(i - 1) / space.blocks_per_stage()].kernels;
    for (int k : kernels) zeros(w.depthwise_of(k), w.mid_channels * k * k);
    zeros(w.se_reduce, w.se_channels * w.mid_channels), zeros(w.se_expand, w.mid_channels * w.se_channels);
    zeros(w.se_reduce_bias, w.se_channels), zeros(w.se_expand_bias, w.se_channels ? w.mid_channels : 0);
  }
  return net;
}

} // namespace dynofa
