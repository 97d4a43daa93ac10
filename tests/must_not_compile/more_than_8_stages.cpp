// expect: dynofa: a network has at most 8 stages
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

constexpr auto relu = activation::relu;
#ifdef DYNOFA_BAD
using net = network<stem_width<16>, stage_widths<8, 8, 8, 8, 8, 8, 8, 8, 8>, strides<1, 1, 1, 1, 1, 1, 1, 1, 1>,
                    activations<relu, relu, relu, relu, relu, relu, relu, relu, relu>,
                    squeeze_excite<false, false, false, false, false, false, false, false, false>, final_width<64>,
                    mix_width<64>, classes<10>>;
#else
using net = network<stem_width<16>, stage_widths<8, 8, 8, 8, 8, 8, 8, 8>, strides<1, 1, 1, 1, 1, 1, 1, 1>,
                    activations<relu, relu, relu, relu, relu, relu, relu, relu>,
                    squeeze_excite<false, false, false, false, false, false, false, false>, final_width<64>,
                    mix_width<64>, classes<10>>;
#endif
using space = search_space<net, depth<2>, expand<3>, kernel<3>, resolution<32>>;
static_assert(space::description.classes == 10);
