#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/layout.hpp"
#include "dynofa/model/tensor.hpp"

#include <string>
#include <string_view>

namespace dynofa {

/// How the names of a once-for-all state dict are formed.
///
/// old, new: a block's layers stand under the old name of a block (the published files) or under `blocks.N.conv.`.
/// supernet: elastic layers wrap the plain ones, `.conv.conv.weight`, `.bn.bn.weight`, beside `.7to5_matrix`.
/// extracted: a sub-network after slicing has plain layers, `.conv.weight`, `.bn.weight`, and indices without gaps.
enum class key_style { supernet_old, supernet_new, extracted_old, extracted_new };

constexpr std::string_view name_of(key_style style) {
  constexpr std::string_view names[] = {"supernet_old", "supernet_new", "extracted_old", "extracted_new"};
  return names[static_cast<std::size_t>(style)];
}

/// The canonical name of an entry: the old name of a block's layers becomes `.conv.`, a leading `module.` (torch's
/// DataParallel) goes.
inline std::string canonical_key(std::string key) {
  constexpr std::string_view wrapper = "module.", old_layer = detail::old_block_layer;
  if (key.starts_with(wrapper)) key.erase(0, wrapper.size());
  if (const auto at = key.find(old_layer); at != key.npos) key.replace(at, old_layer.size(), detail::block_layer);
  return key;
}

/// The same tensors under canonical names. Throws errc::mismatch if two names become one.
inline state_dict with_canonical_keys(const state_dict& tensors, std::string_view where) {
  state_dict result;
  for (const auto& [key, item] : tensors)
    if (auto canonical = canonical_key(key); !result.emplace(canonical, item).second)
      throw error(errc::mismatch, where, text("one entry for ", printable(canonical)),
                  text("a second one named ", printable(key)));
  return result;
}

/// Which style the names have. Throws errc::mismatch if old and new names are mixed, errc::missing_key without any
/// block.
inline key_style style_of(const state_dict& tensors, std::string_view where) {
  bool has_old = false, has_new = false, has_wrapped = false;
  for (const auto& named : tensors) {
    std::string_view key = named.first;
    if (key.starts_with("module.")) key.remove_prefix(7);
    if (!key.starts_with(detail::block_prefix)) continue;
    const auto layer = key.substr(std::min(key.size(), key.find('.', detail::block_prefix.size()))); // after the number
    (layer.starts_with(detail::old_block_layer) ? has_old : has_new) = true;
    for (const auto wrapped : detail::wrapped_layers) has_wrapped = has_wrapped || layer.find(wrapped) != layer.npos;
  }
  if (!has_old && !has_new) throw error(errc::missing_key, where, "entries named blocks.N.…", "none");
  if (has_old && has_new)
    throw error(errc::mismatch, where, "one style of names",
                text(detail::old_block_layer, " and ", detail::block_layer, " mixed"));
  if (has_wrapped) return has_old ? key_style::supernet_old : key_style::supernet_new;
  return has_old ? key_style::extracted_old : key_style::extracted_new;
}

} // namespace dynofa
