// expect: dynofa: of several widths on offer the largest is 1: give the network's policies the full widths
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using widths = one_width<1.0, 1.4>;
#else
using widths = one_width<0.7, 1.0>;
#endif
using space = search_space<ofa_mobilenet_v3, widths, depth<2>, expand<3>, kernel<3>, resolution<32>>;
static_assert(space::description.one_width);
