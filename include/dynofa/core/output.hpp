#pragma once
#include "dynofa/core/file.hpp"

#include <stdlib.h> // NOLINT: mkstemp is POSIX
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>

// Where a program writes: found out before the work, and checked after it.

namespace dynofa {

/// Makes a folder, and those above it, where there is none. Throws errc::io.
inline void make_folder(const std::filesystem::path& path) {
  std::error_code fault;
  std::filesystem::create_directories(path, fault);
  if (std::error_code ignored; !fault && !std::filesystem::is_directory(path, ignored))
    throw error(errc::io, path.string(), "a folder", "something that is not one");
  if (fault) throw error(errc::io, path.string(), "a folder, or leave to make one", fault.message());
}

/// Throws errc::io unless `replace_file(path)` can write: the folder is there and takes a new file, `path` is none
/// itself. Call it before work whose result goes there. Leaves nothing behind; whether the disk has room it cannot
/// tell.
inline void require_writable(const std::filesystem::path& path) {
  const auto refuse = [&](std::string got) {
    throw error(errc::io, path.string(), "a file that can be written", std::move(got));
  };
  if (path.empty() || !path.has_filename()) refuse(path.empty() ? "no name" : "a folder");
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) refuse("a folder");
  if (detail::is_device(path)) {
    if (::access(path.c_str(), W_OK) != 0) refuse(detail::errno_text());
    return;
  }
  std::string trial = text(path.string(), ".XXXXXX");
  const detail::descriptor file{::mkstemp(trial.data())};
  if (file.get() < 0) refuse(detail::errno_text());
  ::unlink(trial.c_str());
}

/// Opens a file that is written as work goes on, such as a log; what was in it goes. Throws errc::io.
inline std::ofstream open_to_write(const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::binary);
  file.imbue(std::locale::classic()); // files do not follow the global locale
  if (!file) throw error(errc::io, path.string(), "a file that can be written", detail::errno_text());
  return file;
}

/// Throws errc::io unless all that went into `file` so far was taken. Call it before the file is closed.
inline void require_written(std::ostream& file, const std::filesystem::path& path) {
  errno = 0;
  if (file.flush()) return;
  throw error(errc::io, path.string(), "to write the file", errno ? detail::errno_text() : "a disk that is full");
}

} // namespace dynofa
