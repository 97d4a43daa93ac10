#include "dynofa/data/draw.hpp"
#include "dynofa/data/jpeg.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <cstdlib>
#include <set>

namespace dynofa_test::data_draw {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("a seed draws the same picture everywhere") {
  CHECK(hash(draw_landscape(120, 160, 1)) == "37d3cbb060f6aea8");
  CHECK(hash(draw_landscape(64, 64, 2)) == "837383fed185c50f");
  CHECK(draw_landscape(64, 64, 2) != draw_landscape(64, 64, 3));
}

TEST_CASE("the picture has the statistics of a photo") {
  for (std::uint64_t seed : {1, 2, 3, 4, 5}) {
    const image picture = draw_landscape(128, 192, seed);
    const std::set<int> values(picture.pixels.begin(), picture.pixels.end());
    CHECK(values.size() > 80);
    double step = 0; // between neighbours, against the distance of pixels far apart
    double far = 0;
    for (int y = 0; y < 127; ++y)
      for (int x = 0; x < 192; ++x) {
        step += std::abs(picture.row(y)[3 * x] - picture.row(y + 1)[3 * x]);
        far += std::abs(picture.row(y)[3 * x] - picture.row((y + 64) % 128)[3 * ((x + 96) % 192)]);
      }
    CHECK(step < far / 3);                               // smooth, but …
    CHECK(encode_jpeg(picture).size() > 128 * 192 / 20); // … not empty
  }
}

TEST_CASE("any shape can be drawn") {
  for (auto [h, w] : {std::pair{1, 1}, {1, 200}, {200, 1}, {15, 17}, {3, 3}})
    CHECK(draw_landscape(h, w, 1).height == h);
  CHECK_THROWS_AS(draw_landscape(0, 5, 1), error);
}

} // namespace dynofa_test::data_draw
