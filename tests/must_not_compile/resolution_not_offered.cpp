// expect: resolution.*asked<100>.*offer<160, 176, 192, 208, 224>
// expect: dynofa: the search space does not offer this choice
#include "dynofa/space/subnet.hpp"

using namespace dynofa;
using space = search_space<ofa_mobilenet_v3, width<1.2>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>,
                           resolution<160, 176, 192, 208, 224>>;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<space, resolution<100>>::value;
#else
constexpr arch a = subnet<space, resolution<160>>::value;
#endif
static_assert(a.d[0] == 4);
