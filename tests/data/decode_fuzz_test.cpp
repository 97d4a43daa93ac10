// ctest: fuzz
#include "dynofa/core/random.hpp"
#include "dynofa/data/decode.hpp"
#include "dynofa/data/draw.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <algorithm>
#include <cstdint>
#include <vector>

namespace dynofa_test::data_decode_fuzz {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

namespace {

/// One to four bytes overwritten, or a piece removed or doubled.
void damage(std::vector<std::byte>& file, random_stream& random) {
  const auto place = [&] { return random.below(static_cast<std::uint32_t>(file.size())); };
  const auto kind = random.below(8);
  if (kind < 6) {
    for (auto n = random.below(4) + 1; n > 0; --n) file[place()] = static_cast<std::byte>(random.below(256));
    return;
  }
  const auto from = place();
  const auto length = std::min<std::ptrdiff_t>(random.below(30) + 1, static_cast<std::ptrdiff_t>(file.size() - from));
  const auto first = file.begin() + from;
  if (kind == 6) {
    file.erase(first, first + length);
  } else {
    const std::vector<std::byte> piece(first, first + length);
    file.insert(first, piece.begin(), piece.end());
  }
}

/// Decodes `rounds` damaged versions: each gives a whole picture within the limits or errc::bad_file / unsupported.
void fuzz(const std::vector<std::byte>& intact, int rounds, std::uint64_t seed, bool mend) {
  random_stream random(seed, "fuzz");
  const decode_limits limits{.pixels = 200'000, .side = 3000};
  int pictures = 0, faults = 0;
  for (int round = 0; round < rounds; ++round) {
    auto file = intact;
    damage(file, random);
    if (mend) mend_checksums(file);
    try {
      const image picture = decode(file, limits);
      const auto pixels = std::int64_t{picture.height} * picture.width;
      REQUIRE(pixels <= limits.pixels);
      REQUIRE(picture.pixels.size() == static_cast<std::size_t>(pixels) * 3);
      ++pictures;
    } catch (const error& fault) {
      const bool expected = fault.code() == errc::bad_file || fault.code() == errc::unsupported;
      if (!expected) FAIL(fault.what());
      ++faults;
    }
  }
  MESSAGE(rounds, " damaged files: ", pictures, " pictures, ", faults, " refused");
  CHECK(faults > rounds / 50); // the damage is real, and not everything is turned away at the door
  CHECK(pictures > 0);
}

std::vector<std::byte> golden_file(std::string_view name) {
  for (const auto& entry : golden("pil_decode.json").at("files"))
    if (entry.at("name") == name) return from_hex(entry.at("file").get<std::string>());
  return {};
}

} // namespace

TEST_CASE("20 000 damaged JPEG files") {
  fuzz(encode_jpeg(draw_landscape(24, 33, 3), 80), 10'000, 1, false);
  fuzz(golden_file("jpeg progressive"), 6'000, 2, false);
  fuzz(golden_file("jpeg cmyk"), 4'000, 3, false);
}

TEST_CASE("20 000 damaged PNG files") {
  fuzz(encode_png(draw_landscape(24, 33, 3)), 6'000, 4, false);
  fuzz(encode_png(draw_landscape(24, 33, 3)), 6'000, 5, true);
  fuzz(golden_file("png interlaced"), 4'000, 6, true);
  fuzz(golden_file("png palette 4"), 4'000, 7, true);
}

} // namespace dynofa_test::data_decode_fuzz
