// expect: dynofa: stage_widths, strides, activations and squeeze_excite need one value for every stage
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

#ifdef DYNOFA_BAD
using steps = strides<2>;
#else
using steps = strides<2, 2>;
#endif
using net = network<stem_width<16>, stage_widths<24, 40>, steps, activations<activation::relu, activation::relu>,
                    squeeze_excite<false, true>, final_width<64>, mix_width<64>, classes<10>>;
using space = search_space<net, depth<2>, expand<3>, kernel<3>, resolution<32>>;
static_assert(space::description.classes == 10);
