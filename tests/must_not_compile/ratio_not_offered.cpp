// expect: expand.*asked<300>.*in_stage<2>.*offer<200, 250, 350>
// expect: dynofa: the search space does not offer this choice
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_resnet50_space, expand<0.3>>::value;
#else
constexpr arch a = subnet<ofa_resnet50_space, expand<0.25>>::value;
#endif
static_assert(a.r == 224);
