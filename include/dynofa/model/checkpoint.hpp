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
  state_dict tensors;
  std::map<std::string, std::string> metadata; ///< of safetensors; the torch formats have none
  std::string format;                          ///< "safetensors", "torch legacy" or "torch zip"
};

/// Reads a checkpoint from memory; the format is told by the first bytes, never by the name. `where` names it in
/// errors.
inline checkpoint read_checkpoint(const file_bytes& file, std::string_view where) {
  const auto bytes = file.bytes;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.empty()) throw error(errc::bad_file, where, "a checkpoint", "an empty file");
  if (head.starts_with("PK\3\4") || head.starts_with("PK\5\6")) return {read_torch_zip(file, where), {}, "torch zip"};

  // Safetensors begin with a 64-bit length. A header below 2^40 bytes tells them from pickles, whose magic fills the
  // length.
  std::uint64_t header_size = 0;
  if (bytes.size() > 8) std::memcpy(&header_size, bytes.data(), 8);
  if (bytes.size() > 8 && header_size >> 40 == 0 && head[8] == '{') {
    auto [tensors, metadata] = read_safetensors(file, where);
    return {std::move(tensors), std::move(metadata), "safetensors"};
  }
  if (head[0] == '\x80') return {read_torch_legacy(file, where), {}, "torch legacy"};

  std::string first;
  for (auto byte : bytes.first(std::min<std::size_t>(bytes.size(), 8)))
    for (int shift : {4, 0}) first += "0123456789abcdef"[std::to_integer<int>(byte) >> shift & 15];
  throw error(errc::bad_file, where, "a checkpoint (safetensors, or torch's zip or legacy format)",
              text(bytes.size(), " bytes that begin with ", first));
}

/// Reads a checkpoint file: safetensors, or a state dict that torch saved in its zip or legacy format.
///
/// The file is mapped; tensors of safetensors and legacy files point into the mapping (no copy), those of zip files are
/// unpacked once. Nothing in the file is ever executed. Every fault is one dynofa::error sentence: errc::io for a file
/// that cannot be read, errc::bad_file for an empty, truncated, oversized, altered or unknown one, errc::unsupported
/// for element types, classes and variants beyond those named above.
inline checkpoint read_checkpoint(const std::filesystem::path& path) {
  return read_checkpoint(map_file(path), path.string());
}

} // namespace dynofa
