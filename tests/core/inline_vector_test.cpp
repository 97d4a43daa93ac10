#include "dynofa/core/inline_vector.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <list>
#include <type_traits>
#include <vector>

namespace dynofa_test::core_inline_vector {

using namespace dynofa;

using three = inline_vector<int, 3>;

static_assert(std::is_trivially_copyable_v<three>);
static_assert(three{1, 2}.size() == 2 && three{}.empty() && three::capacity == 3);
static_assert(three{4, 9, 2}.max() == 9 && three{4, 9, 2}.min() == 2);
static_assert(three{4, 9, 2}.front() == 4 && three{4, 9, 2}.back() == 2);
static_assert(three{1, 2}.contains(2) && !three{1, 2}.contains(0), "elements beyond the size do not count");

TEST_CASE("a count and a value of the same type fill, two iterators copy") {
  const three filled(2, 7);
  CHECK(filled == three{7, 7});
  const inline_vector<std::uint8_t, 48> genes(20, 3);
  CHECK(genes.size() == 20);
  CHECK(genes.back() == 3);
  const std::list<long> source{5, 6};
  CHECK(three(source.begin(), source.end()) == three{5, 6});
}

TEST_CASE("growing fills, shrinking forgets") {
  three v{1, 2, 3};
  v.resize(1);
  CHECK(v == three{1});
  v.resize(3);
  CHECK(v == three{1, 0, 0});
  v.resize(0);
  v.push_back(8);
  CHECK(v == three{8});
  v.resize(2, 5);
  CHECK(v == three{8, 5});
}

TEST_CASE("iteration and data see the elements alone") {
  three v{3, 4};
  for (int& x : v) x *= 2;
  CHECK(std::vector<int>(v.begin(), v.end()) == std::vector<int>{6, 8});
  CHECK(v.data()[1] == 8);
  v[0] = 1;
  CHECK(v[0] == 1);
}

TEST_CASE("equality and order are those of std::vector") {
  const three samples[] = {{}, {0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}, {2, 1, 0}};
  for (const three& a : samples)
    for (const three& b : samples) {
      const std::vector<int> x(a.begin(), a.end()), y(b.begin(), b.end());
      CHECK((a == b) == (x == y));
      CHECK((a < b) == (x < y));
      CHECK((a > b) == (x > y));
    }
}

} // namespace dynofa_test::core_inline_vector
