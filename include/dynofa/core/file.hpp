#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/file_kind.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace dynofa {

/// Bytes and whoever keeps them alive: a mapped file or a buffer.
struct file_bytes {
  std::span<const std::byte> bytes;  ///< the content
  std::shared_ptr<const void> owner; ///< of what `bytes` points to; copies share it

  /// The bytes as characters, UTF-8 or not.
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

namespace detail {

/// A file descriptor that closes itself.
class descriptor {
public:
  explicit descriptor(int fd)
      : fd_{fd} {}
  descriptor(descriptor&& other) noexcept
      : fd_{std::exchange(other.fd_, -1)} {}
  descriptor& operator=(descriptor&& other) noexcept { return std::swap(fd_, other.fd_), *this; }
  ~descriptor() { close(); }
  bool close() noexcept { return fd_ < 0 || ::close(std::exchange(fd_, -1)) == 0; }
  int get() const { return fd_; }

private:
  int fd_;
};

/// `call()` again and again while a signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

/// The first line of a small file, as those of /sys, at most 200 bytes of it; empty if there is none.
inline std::string first_line(const std::filesystem::path& file) {
  std::string line;
  std::ifstream in(file);
  std::getline(in, line);
  return line.substr(0, 200);
}

inline std::string errno_text() { return std::system_category().message(errno); }

/// What memory about to be used is for.
enum class touch { read, write };

/// Brings all pages of `[start, start + bytes)` in with one system call (Linux 5.14) instead of one fault each. A
/// hint: elsewhere nothing happens. On a virtual machine, where a fault costs microseconds, loading a family of 22 MB
/// took 160 to 250 ms without it.
inline void bring_in([[maybe_unused]] const void* start, [[maybe_unused]] std::size_t bytes,
                     [[maybe_unused]] touch use) {
#if defined(MADV_POPULATE_READ) && defined(MADV_POPULATE_WRITE)
  constexpr std::size_t page = 4096;
  if (bytes < 16 * page) return;
  const auto first = (reinterpret_cast<std::uintptr_t>(start) + page - 1) / page * page; // whole pages only
  const auto last = (reinterpret_cast<std::uintptr_t>(start) + bytes) / page * page;
  const int fault = errno; // not ours to change
  (void)::madvise(reinterpret_cast<void*>(first), last - first,
                  use == touch::read ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
  errno = fault;
#endif
}

/// A file that was not there, open for reading and writing, and its name, which begins with that of `path`. A process
/// that was killed left such a file behind, perhaps one of our number (the first process of a container): then another
/// name is tried. Negative, with errno, where that cannot be.
inline std::pair<descriptor, std::string> make_beside(const std::filesystem::path& path, mode_t mode) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0;; ++attempt) {
    std::string name = text(path.string(), ".", ::getpid(), "-", counter++, ".tmp");
    const int fd = uninterrupted([&] { return ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode); });
    if (fd >= 0 || errno != EEXIST || attempt == 10'000) return {descriptor{fd}, std::move(name)};
  }
}

/// Refuses what stands for a file and is not the file.
inline void expect_the_file_itself(std::string_view content, const std::filesystem::path& path) {
  if (std::string kind = stand_in(content); !kind.empty())
    throw error(errc::bad_file, path.string(), "the file itself", std::move(kind));
}

/// A regular file, open for reading, and its size. Throws errc::io.
inline std::pair<descriptor, std::size_t> open_to_read(const std::filesystem::path& path) {
  const auto refused = [&](std::string got) {
    return error(errc::io, path.string(), "a readable file", std::move(got));
  };
  descriptor fd{uninterrupted([&] {
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // NONBLOCK: a FIFO must not hang us
  })};
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) throw refused(errno_text());
  if (!S_ISREG(status.st_mode)) throw refused(S_ISDIR(status.st_mode) ? "a folder" : "something that is not a file");
  return {std::move(fd), static_cast<std::size_t>(status.st_size)};
}

/// Whether there is something at `path` that is neither a file nor a folder, such as /dev/stdout: it can be written to,
/// and must not be replaced.
inline bool is_device(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

/// Writes all of `parts`; false, with errno, where that fails.
inline bool write_all(int fd, std::span<const std::span<const std::byte>> parts) {
  for (auto part : parts)
    while (!part.empty()) {
      const auto written = ::write(fd, part.data(), part.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      part = part.subspan(static_cast<std::size_t>(written));
    }
  return true;
}

} // namespace detail

/// Maps a regular file for reading: pages come in as they are touched and nothing is copied.
///
/// The mapping follows the inode, so replacing the file (as `replace_file` does) leaves it intact; truncating the file
/// in place under a living mapping is undefined, as for every mapped file. An empty file gives no bytes. Throws
/// errc::io, and errc::bad_file for a git-lfs pointer or an HTML page in the file's place.
inline file_bytes map_file(const std::filesystem::path& path) {
  const auto opened = detail::open_to_read(path);
  const std::size_t size = opened.second;
  if (size == 0) return {};
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, opened.first.get(), 0);
  if (data == MAP_FAILED) throw error(errc::io, path.string(), "a readable file", detail::errno_text());
  std::shared_ptr<const void> owner(data, [size](void* mapped) { ::munmap(mapped, size); });
  file_bytes file{{static_cast<const std::byte*>(data), size}, std::move(owner)};
  detail::expect_the_file_itself(file.text(), path);
  return file;
}

/// The bytes of a regular file of at most `limit` bytes: a copy, which a file that shrinks meanwhile does not harm.
/// Throws errc::io, or errc::bad_file for a larger one and for a git-lfs pointer or an HTML page in its place.
inline std::vector<std::byte> read_bytes(const std::filesystem::path& path, std::size_t limit = 256u << 20) {
  const auto opened = detail::open_to_read(path);
  const std::size_t size = opened.second;
  if (size > limit)
    throw error(errc::bad_file, path.string(), text("a file of at most ", limit, " bytes"), text(size, " bytes"));
  std::vector<std::byte> bytes(size);
  for (std::size_t done = 0; done < size;) {
    const auto got =
        detail::uninterrupted([&] { return ::read(opened.first.get(), bytes.data() + done, size - done); });
    if (got <= 0)
      throw error(errc::io, path.string(), "a readable file",
                  got < 0 ? detail::errno_text() : "one that became shorter");
    done += static_cast<std::size_t>(got);
  }
  detail::expect_the_file_itself({reinterpret_cast<const char*>(bytes.data()), size}, path);
  return bytes;
}

/// `visit(line, where)` for every line of `source` that is not blank; `where` is "NAME line 7". Throws errc::bad_file
/// for a line above 64 KiB and for no text at all.
template <class Visit>
void for_each_line(std::string_view source, std::string_view name, Visit visit) {
  if (source.empty()) throw error(errc::bad_file, name, "at least one line", "an empty file");
  for (std::size_t number = 1; !source.empty(); ++number) {
    const auto end = source.find('\n');
    const std::string_view line = source.substr(0, end);
    source.remove_prefix(end == source.npos ? source.size() : end + 1);
    if (line.size() > 65536)
      throw error(errc::bad_file, text(name, " line ", number), "at most 64 KiB", "a longer line");
    if (line.find_first_not_of(" \t\r") != line.npos) visit(line, text(name, " line ", number));
  }
}

/// Writes `parts` one after the other as the new content of `path`: temporary file in the same folder, fsync, rename.
///
/// Readers see the old content or the new, never a mixture; on any failure the old file stays, the temporary one is
/// removed and errc::io is thrown. A process that is killed leaves its temporary file, which disturbs nobody. A device
/// or a pipe at `path` is written to in place.
inline void replace_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts) {
  const auto refused = [&] { return error(errc::io, path.string(), "to write the file", detail::errno_text()); };
  if (detail::is_device(path)) {
    const detail::descriptor device{detail::uninterrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CLOEXEC); })};
    if (device.get() < 0 || !detail::write_all(device.get(), parts)) throw refused();
    return;
  }
  auto made = detail::make_beside(path, 0666);
  detail::descriptor& fd = made.first;
  const std::string& temporary = made.second;
  if (fd.get() < 0) throw refused();
  const auto give_up = [&] {
    const error fault = refused(); // before unlink changes errno
    ::unlink(temporary.c_str());
    return fault;
  };
  if (!detail::write_all(fd.get(), parts) || detail::uninterrupted([&] { return ::fsync(fd.get()); }) != 0 ||
      !fd.close() || ::rename(temporary.c_str(), path.c_str()) != 0)
    throw give_up();

  // The rename itself is durable once the folder is synced; a folder that cannot be opened or synced loses nothing
  // else.
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (const detail::descriptor opened{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)}; opened.get() >= 0)
    (void)::fsync(opened.get());
}
/// The same with one piece of content.
inline void replace_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  replace_file(path, std::span(&bytes, 1));
}
/// The same with a text.
inline void replace_file(const std::filesystem::path& path, std::string_view content) {
  replace_file(path, std::as_bytes(std::span(content)));
}

} // namespace dynofa
