#include "dynofa/latency/machine.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::latency_machine {

TEST_CASE("what the machine tells is plain text and sane") {
  const dynofa::machine_facts facts = dynofa::read_machine_facts();
  CHECK(facts.processor.size() <= 200);
  CHECK(facts.processor.find('\n') == std::string::npos);
  CHECK(facts.governor.size() <= 200);
  CHECK(facts.frequency_mhz >= 0);
  CHECK(facts.frequency_mhz < 20000);
#if defined(__linux__) && defined(__x86_64__)
  CHECK_FALSE(facts.processor.empty());
#endif
}

} // namespace dynofa_test::latency_machine
