#include "dynofa/core/finite.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

namespace dynofa_test::core_finite {

using namespace dynofa;

namespace {
constexpr float infinity = std::numeric_limits<float>::infinity();
}

TEST_CASE("the first value that is no number is found wherever it stands") {
  CHECK(first_not_finite({}) == 0);
  for (std::size_t size : {1u, 7u, 4096u, 4097u, 10'000u}) {
    std::vector<float> values(size, std::numeric_limits<float>::max());
    values[0] = -values[0], values[size / 2] = std::numeric_limits<float>::denorm_min();
    CHECK(first_not_finite(values) == size);
    for (float bad : {infinity, -infinity, std::bit_cast<float>(0x7FC00000u), std::bit_cast<float>(0xFF800001u),
                      std::bit_cast<float>(0x7FFFFFFFu)})
      for (std::size_t at : {std::size_t{0}, size / 3, size - 1}) {
        auto broken = values;
        broken[at] = broken[size - 1] = bad;
        CHECK(first_not_finite(broken) == at);
      }
  }
}

TEST_CASE("values are shown without the sign of a NaN") {
  CHECK(shown(std::bit_cast<float>(0xFFC00000u)) == "NaN");
  CHECK(shown(-infinity) == "-inf");
  CHECK(shown(1.5) == "1.5");
}

} // namespace dynofa_test::core_finite
