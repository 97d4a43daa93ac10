#include "dynofa/backend/cpu/isa_portable.hpp"
#include "dynofa/dynofa.hpp"

// The same question in two units: what is inline must be one thing.
const void* space_of_second();
std::uint64_t hash_in_second();
void (*stem_of_second())(const dynofa::backend::cpu_detail::stem_args&);

int main() {
  const dynofa::arch a = dynofa::subnet<dynofa::ofa_w1_2, dynofa::depth<2>>{};
  namespace portable = dynofa::backend::cpu_detail::portable;
  if (&dynofa::ofa_w1_2::description != space_of_second() || a.hash() != hash_in_second()) return 1;
  return &portable::stem == stem_of_second() && portable::kernels.stem == stem_of_second() ? 0 : 2;
}
