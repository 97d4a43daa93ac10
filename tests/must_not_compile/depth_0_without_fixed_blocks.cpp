// expect: dynofa: depth<0, ...> goes with fixed_blocks<...>: a stage has at least one block
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using blocks = depth<0, 1>;
#else
using blocks = depth<1, 2>;
#endif
using space = search_space<ofa_mobilenet_v3, blocks, expand<3>, kernel<3>, resolution<32>>;
static_assert(space::description.classes == 1000);
