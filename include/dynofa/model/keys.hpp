#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/layout.hpp"
#include "dynofa/model/tensor.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa {

/// How the names of a once-for-all state dict are formed.
///
/// old, new: a block's layers stand under the old name of a block (the published files) or under `blocks.N.conv.`.
/// supernet: elastic layers wrap the plain ones, `.conv.conv.weight`, `.bn.bn.weight`, beside `.7to5_matrix`.
/// extracted: a sub-network after slicing has plain layers, `.conv.weight`, `.bn.weight`, and indices without gaps.
enum class key_style {
  supernet_old,  ///< wrapped layers, old name
  supernet_new,  ///< wrapped layers, new name
  extracted_old, ///< plain layers, old name
  extracted_new, ///< plain layers, new name
};

/// As the enumerator is spelled.
constexpr std::string_view name_of(key_style style) {
  constexpr std::string_view names[] = {"supernet_old", "supernet_new", "extracted_old", "extracted_new"};
  return names[static_cast<std::size_t>(style)];
}

namespace detail {

/// What wrappers put before or into names: DataParallel, torch.compile, trainers that keep the network as a member,
/// averages of weights, FSDP, activation checkpointing. No part of a network is called so.
inline constexpr std::string_view wrappers[] = {"module",
                                                "_orig_mod",
                                                "model",
                                                "net",
                                                "network",
                                                "ema_model",
                                                "ema",
                                                "_fsdp_wrapped_module",
                                                "_checkpoint_wrapped_module"};

/// The name without wrappers, in whatever order and number they stand.
inline std::string without_wrappers(std::string_view key) {
  std::string result;
  for (bool more = true; more;) {
    const auto dot = key.find('.');
    const auto part = key.substr(0, dot);
    more = dot != key.npos;
    if (!more || std::find(std::begin(wrappers), std::end(wrappers), part) == std::end(wrappers))
      (result += part) += more ? "." : "";
    if (more) key.remove_prefix(dot + 1);
  }
  return result;
}

/// What other tools leave among the weights: counters of thop and of torch's AveragedModel.
inline bool is_counter(std::string_view key) {
  const auto last = key.substr(key.rfind('.') + 1); // npos + 1 is 0
  return last == "total_ops" || last == "total_params" || key == "n_averaged";
}

} // namespace detail

/// The canonical name of an entry: wrappers such as "module.", "_orig_mod." and "model." go, and the old name of the
/// layers of a block becomes ".conv.".
inline std::string canonical_key(std::string_view name) {
  constexpr std::string_view old_layer = detail::old_block_layer;
  std::string key = detail::without_wrappers(name);
  if (const auto at = key.find(old_layer); at != key.npos) key.replace(at, old_layer.size(), detail::block_layer);
  return key;
}

/// The same tensors under canonical names, without counters that tools of profiling and averaging left among them;
/// these are added to `left_out`. Throws errc::mismatch if two names become one.
inline state_dict with_canonical_keys(const state_dict& tensors, std::string_view where,
                                      std::vector<std::string>* left_out = nullptr) {
  state_dict result;
  for (const auto& [key, item] : tensors)
    if (auto canonical = canonical_key(key); detail::is_counter(canonical)) {
      if (left_out) left_out->push_back(key);
    } else if (!result.emplace(canonical, item).second) {
      throw error(errc::mismatch, where, text("one entry for ", printable(canonical)),
                  text("a second one named ", printable(key)));
    }
  return result;
}

/// Which style the names have. Throws errc::mismatch if old and new names are mixed, errc::missing_key without any
/// block.
inline key_style style_of(const state_dict& tensors, std::string_view where) {
  bool has_old = false, has_new = false, has_wrapped = false;
  for (const auto& named : tensors) {
    const std::string whole = detail::without_wrappers(named.first);
    const std::string_view key = whole;
    if (!key.starts_with(detail::block_prefix) || detail::is_counter(key)) continue;
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
