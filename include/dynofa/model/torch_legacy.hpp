#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/pickle.hpp"
#include "dynofa/model/tensor.hpp"
#include "dynofa/model/torch_tensors.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace dynofa {

/// Reads torch's format from before version 1.6, in which the published once-for-all weights are.
///
/// Five pickles follow each other: a magic number, the protocol 1001, facts of the writing machine, the object, the
/// list of storage keys. Then in that list's order each storage as int64 count and raw elements, up to the last byte of
/// the file. Dense tensors point into `file`; nothing is copied. `where` names the file in errors, `weights` one of
/// several sets of weights (`find_weights`).
inline state_dict read_torch_legacy(const file_bytes& file, std::string_view where, std::string_view weights = "",
                                    reading_notes* notes = nullptr) {
  using pickle::kind;
  const auto bad = [&](std::string expected, std::string got) {
    return error(errc::bad_file, where, std::move(expected), std::move(got));
  };
  const std::uint64_t file_size = file.bytes.size();
  std::size_t at = 0;
  const auto next_pickle = [&](std::string_view what) {
    auto document = pickle::read(file.bytes.subspan(at), text(where, ", ", what, " at byte ", at));
    at += document.size;
    return document;
  };

  const auto magic = next_pickle("magic number");
  if (magic.top().kind != kind::big_integer ||
      magic.top().text != std::string_view("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"))
    throw bad("torch's magic number", "another one");
  const auto protocol = next_pickle("protocol");
  if (protocol.top().kind != kind::integer || protocol.top().integer != 1001)
    throw error(errc::unsupported, where, "torch's protocol 1001",
                protocol.top().kind == kind::integer ? text(protocol.top().integer)
                                                     : std::string(name_of(protocol.top().kind)));
  const auto machine = next_pickle("machine facts");
  const auto* little_endian = machine.top().kind == kind::dict ? machine.find(machine.top(), "little_endian") : nullptr;
  if (!little_endian || little_endian->kind != kind::boolean) throw bad("the fact little_endian", "none");
  if (!little_endian->integer) throw error(errc::unsupported, where, "little-endian data", "big-endian data");
  const auto object = next_pickle("object");
  const auto keys = next_pickle("storage keys");
  if (keys.top().kind != kind::list) throw bad("a list of storage keys", std::string(name_of(keys.top().kind)));

  struct storage {
    pickle::storage_ref ref;
    file_bytes content;
    bool found = false;
  };
  std::unordered_map<std::string_view, storage> storages;
  for (const auto& ref : object.storages) {
    const auto& known = storages.try_emplace(ref.key, storage{ref, {}}).first->second.ref;
    if (known.type != ref.type || known.numel != ref.numel)
      throw bad(text("one type and size for storage ", printable(ref.key)),
                text(name_of(known.type), " × ", known.numel, " and ", name_of(ref.type), " × ", ref.numel));
  }

  // The whole layout is known before the first element is looked at, so a truncated file is told by its exact size.
  std::uint64_t expected_size = at;
  for (auto key : keys.top().items) {
    const auto name = keys[key].kind == kind::string ? keys[key].text : std::string_view{};
    const auto known = storages.find(name);
    if (known == storages.end())
      throw bad("keys of storages that tensors use",
                object.classes.empty() ? printable(name) : printable(name) + ", perhaps of a type unknown here");
    if (std::exchange(known->second.found, true)) throw bad("each storage key once", printable(name));
    const auto size = byte_count({known->second.ref.numel}, known->second.ref.type);
    if (!size || __builtin_add_overflow(expected_size, *size + 8, &expected_size) || expected_size > INT64_MAX)
      throw bad("storages that fit 63 bits", text(known->second.ref.numel, " elements"));
  }
  for (const auto& [name, known] : storages)
    if (!known.found) throw bad(text("storage ", printable(name), " in the list of keys"), "a list without it");
  if (expected_size != file_size)
    throw bad(text(expected_size, " bytes"),
              text(file_size, file_size < expected_size ? " bytes (truncated)" : " bytes (trailing bytes)"));

  for (auto key : keys.top().items) {
    auto& item = storages.find(keys[key].text)->second;
    std::int64_t numel = 0;
    std::memcpy(&numel, &file.bytes[at], sizeof numel);
    if (numel != item.ref.numel)
      throw bad(text(item.ref.numel, " elements in storage ", printable(item.ref.key)), text(numel));
    const auto size = static_cast<std::size_t>(numel) * size_of(item.ref.type);
    item.content = {file.bytes.subspan(at + 8, size), file.owner};
    at += 8 + size;
  }

  state_dict tensors;
  torch_view_reader views(where, copy_budget_of(file_size));
  weight_set found = find_weights(object, where, weights);
  if (notes) *notes = std::move(found.notes);
  for (const auto& [name, view] : found.tensors)
    if (!tensors.emplace(name, views.read(name, *view, storages.find(view->storage.key)->second.content)).second)
      throw bad("each name once", text(printable(name), " twice"));
  return tensors;
}

} // namespace dynofa
