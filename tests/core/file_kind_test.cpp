#include "dynofa/core/file.hpp"
#include "dynofa/core/file_kind.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"

namespace dynofa_test::core_file_kind {

using namespace dynofa;
using namespace support;
using namespace std::string_literals;

namespace {
const std::string pointer =
    "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') + "\nsize 40310412\n";
const std::string lfs = "a git-lfs pointer (`git lfs pull` fetches the file that it stands for)";
const std::string html = "an HTML page (of a download that failed?)";
} // namespace

TEST_CASE("files of other kinds are called by their names") {
  CHECK(kind_of_content("") == "an empty file");
  CHECK(kind_of_content(pointer) == lfs);
  CHECK(kind_of_content("version https://hawser.github.com/spec/v1\n") == lfs);
  CHECK(kind_of_content("/annex/objects/SHA256E-s1--a.pth\n").starts_with("a git-annex pointer"));
  for (auto* page :
       {"<!DOCTYPE html>\n<html>", "\n  <HTML lang=en>", "\xEF\xBB\xBF<!doctype HTML PUBLIC", "<head><title>"})
    CHECK(kind_of_content(page) == html);
  CHECK(kind_of_content("<?xml version=\"1.0\"?><Error><Code>AccessDenied") ==
        "an XML page (of a download that failed?)");
  CHECK(kind_of_content("\x1F\x8B\x08\0"s) == "a gzip archive");
  CHECK(kind_of_content("PK\3\4 and so on") == "a zip archive");
  CHECK(kind_of_content("\x89HDF\r\n\x1A\n") == "an HDF5 file");
  CHECK(kind_of_content("RIFF\1\2\3\4WEBPVP8 ") == "a WebP image");
  CHECK(kind_of_content(std::string(257, 'n') + "ustar\0rest"s) == "a tar archive");
  CHECK(kind_of_content(std::string(40, '\0')) == "zeros (of a download that was not finished?)");
  for (auto content : {"hello"s, "{\"a\": 1}"s, "\x80\x02}."s, "version 2\n"s, " "s, "<svg>"s, std::string(300, 'x')})
    CHECK(kind_of_content(content) == "");
}

TEST_CASE("whoever reads a file is told what stands in its place") {
  const scratch_folder folder;
  const auto path = folder.path() / "net.pth";
  for (const auto& [content, kind] : {std::pair(pointer, lfs), std::pair("<!DOCTYPE html>\n"s, html)}) {
    write_text(path, content);
    const auto wanted = path.string() + ": expected the file itself, got " + kind;
    CHECK(sentence([&] { map_file(path); }) == wanted);
    CHECK(sentence([&] { read_bytes(path); }) == wanted);
  }
}

} // namespace dynofa_test::core_file_kind
