#include "dynofa/core/output.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"

namespace dynofa_test::core_output {

using namespace dynofa;
using support::sentence;

TEST_CASE("a place to write is found good or bad before the work, and left as it was") {
  const support::scratch_folder folder;
  const auto here = [&](const char* name) { return folder.path() / name; };
  CHECK(sentence([&] { require_writable(here("new")); }) == "(no error)");
  CHECK(folder.files() == 0);
  support::write_text(here("old"), "content");
  CHECK(sentence([&] { require_writable(here("old")); }) == "(no error)");
  CHECK(support::read_text(here("old")) == "content");
  CHECK(folder.files() == 1);
  const auto refused = [&](const std::filesystem::path& path, const char* why) {
    CHECK(sentence([&] { require_writable(path); }) ==
          text(path.string(), ": expected a file that can be written, got ", why));
  };
  refused(here("none") / "file", "No such file or directory");
  refused(here("old") / "file", "Not a directory");
  refused(folder.path(), "a folder");
  refused(here("none/"), "a folder");
  refused("", "no name");
  CHECK(sentence([&] { require_writable("/dev/null"); }) == "(no error)");
  CHECK(sentence([&] { require_writable("/proc/new"); }).starts_with("/proc/new: expected a file"));
}

TEST_CASE("a folder is made, or one sentence says why not") {
  const support::scratch_folder folder;
  make_folder(folder.path() / "a" / "b");
  CHECK(std::filesystem::is_directory(folder.path() / "a" / "b"));
  make_folder(folder.path() / "a" / "b");
  make_folder((folder.path() / "a" / "b").string() + "/");
  support::write_text(folder.path() / "file", "");
  CHECK(sentence([&] { make_folder(folder.path() / "file"); }).find("file: expected a folder") != std::string::npos);
  CHECK(sentence([&] { make_folder(folder.path() / "file" / "c"); }).find(": expected a folder") != std::string::npos);
  CHECK(sentence([&] { make_folder("/proc/new"); }).starts_with("/proc/new: expected a folder"));
}

TEST_CASE("a log that the disk does not take is told") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "log";
  auto log = open_to_write(path);
  log << "line " << 1024 << ' ' << 0.5 << '\n'; // the tests' locale would say 1.024 0,5
  CHECK(sentence([&] { require_written(log, path); }) == "(no error)");
  CHECK(support::read_text(path) == "line 1024 0.5\n");
  CHECK(sentence([&] { open_to_write(folder.path() / "none" / "log"); }).find("got No such file") != std::string::npos);
  if (::access("/dev/full", W_OK) != 0) return;
  auto full = open_to_write("/dev/full");
  full << "line\n";
  CHECK(
      sentence([&] { require_written(full, "/dev/full"); }).starts_with("/dev/full: expected to write the file, got "));
  CHECK(sentence([&] { replace_file("/dev/full", "line\n"); }) ==
        "/dev/full: expected to write the file, got No space left on device");
  CHECK_FALSE(std::filesystem::is_regular_file("/dev/full")); // it was not replaced
}

} // namespace dynofa_test::core_output
