#include "dynofa/data/codec.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace dynofa_test::data_codec {

using namespace dynofa::data;

namespace {
struct counter {
  std::jmp_buf jump;
  int reached = 0;
};
} // namespace

TEST_CASE("a step that jumps ends early, and what it wrote to its state stays") {
  counter state;
  CHECK(detail::completes(
      state, +[](counter& s) { s.reached = 1; }));
  CHECK(state.reached == 1);
  CHECK_FALSE(detail::completes(
      state, +[](counter& s) {
        s.reached = 2;
        std::longjmp(s.jump, 1);
      }));
  CHECK(state.reached == 2);
}

TEST_CASE("sizes are judged before anything is allocated") {
  const auto check = [](std::int64_t h, std::int64_t w) {
    detail::check_size({.pixels = 600, .side = 100}, "x", h, w);
  };
  CHECK_NOTHROW(check(20, 30));
  CHECK_NOTHROW(check(6, 100));
  CHECK_THROWS_WITH_AS(check(20, 31),
                       "x: expected an image of at most 600 pixels and 100 per side, got a header that says 31×20",
                       dynofa::error);
  CHECK_THROWS_AS(check(1, 101), dynofa::error);
  CHECK_THROWS_AS(check(101, 1), dynofa::error);
  CHECK_THROWS_AS(check(0, 5), dynofa::error);
  CHECK_THROWS_AS(check(5, 0), dynofa::error);
  const auto huge = std::numeric_limits<std::int64_t>::max();
  CHECK_THROWS_AS(detail::check_size({.pixels = huge, .side = huge - 1}, "x", huge - 1, huge - 1), dynofa::error);
}

} // namespace dynofa_test::data_codec
