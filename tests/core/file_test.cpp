#include "dynofa/core/file.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <csignal>

namespace dynofa_test::core_file {

using namespace dynofa;
using namespace support;

namespace {
std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }
} // namespace

TEST_CASE("a mapped file keeps its content while others replace it") {
  const scratch_folder folder;
  const auto path = folder.path() / "a";
  write_text(path, "old content");
  const auto mapped = map_file(path);
  const std::span<const std::byte> parts[] = {bytes_of("new"), {}, bytes_of(" content")};
  replace_file(path, parts);
  CHECK(mapped.text() == "old content");
  CHECK(map_file(path).text() == "new content");
  CHECK(folder.files() == 1); // no temporary file is left
  replace_file(path, "a text");
  CHECK(read_text(path) == "a text");
  replace_file(path, bytes_of("bytes"));
  CHECK(read_text(path) == "bytes");
}

TEST_CASE("bytes are a copy of a file that is not too large") {
  const scratch_folder folder;
  const auto path = folder.path() / "b";
  const std::string content("\0\xff\n\r5", 5);
  write_text(path, content);
  const auto bytes = read_bytes(path, 5);
  CHECK(std::equal(bytes.begin(), bytes.end(), bytes_of(content).begin(), bytes_of(content).end()));
  CHECK(sentence([&] { read_bytes(path, 4); }) == path.string() + ": expected a file of at most 4 bytes, got 5 bytes");
  CHECK(sentence([&] { read_bytes(folder.path()); }) ==
        folder.path().string() + ": expected a readable file, got a folder");
  write_text(path, "");
  CHECK(read_bytes(path).empty());
}

TEST_CASE("lines that are not blank, with their numbers") {
  std::vector<std::string> seen;
  const auto note = [&](std::string_view line, const std::string& where) { seen.push_back(text(where, ": ", line)); };
  for_each_line("a\n \t\r\n\nb c\r\nd", "f", note);
  CHECK(seen == std::vector<std::string>{"f line 1: a", "f line 4: b c\r", "f line 5: d"});
  CHECK(sentence([&] { for_each_line("", "f", note); }) == "f: expected at least one line, got an empty file");
  const std::string longest(65536, 'x');
  for_each_line(longest + "\n", "f", note);
  CHECK(sentence([&] { for_each_line("a\n" + longest + " ", "f", note); }) ==
        "f line 2: expected at most 64 KiB, got a longer line");
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

TEST_CASE("temporaries of a killed process with our number do not keep us from writing, and stay") {
  const scratch_folder folder;
  const auto path = folder.path() / "a";
  const auto left_behind = [&](unsigned n) {
    write_text(text(path.string(), ".", ::getpid(), "-", n, ".tmp"), "half");
  };
  const auto begin = detail::make_beside(path, 0666).second; // where the names go on
  ::unlink(begin.c_str());
  const unsigned next = static_cast<unsigned>(std::stoul(begin.substr(begin.rfind('-') + 1))) + 1;
  for (unsigned n = next; n < next + 20; ++n) left_behind(n);
  std::filesystem::create_symlink("nowhere", text(path.string(), ".", ::getpid(), "-", next + 20, ".tmp"));
  for (const char* content : {"first", "second"}) {
    replace_file(path, content);
    CHECK(read_text(path) == content);
  }
  CHECK(folder.files() == 22);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  CHECK(std::filesystem::status(path).permissions() == std::filesystem::perms(0666 & ~mask));
}

TEST_CASE("text of a file is made printable and short") {
  CHECK(printable("weight") == "\"weight\"");
  CHECK(printable("a\nb\x80") == "\"a?b?\"");
  CHECK(printable(std::string(100, 'a')) == "\"" + std::string(60, 'a') + "…\"");
}

} // namespace dynofa_test::core_file
