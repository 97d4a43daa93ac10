// expect: dynofa: a sub-network has one resolution
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_w1_2, resolution<160, 224>>::value;
#else
constexpr arch a = subnet<ofa_w1_2, resolution<160>>::value;
#endif
static_assert(a.d[0] == 4);
