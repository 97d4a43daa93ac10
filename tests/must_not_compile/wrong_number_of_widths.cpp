// expect: dynofa: width takes one value, or one for the stem and one for every stage
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_resnet50_space, width<0.65, 0.8, 1.0, 0.65, 0.8>>::value; // the stem's is missing
#else
constexpr arch a = subnet<ofa_resnet50_space, width<1.0, 0.65, 0.8, 1.0, 0.65, 0.8>>::value;
#endif
static_assert(a.w.size() == 6);
