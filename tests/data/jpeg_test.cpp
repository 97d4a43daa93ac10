#include "dynofa/data/draw.hpp"
#include "dynofa/data/jpeg.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"

namespace dynofa_test::data_jpeg {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("JPEG files decode to the bytes Pillow gives") {
  int files = 0;
  for (const auto& file : golden("pil_decode.json").at("files")) {
    const auto name = file.at("name").get<std::string>();
    if (!name.starts_with("jpeg")) continue;
    CAPTURE(name);
    const image picture = decode_jpeg(from_hex(file.at("file").get<std::string>()));
    CHECK(picture.height == file.at("size").at(0));
    CHECK(picture.width == file.at("size").at(1));
    CHECK(hash(picture) == file.at("fnv1a64").get<std::string>());
    ++files;
  }
  CHECK(files == 6);
}

TEST_CASE("encoding keeps a photo-like picture") {
  const image picture = draw_landscape(90, 121, 5);
  const double fine = mean_difference(picture, decode_jpeg(encode_jpeg(picture, 98)));
  const double coarse = mean_difference(picture, decode_jpeg(encode_jpeg(picture, 30)));
  CHECK(fine < 3); // the chroma of the grain is lost to 4:2:0
  CHECK(fine < coarse);
  CHECK(coarse < 8);
  CHECK(encode_jpeg(picture, 30).size() < encode_jpeg(picture, 98).size() / 3);
  CHECK_THROWS_AS(encode_jpeg(picture, 0), error);
  CHECK_THROWS_AS(encode_jpeg(picture, 101), error);
  CHECK(fault_of([] { encode_jpeg(image(1, 70'000)); }).code() == errc::invalid_argument); // JPEG ends at 65500
}

TEST_CASE("every truncation is an error, but the last two bytes only say that the file ends") {
  std::vector<std::vector<std::byte>> files(1, encode_jpeg(draw_landscape(40, 50, 1)));
  for (const auto& entry : golden("pil_decode.json").at("files"))
    if (entry.at("name") == "jpeg progressive" || entry.at("name") == "jpeg cmyk")
      files.push_back(from_hex(entry.at("file").get<std::string>()));
  REQUIRE(files.size() == 3);
  for (const auto& file : files) {
    for (std::size_t size = 0; size + 2 < file.size(); ++size)
      if (fault_of([&] { decode_jpeg(std::span(file).first(size)); }).code() != errc::bad_file)
        FAIL("accepted ", size, " of ", file.size(), " bytes");
    for (std::size_t missing : {1, 2})
      CHECK(decode_jpeg(std::span(file).first(file.size() - missing)) == decode_jpeg(file));
  }
}

TEST_CASE("a JPEG header that claims too much is refused before decoding") {
  auto file = encode_jpeg(draw_landscape(16, 16, 1));
  std::size_t frame = 0; // FF C0, length, precision, height, width
  while (!(file[frame] == std::byte{0xFF} && file[frame + 1] == std::byte{0xC0})) ++frame;
  for (std::size_t i = 5; i < 9; ++i) file[frame + i] = std::byte{0xFF};
  const auto fault = fault_of([&] { decode_jpeg(file, {}, "photo.jpg"); });
  CHECK(fault.code() == errc::bad_file);
  CHECK(fault.where() == "photo.jpg");
  CHECK_THROWS_AS(decode_jpeg(encode_jpeg(image(10, 10)), {.pixels = 99}), error);
  CHECK_NOTHROW(decode_jpeg(encode_jpeg(image(10, 10)), {.pixels = 100}));
}

TEST_CASE("a progressive file with thousands of scans is refused") {
  std::vector<std::byte> file;
  for (const auto& entry : golden("pil_decode.json").at("files"))
    if (entry.at("name") == "jpeg progressive") file = from_hex(entry.at("file").get<std::string>());
  // the last scan once more, and again
  std::size_t scan = file.size() - 2;
  while (!(file[scan] == std::byte{0xFF} && file[scan + 1] == std::byte{0xDA})) --scan;
  const std::vector<std::byte> last(file.begin() + static_cast<std::ptrdiff_t>(scan), file.end() - 2);
  const auto with_scans = [&](int more) {
    auto longer = file;
    for (int i = 0; i < more; ++i) longer.insert(longer.end() - 2, last.begin(), last.end());
    return longer;
  };
  CHECK_NOTHROW(decode_jpeg(with_scans(20)));
  CHECK(fault_of([&] { decode_jpeg(with_scans(2000)); }).code() == errc::bad_file);
}

namespace {

/// A progressive CMYK file: one scan of all DC coefficients, which are 0, and `scans` that say in two bytes each that
/// no block has another coefficient.
std::vector<std::byte> progressive_cmyk(int height, int width, int scans) {
  std::vector<std::byte> file;
  const auto put = [&](std::initializer_list<int> bytes) {
    for (int b : bytes) file.push_back(static_cast<std::byte>(b));
  };
  put({0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0});
  for (int i = 0; i < 64; ++i) put({1});
  put({0xFF, 0xC2, 0, 20, 8, height >> 8, height & 255, width >> 8, width & 255, 4});
  for (int component : {1, 2, 3, 4}) put({component, 0x11, 0});
  for (const auto& [table, symbol] : {std::pair(0x00, 0x00), std::pair(0x10, 0xE0)}) {
    put({0xFF, 0xC4, 0, 20, table, 1});
    for (int i = 0; i < 15; ++i) put({0});
    put({symbol});
  }
  put({0xFF, 0xDA, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 0, 0});
  for (int bits = (height + 7) / 8 * ((width + 7) / 8) * 4; bits > 0; bits -= 8) put({0});
  for (int i = 0; i < scans; ++i) put({0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 63, 0, 0x7F, 0xFE});
  put({0xFF, 0xD9});
  return file;
}

} // namespace

TEST_CASE("what a file may cost is bounded before it is decoded") {
  const auto got = [](std::span<const std::byte> file, const decode_limits& limits = {}) {
    const auto fault = fault_of([&] { decode_jpeg(file, limits); });
    CHECK(fault.code() == errc::bad_file);
    return fault.expected();
  };
  auto whole = progressive_cmyk(40, 48, 20);
  CHECK(decode_jpeg(whole).height == 40);
  CHECK(decode_jpeg(whole, {.scans = 21}).width == 48);
  CHECK(got(whole, {.scans = 20}) == "an intact JPEG image");
  CHECK(got(progressive_cmyk(40, 48, 64)) == "an intact JPEG image");

  // the same files with another size in the header: some hundred bytes, hundreds of megabytes
  const auto with_size = [](std::vector<std::byte> file, int height, int width) {
    const std::size_t at = 2 + 69 + 5;
    for (int i : {0, 1}) {
      file[at + static_cast<std::size_t>(i)] = static_cast<std::byte>(height >> (8 - 8 * i));
      file[at + 2 + static_cast<std::size_t>(i)] = static_cast<std::byte>(width >> (8 - 8 * i));
    }
    return file;
  };
  CHECK(whole.size() < 600);
  CHECK(got(with_size(whole, 1500, 65500)) == "an image that 536870912 bytes of memory suffice to decode");
  CHECK(got(with_size(whole, 4000, 4000)) == "at least 125000 bytes for a picture of its size");
  const auto baseline = encode_jpeg(image(40, 48));
  const std::int64_t picture = 3 * 40 * 48, coefficients = 4 * 5 * 6 * 128;
  CHECK_NOTHROW(decode_jpeg(baseline, {.bytes = picture}));
  CHECK(got(baseline, {.bytes = picture - 1}).starts_with("an image that"));
  CHECK_NOTHROW(decode_jpeg(whole, {.bytes = picture + coefficients}));
  CHECK(got(whole, {.bytes = picture + coefficients - 1}).starts_with("an image that"));
  CHECK_NOTHROW(decode_jpeg(encode_jpeg(image(2000, 2000), 1))); // nothing takes fewer bytes
}

TEST_CASE("two components have no meaning as colours") {
  auto file = encode_jpeg(draw_landscape(16, 16, 1));
  // not a JPEG that any writer makes: the frame header says two components and is shortened by one
  std::size_t frame = 0;
  while (!(file[frame] == std::byte{0xFF} && file[frame + 1] == std::byte{0xC0})) ++frame;
  file[frame + 3] = std::byte{14};
  file[frame + 9] = std::byte{2};
  file.erase(file.begin() + static_cast<std::ptrdiff_t>(frame) + 16,
             file.begin() + static_cast<std::ptrdiff_t>(frame) + 19);
  const auto code = fault_of([&] { decode_jpeg(file); }).code();
  const bool refused = code == errc::unsupported || code == errc::bad_file;
  CHECK(refused);
}

} // namespace dynofa_test::data_jpeg
