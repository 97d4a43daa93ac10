#include "dynofa/model/file.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <csignal>

namespace dynofa_test::model_file {

using namespace dynofa;
using namespace support;

namespace {
std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }
std::string_view text_of(const file_bytes& file) {
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}
} // namespace

TEST_CASE("a mapped file keeps its content while others replace it") {
  const scratch_folder folder;
  const auto path = folder.path() / "a";
  write_text(path, "old content");
  const auto mapped = map_file(path);
  const std::span<const std::byte> parts[] = {bytes_of("new"), {}, bytes_of(" content")};
  replace_file(path, parts);
  CHECK(text_of(mapped) == "old content");
  CHECK(text_of(map_file(path)) == "new content");
  CHECK(folder.files() == 1); // no temporary file is left
}

TEST_CASE("what cannot be read is told in one sentence") {
  const scratch_folder folder;
  const auto path = folder.path() / "absent";
  CHECK(sentence([&] { map_file(path); }) ==
        path.string() + ": expected a readable file, got No such file or directory");
  CHECK(sentence([&] { map_file(folder.path()); }) ==
        folder.path().string() + ": expected a readable file, got a folder");
  const auto fifo = folder.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(sentence([&] { map_file(fifo); }) ==
        fifo.string() + ": expected a readable file, got something that is not a file");
  write_text(path, "");
  CHECK(map_file(path).bytes.empty());
}

TEST_CASE("a write that fails leaves the old file and nothing else") {
  const scratch_folder folder;
  const auto path = folder.path() / "a";
  write_text(path, "old");
  const std::string large(100'000, 'x');
  const std::span<const std::byte> parts[] = {bytes_of(large)};

  // the file size limit stands in for a full disk: write(2) stores a part, then fails
  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 50'000;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto said = sentence([&] { replace_file(path, parts); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(said == path.string() + ": expected to write the file, got File too large");
  CHECK(read_text(path) == "old");
  CHECK(folder.files() == 1);

  // a folder in the file's place lets everything but the rename succeed
  const auto taken = folder.path() / "taken";
  std::filesystem::create_directory(taken);
  CHECK(sentence([&] { replace_file(taken, parts); }) ==
        taken.string() + ": expected to write the file, got Is a directory");
  CHECK(folder.files() == 2);

  const auto nowhere = folder.path() / "absent" / "a";
  CHECK(sentence([&] { replace_file(nowhere, parts); }) ==
        nowhere.string() + ": expected to write the file, got No such file or directory");
}

TEST_CASE("text of a file is made printable and short") {
  CHECK(printable("weight") == "\"weight\"");
  CHECK(printable("a\nb\x80") == "\"a?b?\"");
  CHECK(printable(std::string(100, 'a')) == "\"" + std::string(60, 'a') + "…\"");
}

} // namespace dynofa_test::model_file
