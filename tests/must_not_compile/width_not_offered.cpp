// expect: width.*asked<700>.*in_stage<1>.*offer<650, 800, 1000>
// expect: dynofa: the search space does not offer this choice
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_resnet50_space, width<0.7>>::value;
#else
constexpr arch a = subnet<ofa_resnet50_space, width<0.65>>::value;
#endif
static_assert(a.r == 224);
