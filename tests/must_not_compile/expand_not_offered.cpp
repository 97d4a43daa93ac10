// expect: expand.*asked<5>.*in_stage<1>.*offer<3, 4, 6>
// expect: dynofa: the search space does not offer this choice
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_w1_2, expand<5>>::value;
#else
constexpr arch a = subnet<ofa_w1_2, expand<6>>::value;
#endif
static_assert(a.r == 224);
