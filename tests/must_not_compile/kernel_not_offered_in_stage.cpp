// expect: asked<5>.*in_stage<3>.*offer<3>
#include "dynofa/space/subnet.hpp"

using namespace dynofa;
using space = search_space<ofa_mobilenet_v3, depth<2>, expand<3>, resolution<32>,
                           kernel_per_stage<offer<3, 5>, offer<3, 5>, offer<3>, offer<3, 5>, offer<3, 5>>>;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<space, kernel<5>>::value;
#else
constexpr arch a = subnet<space, kernel<5, 5, 3, 5, 5>>::value;
#endif
static_assert(a.r == 32);
