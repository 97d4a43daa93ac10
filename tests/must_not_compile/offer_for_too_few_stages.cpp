// expect: dynofa: a ..._per_stage policy needs one offer<...> for every stage
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using depths = depth_per_stage<offer<2>, offer<3>>;
#else
using depths = depth_per_stage<offer<2>, offer<3>, offer<2>, offer<2>, offer<2>>;
#endif
using space = search_space<ofa_mobilenet_v3, depths, expand<3>, kernel<3>, resolution<32>>;
static_assert(space::description.classes == 1000);
