#include "dynofa/space/policy.hpp"

#include <doctest/doctest.h>

#include <type_traits>

namespace dynofa_test::space_policy {

using namespace dynofa;

static_assert(std::is_empty_v<depth<2, 3>> && std::is_empty_v<width<1.2>> && std::is_empty_v<ofa_mobilenet_v3>);
static_assert(std::is_same_v<width<1.2>, width<1.2000001>>, "three digits decide");
static_assert(!std::is_same_v<width<1.2>, width<1.201>>);
static_assert(std::is_same_v<kernel<3>::tag, kernel_per_stage<offer<3>>::tag>, "one idea, two ways to write it");

TEST_CASE("a decimal keeps three digits, rounded") {
  CHECK(decimal(1.2).thousandths == 1200);
  CHECK(decimal(0.35).thousandths == 350);
  CHECK(decimal(1.0).value() == 1.0);
  CHECK(decimal(1.2346).value() == 1.235);
}

TEST_CASE("single numbers are read back") {
  CHECK(stem_width<16>::value == 16);
  CHECK(final_width<960>::value == 960);
  CHECK(mix_width<1280>::value == 1280);
  CHECK(classes<200>::value == 200);
}

} // namespace dynofa_test::space_policy
