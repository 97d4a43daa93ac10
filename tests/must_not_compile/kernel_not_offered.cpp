// expect: asked<9>.*in_stage<1>.*offer<3, 5, 7>
// expect: dynofa: the search space does not offer this choice
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_w1_2, kernel<9>>::value;
#else
constexpr arch a = subnet<ofa_w1_2, kernel<7>>::value;
#endif
static_assert(a.r == 224);
