#include "dynofa/data/frame.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include <vector>

namespace dynofa_test::data_frame {

using namespace dynofa;
using namespace dynofa::data;
using bytes = std::vector<std::uint8_t>;

TEST_CASE("a frame is any view whose memory holds the picture, to the byte") {
  const bytes memory(10'000);
  const auto part = [&](std::size_t n) { return std::span(memory).first(n); };
  const auto fits = [&](auto make, std::size_t least) {
    CHECK_NOTHROW(make(part(least)));
    CHECK_THROWS_AS(make(part(least - 1)), error);
  };
  fits([](auto m) { return frame(rgb_view{m, 5, 4}); }, 60);
  fits([](auto m) { return frame(bgr_view{m, 5, 4, 20}); }, 75); // the last row needs no gap
  fits([](auto m) { return frame(rgba_view{m, 5, 4}); }, 80);
  fits([](auto m) { return frame(bgra_view{m, 5, 4, 32}); }, 116);
  fits([](auto m) { return frame(grey_view{m, 5, 4}); }, 20);
  fits([](auto m) { return frame(yuyv_view{m, 5, 4}); }, 48);
  fits([&](auto m) { return frame(nv12_view{m, memory, 5, 3}); }, 15);
  fits([&](auto m) { return frame(nv12_view{memory, m, 5, 3}); }, 12);
  const std::vector<float> plane(20);
  CHECK_NOTHROW(frame(rgb_float_view{value_range::unit, plane, plane, plane, 5, 4}));
  CHECK_THROWS_AS(frame(rgb_float_view{value_range::unit, plane, plane, std::span(plane).first(19), 5, 4}), error);
}

TEST_CASE("a frame that cannot be is one sentence") {
  const bytes memory(100);
  const auto made = [&](int width, int height, std::size_t stride) {
    return support::sentence([&] { frame(rgb_view{memory, width, height, stride}); });
  };
  CHECK(made(0, 4, 0) == "frame: expected sides of 1 to 65535 pixels, got 0×4");
  CHECK(made(65'536, 4, 0) == "frame: expected sides of 1 to 65535 pixels, got 65536×4");
  CHECK(made(5, 4, 14) == "5×4 RGB: expected a stride of at least 15, got 14");
  CHECK(made(5, 4, SIZE_MAX) ==
        text("5×4 RGB: expected memory for 4 rows of 15, ", SIZE_MAX, " apart, got 100 values"));
  CHECK(made(65'535, 65'535, 0).find("got 100 values") != std::string::npos);
}

TEST_CASE("a picture of the library is a frame") {
  image picture(3, 2);
  picture.row(2)[4] = 7;
  const frame f = picture;
  CHECK(f.layout() == pixel_layout::rgb);
  CHECK(f.row(2)[4] == 7);
  CHECK(f.to_string() == "2×3 RGB");
}

} // namespace dynofa_test::data_frame
