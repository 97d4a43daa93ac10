// expect: dynofa: stages times largest depth must not exceed 48 blocks
#include "dynofa/space/search_space.hpp"

using namespace dynofa;

constexpr auto relu = activation::relu;
using net = network<stem_width<16>, stage_widths<8, 8, 8, 8, 8, 8, 8>, strides<1, 1, 1, 1, 1, 1, 1>,
                    activations<relu, relu, relu, relu, relu, relu, relu>,
                    squeeze_excite<false, false, false, false, false, false, false>, final_width<64>, mix_width<64>,
                    classes<10>>;
#ifdef DYNOFA_BAD
using space = search_space<net, depth<2, 7>, expand<3>, kernel<3>, resolution<32>>;
#else
using space = search_space<net, depth<2, 6>, expand<3>, kernel<3>, resolution<32>>;
#endif
static_assert(space::description.classes == 10);
