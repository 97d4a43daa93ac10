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
    CHECK(hash(picture) == file.at("fnv1a64"));
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

TEST_CASE("every truncation is an error") {
  const auto file = encode_jpeg(draw_landscape(40, 50, 1));
  for (std::size_t size = 0; size + 2 < file.size(); ++size) // the last two bytes only say that it ends
    if (fault_of([&] { decode_jpeg(std::span(file).first(size)); }).code() != errc::bad_file)
      FAIL("accepted ", size, " of ", file.size(), " bytes");
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
