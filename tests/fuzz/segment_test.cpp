// The memory that coordinated processes share: what says that it is sound can be used, what does not is repaired.
#include "dynofa/runtime/coordination_rule.hpp"

#include <doctest/doctest.h>

#include "runtime/families.hpp"
#include "support/fuzz.hpp"
#include <memory>

namespace dynofa_test::fuzz_segment {

using namespace dynofa;
using namespace dynofa::runtime;
using namespace support;

namespace {

void run(coordination_rule& rule) {
  for (int image = 0; image < 6; ++image)
    for (std::size_t m = 0; m < coordination_rule::most_members; ++m) {
      if (!rule.here(m)) continue;
      const std::size_t level = rule.decide(m, {.latency_ms = image < 4 ? 85.0 : 60.0});
      REQUIRE(level < rule.forecast(m).levels().size());
      rule.observe(m, level, image % 2 == 0 ? 50 : 500);
      (void)rule.why(m);
      rule.dump(m, [](const char*, double) {});
    }
}

} // namespace

TEST_CASE("damaged members of a coordination") {
  coordination_rule healthy;
  for (int m = 0; m < 3; ++m) healthy.join(paper_six);
  for (int n = 0; n < 20; ++n) run(healthy);
  fuzz::mutator random(1);
  std::size_t seen = 0;
  const std::size_t end = fuzz::mutations(2'000);
  for (std::size_t n = 0; n < end; ++n) {
    auto hurt = std::make_unique<coordination_rule>(healthy);
    auto* bytes = reinterpret_cast<unsigned char*>(hurt.get());
    for (auto changes = 1 + random.below(4); changes-- > 0;) {
      const auto length = std::size_t{1} << random.below(7), at = random.below((sizeof *hurt) / length) * length;
      const bool zero = random.below(3) == 0, ones = random.below(3) == 0;
      for (std::size_t k = 0; k < length; ++k)
        bytes[at + k] = static_cast<unsigned char>(zero ? 0 : ones ? 255 : random.below(256));
    }
    const bool sound = hurt->valid();
    seen += !sound;
    if (!sound || n % 4 == 0) {
      hurt->repair();
      REQUIRE(hurt->valid());
    }
    run(*hurt);
  }
  MESSAGE("coordinations: " << end << " altered, " << seen << " repaired");
  CHECK(seen >= end / 200);
}

} // namespace dynofa_test::fuzz_segment
