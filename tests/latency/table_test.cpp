#include "dynofa/latency/table.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::latency_table {

using namespace dynofa;

TEST_CASE("an entry of samples") {
  const latency_entry e = summarize({5'000'000, 1'000'000, 3'000'000, 2'000'000, 4'000'000});
  CHECK(e.count == 5);
  CHECK(e.mean.count() == doctest::Approx(3));
  CHECK(e.std.count() == doctest::Approx(std::sqrt(2.5)));
  CHECK(e.p50->count() == doctest::Approx(3));
  CHECK(e.p95->count() == doctest::Approx(4.8));
  CHECK(e.min->count() == doctest::Approx(1));
  CHECK(summarize({}).count == 0);
  CHECK(summarize({7}).std.count() == 0);
}

} // namespace dynofa_test::latency_table
