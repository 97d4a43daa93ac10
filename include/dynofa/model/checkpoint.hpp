#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file.hpp"
#include "dynofa/model/safetensors.hpp"
#include "dynofa/model/tensor.hpp"
#include "dynofa/model/torch_legacy.hpp"
#include "dynofa/model/torch_zip.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace dynofa {

/// The tensors of a file under the names the file gives them (`with_canonical_keys` unifies those).
struct checkpoint {
  state_dict tensors;                          ///< as the file calls them
  std::map<std::string, std::string> metadata; ///< of safetensors; the torch formats have none
  std::string format;                          ///< "safetensors", "torch legacy" or "torch zip"
  reading_notes notes = {};                    ///< which of several sets of weights these are, and what was left out
};

/// Reads a checkpoint from memory; the format is told by the first bytes, never by the name. `where` names it in
/// errors; `weights` says which to take of several sets of weights in it, such as "state_dict_ema".
inline checkpoint read_checkpoint(const file_bytes& file, std::string_view where, std::string_view weights = "") {
  const auto bytes = file.bytes;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto read_torch = [&](auto read, const char* format) {
    checkpoint c{{}, {}, format};
    c.tensors = read(file, where, weights, &c.notes);
    return c;
  };
  if (head.starts_with("PK\3\4") || head.starts_with("PK\5\6")) return read_torch(&read_torch_zip, "torch zip");

  // Safetensors begin with a 64-bit length. A header below 2^40 bytes tells them from pickles, whose magic fills the
  // length.
  std::uint64_t header_size = 0;
  if (bytes.size() > 8) std::memcpy(&header_size, bytes.data(), 8);
  if (bytes.size() > 8 && header_size >> 40 == 0 && head[8] == '{') {
    if (!weights.empty())
      throw error(errc::invalid_argument, where, text("several sets of weights, one of them ", printable(weights)),
                  "safetensors, which hold one");
    auto [tensors, metadata] = read_safetensors(file, where);
    return {std::move(tensors), std::move(metadata), "safetensors"};
  }
  if (head.starts_with('\x80')) return read_torch(&read_torch_legacy, "torch legacy");

  const char* const expected = "a checkpoint (safetensors, or torch's zip or legacy format)";
  if (const auto kind = kind_of_content(head); !kind.empty()) throw error(errc::bad_file, where, expected, kind);
  std::string first;
  for (auto byte : bytes.first(std::min<std::size_t>(bytes.size(), 8)))
    for (int shift : {4, 0}) first += "0123456789abcdef"[std::to_integer<int>(byte) >> shift & 15];
  throw error(errc::bad_file, where, expected, text(bytes.size(), " bytes that begin with ", first));
}

/// Reads a checkpoint file: safetensors, or a state dict that torch saved in its zip or legacy format, alone or beside
/// whatever else a training script keeps. `notes` of the result say which weights were taken and what was left out.
///
/// The file is mapped; tensors of safetensors and legacy files point into the mapping (no copy), those of zip files are
/// unpacked once. Nothing in the file is ever executed. Every fault is one dynofa::error sentence: errc::io for a file
/// that cannot be read, errc::bad_file for an empty, truncated, oversized, altered or unknown one, errc::unsupported
/// for element types and variants beyond those named above.
inline checkpoint read_checkpoint(const std::filesystem::path& path, std::string_view weights = "") {
  return read_checkpoint(map_file(path), path.string(), weights);
}

} // namespace dynofa
