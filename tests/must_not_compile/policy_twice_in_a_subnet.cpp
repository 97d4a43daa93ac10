// expect: dynofa: a policy is given twice in one subnet
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_w1_2, kernel<3>, depth<2>, kernel<5>>::value;
#else
constexpr arch a = subnet<ofa_w1_2, kernel<3>, depth<2>>::value;
#endif
static_assert(a.r == 224);
