#pragma once
#include "dynofa/data/class_names_json.hpp"
#include "dynofa/data/image_folder.hpp"
#include "dynofa/data/preprocess_json.hpp"
#include "dynofa/model/load.hpp"
#include "dynofa/space/json.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace dynofa {

/// A super-network with what it was trained for: how pictures become its input and what its logits are called. Without
/// these, accuracy cannot be measured: another resize costs whole points, silently.
struct image_classifier {
  supernet_ptr net;                                ///< the weights
  data::preprocessing preprocessing;               ///< what it was trained with
  std::vector<std::string> class_ids, class_names; ///< by label; ids are what folders of images are called
  std::string origin;                              ///< a line about where the weights come from, may be empty

  /// Folder `root` with this network's classes. Throws `error` for a sub-folder that is none of them.
  data::image_folder images(const std::filesystem::path& root) const { return {root, class_ids}; }
};

/// Reads a checkpoint that says what it is: safetensors with the metadata dynofa.space, dynofa.preprocessing and
/// dynofa.classes (example 03_load_a_checkpoint writes it). Throws `error` that names what is missing.
inline image_classifier load_classifier(const std::filesystem::path& path) {
  const checkpoint file = read_checkpoint(path);
  const auto metadata = [&](const char* key) -> const std::string& {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end())
      throw error(errc::missing_key, path.string(), text("metadata ", key), "none (03_load_a_checkpoint writes it)");
    return found->second;
  };
  image_classifier c;
  c.net = std::make_shared<const supernet>(
      make_supernet(parse_space(metadata("dynofa.space")), with_canonical_keys(file.tensors, path.string())));
  const auto json = [&](const char* key) {
    return detail::parse_bounded(metadata(key), text(path.string(), ' ', key), 16u << 20);
  };
  c.preprocessing = json("dynofa.preprocessing").get<data::preprocessing>();
  for (auto& [id, name] : data::read_class_names(json("dynofa.classes"), path.string() + " dynofa.classes"))
    c.class_ids.push_back(std::move(id)), c.class_names.push_back(std::move(name));
  if (static_cast<int>(c.class_ids.size()) != c.net->space.classes)
    throw error(errc::mismatch, path.string(), text(c.net->space.classes, " classes"), text(c.class_ids.size()));
  if (const auto origin = file.metadata.find("dynofa.origin"); origin != file.metadata.end()) c.origin = origin->second;
  return c;
}

} // namespace dynofa
