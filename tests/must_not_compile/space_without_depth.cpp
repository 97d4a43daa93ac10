// expect: dynofa: search_space lacks depth<...>
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using space = search_space<ofa_mobilenet_v3, expand<3>, kernel<3>, resolution<32>>;
#else
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<3>, kernel<3>, resolution<32>>;
#endif
static_assert(space::description.classes == 1000);
