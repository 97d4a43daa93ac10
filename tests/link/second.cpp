#include "dynofa/backend/cpu/isa_portable.hpp"
#include "dynofa/dynofa.hpp"

const void* space_of_second() { return &dynofa::ofa_w1_2::description; }
std::uint64_t hash_in_second() { return dynofa::subnet<dynofa::ofa_w1_2, dynofa::depth<2>>::value.hash(); }
void (*stem_of_second())(const dynofa::backend::cpu_detail::stem_args&) {
  return &dynofa::backend::cpu_detail::portable::stem;
}
