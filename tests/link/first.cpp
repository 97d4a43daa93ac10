#include "dynofa/dynofa.hpp"

// The same question in two units: what is inline must be one thing.
const void* space_of_second();
std::uint64_t hash_in_second();

int main() {
  const dynofa::arch a = dynofa::subnet<dynofa::ofa_w1_2, dynofa::depth<2>>{};
  return &dynofa::ofa_w1_2::description == space_of_second() && a.hash() == hash_in_second() ? 0 : 1;
}
