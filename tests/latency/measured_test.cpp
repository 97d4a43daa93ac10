#include "dynofa/backend/reference.hpp"
#include "dynofa/latency/measured.hpp"
#include "dynofa/latency/model.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::latency_measured {

using namespace dynofa;

static_assert(cost_model<measured_model<backend::reference>>);

TEST_CASE("a network is measured once and remembered") {
  const measured_model model(backend::reference{}, support::tiny_supernet(), 3);
  const arch small = smallest(support::tiny_space::description), large = largest(support::tiny_space::description);
  const double first = model(large);
  CHECK(first > 0);
  CHECK(model.unit() == "ms");
  CHECK(model(small) < first);
  CHECK(model(large) == first);
  CHECK(model.known().size() == 2);
  CHECK(model.device().find("reference") != std::string::npos);
}

TEST_CASE("what cannot be measured leaves no trace") {
  const measured_model model(backend::reference{}, support::tiny_supernet(), 1);
  arch wrong = smallest(support::tiny_space::description);
  wrong.ks[0] = 4;
  CHECK(support::sentence([&] { (void)model(wrong); }).find("architecture field ks[0]") != std::string::npos);
  CHECK(model.known().empty());
  CHECK(support::sentence([&] { measured_model(backend::reference{}, support::tiny_supernet(), 0); }) ==
        "measured latency, runs: expected at least 1, got 0");
}

} // namespace dynofa_test::latency_measured
