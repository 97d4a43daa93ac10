#include "dynofa/model/checkpoint.hpp"
#include "dynofa/model/keys.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/torch_writer.hpp"

namespace dynofa_test::model_checkpoint {

using namespace dynofa;

namespace {
const std::filesystem::path golden = std::filesystem::path(DYNOFA_SOURCE_DIR) / "tests/golden/tiny";
}

TEST_CASE("the four files of one super-network give the same 475 tensors bit for bit") {
  const auto truth = read_checkpoint(golden / "supernet.safetensors");
  CHECK(truth.format == "safetensors");
  CHECK(truth.metadata.at("net") == "tiny");
  REQUIRE(truth.tensors.size() == 475);
  CHECK(style_of(truth.tensors, "truth") == key_style::supernet_new);

  struct expectation {
    const char *name, *format;
    key_style style;
  };
  for (const auto& expected_of :
       {expectation{"supernet_legacy.pth", "torch legacy", key_style::supernet_new},
        expectation{"supernet_legacy_official_style.pth", "torch legacy", key_style::supernet_old},
        expectation{"supernet_zip.pth", "torch zip", key_style::supernet_new}}) {
    const auto* name = expected_of.name; // clang 14 cannot capture structured bindings, as CAPTURE does
    CAPTURE(name);
    const auto read = read_checkpoint(golden / name);
    CHECK(read.format == expected_of.format);
    CHECK(read.metadata.empty());
    CHECK(style_of(read.tensors, name) == expected_of.style);
    const auto tensors = with_canonical_keys(read.tensors, name);
    REQUIRE(tensors.size() == 475);
    for (const auto& named : truth.tensors) {
      const auto& key = named.first;
      const auto& expected = named.second;
      CAPTURE(key);
      const auto& got = tensors.at(key);
      CHECK(got.type == expected.type);
      CHECK(got.shape == expected.shape);
      CHECK(std::ranges::equal(got.bytes, expected.bytes));
    }
  }
}

TEST_CASE("faults of the file are one sentence each") {
  const support::scratch_folder folder;
  const auto path = folder.path() / "net.pth";
  const auto said = [&](std::string_view content) {
    support::write_text(path, content);
    const auto whole = support::sentence([&] { read_checkpoint(path); });
    REQUIRE(whole.starts_with(path.string()));
    return whole.substr(path.string().size());
  };
  CHECK(support::sentence([&] { read_checkpoint(path); }) ==
        path.string() + ": expected a readable file, got No such file or directory");
  CHECK(said("") == ": expected a checkpoint (safetensors, or torch's zip or legacy format), got an empty file");
  CHECK(said("\x1f\x8b\x08") ==
        ": expected a checkpoint (safetensors, or torch's zip or legacy format), got a gzip archive");
  CHECK(said("<!DOCTYPE html>\n<html>") == ": expected the file itself, got an HTML page (of a download that failed?)");
  CHECK(support::sentence([] { read_checkpoint(support::in_memory("<html>"), "f"); }) ==
        "f: expected a checkpoint (safetensors, or torch's zip or legacy format), got an HTML page (of a download that "
        "failed?)");
  CHECK(support::sentence([&] { read_checkpoint(folder.path()); }) ==
        folder.path().string() + ": expected a readable file, got a folder");
  CHECK(said("hello, this is no checkpoint") == ": expected a checkpoint (safetensors, or torch's zip or legacy "
                                                "format), got 28 bytes that begin with 68656c6c6f2c2074");
  CHECK(said("{") ==
        ": expected a checkpoint (safetensors, or torch's zip or legacy format), got 1 bytes that begin with 7b");

  // each golden file, cut in the middle and with a byte too many
  const auto cut = [&](const char* name) {
    const auto content = support::read_text(golden / name);
    return said(std::string_view(content).substr(0, 800'000));
  };
  CHECK(cut("supernet.safetensors") == ": expected 1598952 bytes, got 800000 bytes (truncated)");
  CHECK(cut("supernet_legacy.pth") == ": expected 1649918 bytes, got 800000 bytes (truncated)");
  CHECK(cut("supernet_zip.pth") ==
        ": expected a complete zip archive, got 800000 bytes without a directory at the end (truncated)");
  const auto longer = [&](const char* name) { return said(support::read_text(golden / name) + "x"); };
  CHECK(longer("supernet.safetensors") == ": expected 1598952 bytes, got 1598953 bytes (trailing bytes)");
  CHECK(longer("supernet_legacy_official_style.pth") == ": expected 1630470 bytes, got 1630471 bytes (trailing bytes)");
  CHECK(longer("supernet_zip.pth") ==
        ": expected a complete zip archive, got 1724381 bytes that libzip refuses (Zip archive inconsistent)");
}

TEST_CASE("a short safetensors header is not taken for a pickle") {
  const std::string header = "{" + std::string(0x27f, ' ') + "}"; // its length begins with the bytes of a pickle, 80 02
  const auto content = support::raw<std::uint64_t>(0x280) + header.substr(0, 0x27f) + "}";
  const auto read = read_checkpoint(support::in_memory(content), "f");
  CHECK(read.format == "safetensors");
  CHECK(read.tensors.empty());
}

} // namespace dynofa_test::model_checkpoint
