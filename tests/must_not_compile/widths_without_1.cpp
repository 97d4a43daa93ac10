// expect: dynofa: of several widths on offer the largest is 1: give the network's policies the full widths
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using widths = width<0.65, 0.8>;
#else
using widths = width<0.8, 1.0>;
#endif
using space = search_space<ofa_resnet50, widths, depth<0, 1, 2>, expand<0.2, 0.25>, resolution<64>>;
static_assert(space::description.classes == 1000);
