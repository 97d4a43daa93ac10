// expect: depth.*asked<1>.*in_stage<2>.*offer<2, 3, 4>
// expect: dynofa: the search space does not offer this choice
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_w1_2, depth<2, 1, 4, 2, 2>>::value;
#else
constexpr arch a = subnet<ofa_w1_2, depth<2, 2, 4, 2, 2>>::value;
#endif
static_assert(a.r == 224);
