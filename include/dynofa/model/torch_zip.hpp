#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/pickle.hpp"
#include "dynofa/model/tensor.hpp"
#include "dynofa/model/torch_tensors.hpp"

#include <zip.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace dynofa {
namespace detail {

/// The entries of a zip archive in memory. Whatever the archive claims, all it unpacks stays below 16 times its own
/// size plus 64 MiB: torch stores weights as they are, and deflate gains little on them.
class zip_reader {
public:
  zip_reader(const file_bytes& file, std::string_view where)
      : where_{where}
      , budget_{16 * static_cast<std::uint64_t>(file.bytes.size()) + (64u << 20)} {
    zip_error_t fault;
    zip_error_init(&fault);
    zip_source_t* source = zip_source_buffer_create(file.bytes.data(), file.bytes.size(), 0, &fault);
    zip_t* opened = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &fault) : nullptr;
    if (!opened) {
      if (source) zip_source_free(source);
      // the directory is at the end of an archive, so it is what a truncated one lacks
      const std::string reason = zip_error_code_zip(&fault) == ZIP_ER_NOZIP
                                     ? "without a directory at the end (truncated)"
                                     : text("that libzip refuses (", zip_error_strerror(&fault), ")");
      zip_error_fini(&fault);
      throw bad("a complete zip archive", text(file.bytes.size(), " bytes ", reason));
    }
    zip_error_fini(&fault);
    archive_.reset(opened);

    const auto count = zip_get_num_entries(opened, 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* name = zip_get_name(opened, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      if (!name) throw bad("names for all entries of the archive", "one without");
      index_.emplace(name, i); // libzip has refused names that stand twice
    }
  }

  const std::map<std::string, zip_int64_t, std::less<>>& entries() const { return index_; }

  /// The content of an entry, unpacked and its CRC checked; nothing if there is no such entry.
  std::optional<file_bytes> read(const std::string& name, std::uint64_t largest) {
    const auto found = index_.find(name);
    if (found == index_.end()) return std::nullopt;
    const auto index = static_cast<zip_uint64_t>(found->second);
    const auto entry = text("entry ", printable(name));

    zip_stat_t stat;
    constexpr zip_uint64_t needed =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(archive_.get(), index, 0, &stat) != 0 || (stat.valid & needed) != needed)
      throw bad(text("sizes of ", entry), "none");
    if (stat.encryption_method != ZIP_EM_NONE)
      throw error(errc::unsupported, where_, text(entry, " in clear"), "encryption");
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
      throw error(errc::unsupported, where_, text(entry, " stored or deflated"), text("zip method ", stat.comp_method));
    if (stat.size > largest) throw bad(text("at most ", largest, " bytes in ", entry), text(stat.size));
    if (stat.comp_method == ZIP_CM_STORE && stat.size != stat.comp_size)
      throw bad(text(stat.comp_size, " bytes in the stored ", entry), text(stat.size));
    if (stat.size > budget_)
      throw bad("entries in proportion to the archive", text(stat.size, " more bytes in ", entry));
    budget_ -= stat.size;

    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> opened(zip_fopen_index(archive_.get(), index, 0),
                                                                   zip_fclose);
    if (!opened) throw bad(text("a readable ", entry), zip_error_strerror(zip_get_error(archive_.get())));
    // not initialised: each weight is written once, by the unpacker (g++ 11 has no make_shared_for_overwrite)
    const std::shared_ptr<std::byte[]> buffer(new std::byte[static_cast<std::size_t>(stat.size) + 1]);
    std::size_t size = 0;
    for (zip_int64_t got = 1; got != 0; size += static_cast<std::size_t>(got)) {
      got = zip_fread(opened.get(), &buffer[size], stat.size + 1 - size); // one more: libzip checks the CRC at the end
      if (got < 0) throw bad(text("an intact ", entry), zip_error_strerror(zip_file_get_error(opened.get())));
      if (size + static_cast<std::size_t>(got) > stat.size) throw bad(text(stat.size, " bytes in ", entry), "more");
    }
    if (size != stat.size) throw bad(text(stat.size, " bytes in ", entry), text(size));
    return file_bytes{{buffer.get(), size}, buffer};
  }

private:
  error bad(std::string expected, std::string got) const {
    return {errc::bad_file, where_, std::move(expected), std::move(got)};
  }

  std::string_view where_;
  std::unique_ptr<zip_t, void (*)(zip_t*)> archive_{nullptr, zip_discard};
  std::map<std::string, zip_int64_t, std::less<>> index_;
  std::uint64_t budget_; // bytes still to be unpacked
};

} // namespace detail

/// Reads torch's format since version 1.6: a zip archive with NAME/data.pkl, one NAME/data/KEY per storage and perhaps
/// NAME/byteorder. Only storages of the state dict are read, each once (one copy out of the archive).
///
/// `where` names the file in errors, `weights` one of several sets of weights (`find_weights`). Throws errc::bad_file,
/// errc::unsupported (big-endian, encrypted, other compression).
inline state_dict read_torch_zip(const file_bytes& file, std::string_view where, std::string_view weights = "",
                                 reading_notes* notes = nullptr) {
  const auto bad = [&](std::string expected, std::string got) {
    return error(errc::bad_file, where, std::move(expected), std::move(got));
  };
  detail::zip_reader archive(file, where);

  std::string root; // "NAME/"
  for (const auto& [name, index] : archive.entries())
    if (const auto slash = name.find('/'); slash != name.npos && std::string_view(name).substr(slash) == "/data.pkl") {
      if (!root.empty()) throw bad("one data.pkl", "several");
      root = name.substr(0, slash + 1);
    }
  if (root.empty()) throw bad("an archive with NAME/data.pkl", text(archive.entries().size(), " entries without it"));
  if (const auto order = archive.read(root + "byteorder", 16)) {
    const std::string_view s(reinterpret_cast<const char*>(order->bytes.data()), order->bytes.size());
    if (s != "little") throw error(errc::unsupported, where, "little-endian data", text("byteorder ", printable(s)));
  }

  const auto pickled = archive.read(root + "data.pkl", pickle::limits{}.bytes);
  const auto object = pickle::read(pickled->bytes, text(where, ", ", root, "data.pkl"));
  if (object.size != pickled->bytes.size())
    throw bad(text(object.size, " bytes in data.pkl"), text(pickled->bytes.size(), " (trailing bytes)"));

  struct storage {
    pickle::storage_ref ref;
    file_bytes content;
  };
  std::unordered_map<std::string_view, storage> storages;
  const auto storage_of = [&](const pickle::storage_ref& ref) -> const file_bytes& {
    auto [known, is_new] = storages.try_emplace(ref.key, storage{ref, {}});
    auto& [first_ref, content] = known->second;
    if (first_ref.type != ref.type || first_ref.numel != ref.numel)
      throw bad(text("one type and size for storage ", printable(ref.key)),
                text(name_of(first_ref.type), " × ", first_ref.numel, " and ", name_of(ref.type), " × ", ref.numel));
    if (!is_new) return content;
    const auto size = byte_count({ref.numel}, ref.type);
    if (!size) throw bad("a storage that fits 64 bits", text(ref.numel, " elements"));
    auto found = archive.read(text(root, "data/", ref.key), *size);
    if (!found) throw bad(text("an entry data/", printable(ref.key)), "an archive without it");
    if (found->bytes.size() != *size)
      throw bad(text(*size, " bytes in data/", printable(ref.key)), text(found->bytes.size()));
    return content = std::move(*found);
  };

  state_dict tensors;
  torch_view_reader views(where, copy_budget_of(file.bytes.size()));
  weight_set found = find_weights(object, where, weights);
  if (notes) *notes = std::move(found.notes);
  for (const auto& [name, view] : found.tensors)
    if (!tensors.emplace(name, views.read(name, *view, storage_of(view->storage))).second)
      throw bad("each name once", text(printable(name), " twice"));
  return tensors;
}

} // namespace dynofa
