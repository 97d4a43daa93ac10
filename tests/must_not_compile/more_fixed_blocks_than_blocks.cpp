// expect: dynofa: fixed_blocks go with stage_blocks, and are no more than these
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using some = fixed_blocks<2, 5, 4, 2>;
#else
using some = fixed_blocks<2, 4, 4, 2>;
#endif
using space = search_space<ofa_resnet50, width<1.0>, some, depth<0, 1, 2>, expand<0.2>, resolution<64>>;
static_assert(space::description.classes == 1000);
