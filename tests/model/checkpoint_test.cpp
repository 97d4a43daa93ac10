#include "dynofa/model/checkpoint.hpp"
#include "dynofa/model/keys.hpp"

#include <doctest/doctest.h>

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
  for (auto [name, format, style] :
       {expectation{"supernet_legacy.pth", "torch legacy", key_style::supernet_new},
        expectation{"supernet_legacy_official_style.pth", "torch legacy", key_style::supernet_old},
        expectation{"supernet_zip.pth", "torch zip", key_style::supernet_new}}) {
    CAPTURE(name);
    const auto read = read_checkpoint(golden / name);
    CHECK(read.format == format);
    CHECK(read.metadata.empty());
    CHECK(style_of(read.tensors, name) == style);
    const auto tensors = with_canonical_keys(read.tensors, name);
    REQUIRE(tensors.size() == 475);
    for (const auto& [key, expected] : truth.tensors) {
      CAPTURE(key);
      const auto& got = tensors.at(key);
      CHECK(got.type == expected.type);
      CHECK(got.shape == expected.shape);
      CHECK(std::ranges::equal(got.bytes, expected.bytes));
    }
  }
}
