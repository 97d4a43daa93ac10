#pragma once
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/search_space.hpp"

#include <cstdint>
#include <memory>

namespace support {

/// A space small enough for tests: every kind of stage, widths of 8 … 32 channels.
using tiny_space =
    dynofa::search_space<dynofa::ofa_mobilenet_v3, dynofa::width<0.2>, dynofa::classes<10>, dynofa::depth<2, 3, 4>,
                         dynofa::expand<3, 4, 6>, dynofa::kernel<3, 5, 7>, dynofa::resolution<32, 48, 64>>;

inline dynofa::supernet_ptr tiny_supernet(std::uint64_t seed = 7) {
  return std::make_shared<const dynofa::supernet>(dynofa::random_supernet(tiny_space::description, seed));
}

/// Spaces whose files have few kilobytes, for tests that read very many of them.
using least_space =
    dynofa::search_space<dynofa::network<dynofa::stem_width<16>, dynofa::stage_widths<16>, dynofa::strides<2>,
                                         dynofa::activations<dynofa::activation::h_swish>, dynofa::squeeze_excite<true>,
                                         dynofa::final_width<16>, dynofa::mix_width<16>, dynofa::classes<3>>,
                         dynofa::width<0.5, 1.0>, dynofa::depth<1, 2>, dynofa::kernel<3, 5>, dynofa::expand<1, 2>,
                         dynofa::resolution<16, 32>>;
using least_resnet_space =
    dynofa::search_space<dynofa::ofa_resnet50, dynofa::stem_width<8>, dynofa::deep_stem<8, dynofa::activation::relu>,
                         dynofa::stage_widths<8, 8, 8, 16>, dynofa::stage_blocks<1, 1, 1, 2>,
                         dynofa::fixed_blocks<0, 0, 0, 1>, dynofa::classes<3>, dynofa::width<0.5, 1.0>,
                         dynofa::depth<1>, dynofa::expand<0.25, 1>, dynofa::resolution<16, 32>>;

/// ProxylessNAS as small: ReLU6, and one convolution between the last block and pooling.
inline dynofa::supernet_ptr tiny_proxyless(std::uint64_t seed = 7) {
  using namespace dynofa;
  using space = search_space<ofa_proxyless_nas, width<0.2>, classes<10>, depth<2, 3, 4>, expand<3, 4, 6>,
                             kernel<3, 5, 7>, resolution<32, 48, 64>>;
  return std::make_shared<const supernet>(random_supernet(space::description, seed));
}

/// ResNet-50D as small, and shallower: bottlenecks, deep stem, widths on offer for the stem and every stage. Odd sizes
/// of image and map, and channels that are and are not multiples of 16.
inline dynofa::supernet_ptr odd_resnet(std::uint64_t seed = 7) {
  using namespace dynofa;
  using space =
      search_space<ofa_resnet50, stem_width<16>, deep_stem<24, activation::relu>, stage_widths<40, 48, 64, 88>,
                   stage_blocks<3, 3, 4, 3>, fixed_blocks<1, 1, 2, 1>, classes<10>, width<0.65, 0.8, 1.0>,
                   depth<0, 1, 2>, expand<0.2, 0.25, 0.35>, resolution<33, 37, 48>>;
  return std::make_shared<const supernet>(random_supernet(space::description, seed));
}

/// ResNet-50D as small, with its elastic depths, ratios and widths; that of golden/resnet50_tiny.
using tiny_resnet_space =
    dynofa::search_space<dynofa::ofa_resnet50, dynofa::stage_widths<32, 64, 96, 128>, dynofa::classes<10>,
                         dynofa::width<0.65, 0.8, 1.0>, dynofa::depth<0, 1, 2>, dynofa::expand<0.2, 0.25, 0.35>,
                         dynofa::resolution<32, 48, 64>>;

inline dynofa::supernet_ptr tiny_resnet(std::uint64_t seed = 7) {
  return std::make_shared<const dynofa::supernet>(dynofa::random_supernet(tiny_resnet_space::description, seed));
}

/// Inverted residuals of one width for the whole network, as slimmable networks have it.
using tiny_slimmable_space = dynofa::search_space<
    dynofa::network<dynofa::stem_width<16>, dynofa::stem_activation<dynofa::activation::relu6>,
                    dynofa::first_block<16, dynofa::activation::relu6, false>, dynofa::stage_widths<24, 48>,
                    dynofa::strides<2, 1>, dynofa::activations<dynofa::activation::relu6, dynofa::activation::relu6>,
                    dynofa::squeeze_excite<false, false>, dynofa::final_width<0>, dynofa::mix_width<64>,
                    dynofa::head_activation<dynofa::activation::relu6>, dynofa::classes<10>>,
    dynofa::one_width<0.35, 0.5, 0.75, 1.0>, dynofa::depth<1, 2>, dynofa::expand<3, 6>, dynofa::kernel<3>,
    dynofa::resolution<32, 48>>;

} // namespace support
