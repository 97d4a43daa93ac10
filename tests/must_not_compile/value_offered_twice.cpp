// expect: dynofa: a policy of a search space offers a value twice
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<3, 3>, kernel<3>, resolution<32>>;
#else
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<3, 4>, kernel<3>, resolution<32>>;
#endif
static_assert(space::description.classes == 1000);
