#include "dynofa/data/decode.hpp"
#include "dynofa/data/draw.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <string>

namespace dynofa_test::data_decode {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("the format is read from the content, not from the name") {
  const support::scratch_folder folder;
  const image picture = draw_landscape(20, 30, 2);
  write_png(folder.path() / "really_png.jpg", picture);
  CHECK(read_image(folder.path() / "really_png.jpg") == picture);
  replace_file(folder.path() / "really_jpeg.png", encode_jpeg(picture, 95));
  CHECK(read_image(folder.path() / "really_jpeg.png") == decode(encode_jpeg(picture, 95)));
}

TEST_CASE("a file that is no image is named in one sentence") {
  const support::scratch_folder folder;
  const auto fault_with = [&](std::string_view content) {
    write_text(folder.path() / "photo.jpg", content);
    return fault_of([&] { read_image(folder.path() / "photo.jpg"); });
  };
  const std::string path = (folder.path() / "photo.jpg").string();
  CHECK(fault_with("").what() == path + ": expected a JPEG or PNG image, got an empty file");
  CHECK(fault_with("GIF89a, or so").what() == path + ": expected a JPEG or PNG image, got a GIF image");
  CHECK(fault_with("\xFF\xD8\xFF").where() == path);
  CHECK(fault_with("\x89PNG\r\n\x1A\n").code() == errc::bad_file);
  CHECK(fault_with("\x89PNG\r\n\x1A").code() == errc::bad_file);
  CHECK(fault_of([&] { read_image(folder.path() / "none.png"); }).code() == errc::io);
}

TEST_CASE("limits reach both formats") {
  const image picture(10, 10);
  CHECK_THROWS_AS(decode(encode_png(picture), {.pixels = 99}), error);
  CHECK_THROWS_AS(decode(encode_jpeg(picture), {.pixels = 99}), error);
}

} // namespace dynofa_test::data_decode
