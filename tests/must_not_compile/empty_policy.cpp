// expect: dynofa: a policy of a search space must offer at least one value
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using space = search_space<ofa_mobilenet_v3, depth<>, expand<3>, kernel<3>, resolution<32>>;
#else
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<3>, kernel<3>, resolution<32>>;
#endif
static_assert(space::description.classes == 1000);
