// expect: dynofa: the search space offers no widths: width<...> of several values belongs to it
#include "dynofa/space/subnet.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
constexpr arch a = subnet<ofa_w1_2, depth<2>, width<1.0>>::value;
#else
constexpr arch a = subnet<ofa_w1_2, depth<2>>::value;
#endif
static_assert(a.r == 224);
