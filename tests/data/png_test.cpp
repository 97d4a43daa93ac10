#include "dynofa/data/png.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"

namespace dynofa_test::data_png {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("PNG files decode to the bytes Pillow gives") {
  int files = 0;
  for (const auto& file : golden("pil_decode.json").at("files")) {
    const auto name = file.at("name").get<std::string>();
    if (!name.starts_with("png")) continue;
    CAPTURE(name);
    const image picture = decode_png(from_hex(file.at("file").get<std::string>()));
    CHECK(picture.height == file.at("size").at(0));
    CHECK(picture.width == file.at("size").at(1));
    CHECK(hash(picture) == file.at("fnv1a64").get<std::string>());
    ++files;
  }
  CHECK(files == 13);
}

TEST_CASE("what is encoded comes back bit for bit") {
  for (auto [h, w] : {std::pair{1, 1}, {1, 300}, {77, 1}, {31, 64}}) {
    const image picture = noise(h, w, 4);
    CHECK(decode_png(encode_png(picture)) == picture);
  }
}

TEST_CASE("a truncation is an error unless only what follows the pixels is missing") {
  const image picture = noise(12, 9, 4);
  const auto file = encode_png(picture);
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < file.size(); ++size) {
    try {
      const image got = decode_png(std::span(file).first(size));
      CHECK(got == picture);
      ++accepted;
    } catch (const error& fault) {
      CHECK(fault.code() == errc::bad_file);
    }
  }
  CHECK(accepted <= 24); // checksums of the data and the end mark
}

TEST_CASE("a PNG header that claims too much is refused before decoding") {
  CHECK_THROWS_AS(decode_png(encode_png(image(10, 10)), {.pixels = 99}), error);
  CHECK_THROWS_AS(decode_png(encode_png(image(1, 10)), {.side = 9}), error);
  CHECK_NOTHROW(decode_png(encode_png(image(10, 10)), {.pixels = 100, .side = 10}));
  const auto fault = fault_of([] { decode_png(encode_png(image(1, 70'000)), {}, "wide.png"); });
  CHECK(fault.where() == "wide.png");
}

TEST_CASE("a PNG that is too short for its picture is refused before decoding") {
  auto file = encode_png(image(2000, 2000)); // as dense as deflate gets
  CHECK_NOTHROW(decode_png(file));
  for (std::size_t side : {18, 22}) file[side] = std::byte{0x1F}; // 8144 × 8144
  mend_checksums(file);
  const auto fault = fault_of([&] { decode_png(file); });
  CHECK(fault.expected() == "at least 192804 bytes for a picture of its size");
  CHECK(fault_of([] { decode_png(encode_png(image(10, 10)), {.bytes = 299}); }).code() == errc::bad_file);
  CHECK_NOTHROW(decode_png(encode_png(image(10, 10)), {.bytes = 300}));
}

TEST_CASE("a damaged row is an error that says what libpng found") {
  auto file = encode_png(noise(12, 9, 4));
  file[file.size() / 2] ^= std::byte{0x40};
  const auto fault = fault_of([&] { decode_png(file, {}, "x.png"); });
  CHECK(fault.code() == errc::bad_file);
  CHECK_FALSE(fault.got().empty());
}

} // namespace dynofa_test::data_png
