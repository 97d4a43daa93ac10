// expect: dynofa: width takes one value, or one for the stem and one for every stage
#include "dynofa/space/subnet.hpp"

using namespace dynofa;
using space = search_space<ofa_resnet50, one_width<0.5, 0.75, 1.0>, depth<0, 1, 2>, expand<0.2, 0.25>, resolution<64>>;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<space, width<0.5, 0.75, 1.0, 0.5, 0.75, 1.0>>::value;
#else
constexpr arch a = subnet<space, width<0.75>>::value;
#endif
static_assert(a.w.size() == 1);
