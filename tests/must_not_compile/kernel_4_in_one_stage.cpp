// expect: dynofa: kernels are 3, 5 or 7 wide
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using odd = offer<3, 4>;
#else
using odd = offer<3, 5>;
#endif
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<3>, resolution<32>,
                           kernel_per_stage<offer<3>, offer<3>, odd, offer<3>, offer<3>>>;
static_assert(space::description.classes == 1000);
