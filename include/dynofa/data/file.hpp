#pragma once
#include "dynofa/core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace dynofa::data {

/// The bytes of a regular file of at most `limit` bytes. Throws errc::io, or errc::bad_file for a larger one.
///
/// A copy and not a mapping: pictures are small, and a file that shrinks while it is decoded then does no harm.
inline std::vector<std::byte> read_bytes(const std::filesystem::path& path, std::uintmax_t limit = 256u << 20) {
  std::error_code fault;
  const auto status = std::filesystem::status(path, fault);
  const auto refused = [&](std::string got) {
    return error(errc::io, path.string(), "a readable file", std::move(got));
  };
  if (!std::filesystem::exists(status)) throw refused("no such file");
  if (!std::filesystem::is_regular_file(status))
    throw refused(std::filesystem::is_directory(status) ? "a folder" : "something that is not a file");
  const auto size = std::filesystem::file_size(path, fault);
  if (fault) throw refused(fault.message());
  if (size > limit)
    throw error(errc::bad_file, path.string(), text("a file of at most ", limit, " bytes"), text(size, " bytes"));
  std::vector<std::byte> bytes(size);
  std::ifstream in(path, std::ios::binary);
  if (!in || !in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size)))
    throw refused("a file that cannot be read");
  return bytes;
}

/// Makes `bytes` the content of `path` through a file beside it, so that a failure leaves the old content.
/// Throws errc::io.
inline void write_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  auto beside = path;
  beside += ".part";
  std::error_code fault;
  std::ofstream out(beside, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  const bool written = static_cast<bool>(out);
  if (written) std::filesystem::rename(beside, path, fault);
  if (written && !fault) return;
  std::error_code ignored;
  std::filesystem::remove(beside, ignored);
  throw error(errc::io, path.string(), "to write the file", written ? fault.message() : "a failure to write");
}

} // namespace dynofa::data
