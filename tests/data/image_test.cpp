#include "dynofa/data/image.hpp"

#include <doctest/doctest.h>

#include <utility>

namespace dynofa_test::data_image {

using namespace dynofa;
using data::image;

TEST_CASE("an image is rows of RGB bytes without padding") {
  image picture(3, 5);
  CHECK(picture.pixels.size() == 45);
  picture.row(2)[14] = 7;
  CHECK(picture.pixels.back() == 7);
  CHECK(std::as_const(picture).row(1) == picture.pixels.data() + 15);
}

TEST_CASE("images compare by shape and pixels") {
  image a(2, 3), b(3, 2);
  CHECK(a != b);
  b = a;
  CHECK(a == b);
  b.pixels[4] = 1;
  CHECK(a != b);
}

TEST_CASE("an image has at least one pixel") {
  CHECK_THROWS_WITH_AS(image(0, 4), "image: expected sides of at least 1 pixel, got 0×4", error);
  CHECK_THROWS_AS(image(4, -1), error);
}

} // namespace dynofa_test::data_image
