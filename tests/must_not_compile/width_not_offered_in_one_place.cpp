// expect: width.*asked<900>.*in_stage<4>.*offer<650, 800, 1000>
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_resnet50_space, width<0.65, 0.8, 1.0, 0.65, 0.9, 1.0>>::value;
#else
constexpr arch a = subnet<ofa_resnet50_space, width<0.65, 0.8, 1.0, 0.65, 0.8, 1.0>>::value;
#endif
static_assert(a.r == 224);
