// ctest: threads
#include "dynofa/data/batch.hpp"
#include "dynofa/data/draw.hpp"

#include <doctest/doctest.h>

#include "data/pictures.hpp"
#include <algorithm>
#include <vector>

namespace dynofa_test::data_batch {

using namespace dynofa;
using namespace dynofa::data;
using namespace dynofa::data::testing;

TEST_CASE("a batch holds each preprocessed picture in its place") {
  const std::vector<image> pictures{draw_landscape(40, 50, 1), draw_landscape(31, 29, 2), draw_landscape(64, 64, 3)};
  for (const auto& rule : {imagenet_preprocessing(), exact_preprocessing()}) {
    const auto got = batch(pictures, rule, 32);
    CHECK(got.shape() == std::array<std::size_t, 4>{3, 32, 32, 3});
    std::vector<float> one(32 * 32 * 3);
    for (std::size_t i = 0; i < 3; ++i) {
      rule.apply(pictures[i], 32, one);
      CHECK(std::equal(one.begin(), one.end(), got.data() + i * one.size()));
      CHECK(got(i, 3, 5, 2) == one[(3 * 32 + 5) * 3 + 2]);
    }
  }
  CHECK(batch(std::span<const image>(), exact_preprocessing(), 32).shape()[0] == 0);
  CHECK_THROWS_AS(batch(pictures, exact_preprocessing(), 0), error);
}

TEST_CASE("a data set as one batch, with one thread or several") {
  const support::scratch_folder folder;
  std::filesystem::create_directories(folder.path() / "c");
  std::vector<image> pictures;
  for (std::uint64_t i = 0; i < 7; ++i) {
    pictures.push_back(draw_landscape(20, 30, i));
    write_png(folder.path() / "c" / text(i, ".png"), pictures.back());
  }
  const image_folder dataset(folder.path());
  const auto expected = batch(pictures, exact_preprocessing(), 24);
  CHECK(batch(dataset, exact_preprocessing(), 24) == expected);
  CHECK(batch(dataset, exact_preprocessing(), 24, 3) == expected);
  const auto stop = [](std::size_t done, std::size_t) { return done < 2; };
  CHECK(fault_of([&] { batch(dataset, exact_preprocessing(), 24, 2, stop); }).code() == errc::cancelled);
}

} // namespace dynofa_test::data_batch
