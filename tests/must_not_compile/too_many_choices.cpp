// expect: dynofa: at most 8 choices of expand or width
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<1, 2, 3, 4, 5, 6, 7, 8, 9>, kernel<3>, resolution<32>>;
#else
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<1, 2, 3, 4, 5, 6, 7, 8>, kernel<3>, resolution<32>>;
#endif
static_assert(space::description.classes == 1000);
