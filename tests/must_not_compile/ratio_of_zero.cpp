// expect: dynofa: expand and width lie above 0, at most 16
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using least = expand<0.0, 0.25>;
#else
using least = expand<0.2, 0.25>;
#endif
using space = search_space<ofa_resnet50, width<1.0>, depth<0, 1, 2>, least, resolution<64>>;
static_assert(space::description.classes == 1000);
