// ctest: fuzz
#include "dynofa/data/decode.hpp"
#include "dynofa/data/draw.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include "support/fuzz.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace dynofa_test::data_decode_fuzz {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;
using namespace support;

namespace {

/// Damaged files give a whole picture within the limits, or errc::bad_file or unsupported.
void decode_damaged(const char* what, const std::vector<std::vector<std::byte>>& intact, std::size_t usual,
                    std::uint64_t seed, bool mend) {
  const decode_limits limits{.pixels = 200'000, .side = 3000};
  std::vector<std::string> forms;
  for (const auto& file : intact) forms.emplace_back(reinterpret_cast<const char*>(file.data()), file.size());
  const auto use = [&](const file_bytes& file, std::size_t) {
    std::vector<std::byte> bytes(file.bytes.begin(), file.bytes.end());
    if (mend) mend_checksums(bytes);
    try {
      const image picture = decode(bytes, limits, "f");
      const auto pixels = std::int64_t{picture.height} * picture.width;
      REQUIRE(pixels <= limits.pixels);
      REQUIRE(picture.pixels.size() == static_cast<std::size_t>(pixels) * 3);
    } catch (const error& fault) {
      REQUIRE((fault.code() == errc::bad_file || fault.code() == errc::unsupported));
      throw;
    }
  };
  fuzz::alter({what}, forms, usual, fuzz::mutator(seed, fuzz::text_pieces, true), use).expect(1, 2);
}

std::vector<std::byte> golden_file(std::string_view name) {
  for (const auto& entry : golden("pil_decode.json").at("files"))
    if (entry.at("name") == name) return from_hex(entry.at("file").get<std::string>());
  return {};
}

} // namespace

TEST_CASE("damaged JPEG files") {
  decode_damaged(
      "JPEG", {encode_jpeg(draw_landscape(24, 33, 3), 80), golden_file("jpeg progressive"), golden_file("jpeg cmyk")},
      20'000, 1, false);
}

TEST_CASE("damaged PNG files") {
  decode_damaged("PNG", {encode_png(draw_landscape(24, 33, 3)), golden_file("png interlaced")}, 6'000, 4, false);
}

TEST_CASE("damaged PNG files whose checksums fit") {
  decode_damaged("PNG with fitting checksums",
                 {encode_png(draw_landscape(24, 33, 3)), golden_file("png interlaced"), golden_file("png palette 4")},
                 14'000, 5, true);
}

} // namespace dynofa_test::data_decode_fuzz
