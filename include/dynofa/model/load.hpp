#pragma once
#include "dynofa/model/checkpoint.hpp"
#include "dynofa/model/keys.hpp"
#include "dynofa/model/supernet_io.hpp"
#include "dynofa/space/json.hpp"

#include <filesystem>
#include <string>
#include <string_view>

// Files ↔ super-networks.

namespace dynofa {

namespace detail {
/// A checkpoint of one set of weights, or of which one was chosen: who gets a network only would not learn which it is.
inline checkpoint read_decided(const std::filesystem::path& path, std::string_view weights) {
  checkpoint file = read_checkpoint(path, weights);
  if (!weights.empty() || file.notes.others.empty()) return file;
  std::string names = file.notes.weights.empty() ? "the top level" : file.notes.weights;
  for (const auto& other : file.notes.others) names += ", " + other;
  throw error(errc::mismatch, path.string(), "one set of weights, or the name of the one to take", names);
}
} // namespace detail

/// Reads a trained super-network: torch legacy, torch zip or safetensors, old or new once-for-all key names. The space
/// says what the file must hold; each fault is one sentence with key, expected and found shape. A file with several
/// sets of weights (`state_dict` and `state_dict_ema`) is refused unless `weights` names one.
inline supernet load_supernet(const std::filesystem::path& path, const space_description& space,
                              std::string_view weights = "") {
  const checkpoint file = detail::read_decided(path, weights);
  const key_style style = style_of(file.tensors, path.string());
  const bool extracted = style == key_style::extracted_old || style == key_style::extracted_new;
  if (extracted && !space.has_deep_stem()) // of once-for-all's ResNet either may have plain names
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
      const std::string where = "save_checkpoint tensor " + key;
      for (float v : t.to_floats()) halves.push_back(weight_to_half(v, where));
      out[key] = tensor::of(std::span<const std::uint16_t>(halves), t.shape, dtype::f16);
    }
  }
  metadata["dynofa.space"] = nlohmann::json(space).dump();
  write_safetensors(path, out, metadata);
}

/// Reads an extracted sub-network (a checkpoint of one architecture, batch norm included) as a super-network that is
/// good for that architecture alone: `only` is set, and a session refuses any other. `weights` as of `load_supernet`.
inline supernet load_extracted(const std::filesystem::path& path, const space_description& space, const arch& a,
                               std::string_view weights = "") {
  return make_extracted(space, a, with_canonical_keys(detail::read_decided(path, weights).tensors, path.string()));
}

} // namespace dynofa
