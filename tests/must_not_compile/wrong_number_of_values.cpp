// expect: dynofa: a sub-network's policy takes one value, one for every stage, or
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_w1_2, kernel<3, 5>>::value;
#else
constexpr arch a = subnet<ofa_w1_2, kernel<3, 5, 7, 3, 5>>::value;
#endif
static_assert(a.r == 224);
