#pragma once
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/search_space.hpp"

namespace support {

/// A space small enough for tests: every kind of stage, widths of 8 … 32 channels.
using tiny_space =
    dynofa::search_space<dynofa::ofa_mobilenet_v3, dynofa::width<0.2>, dynofa::classes<10>, dynofa::depth<2, 3, 4>,
                         dynofa::expand<3, 4, 6>, dynofa::kernel<3, 5, 7>, dynofa::resolution<32, 48, 64>>;

inline dynofa::supernet_ptr tiny_supernet(std::uint64_t seed = 7) {
  return std::make_shared<const dynofa::supernet>(dynofa::random_supernet(tiny_space::description, seed));
}

/// A space whose files have few kilobytes: for tests that read very many of them.
using least_space =
    dynofa::search_space<dynofa::network<dynofa::stem_width<8>, dynofa::stage_widths<8>, dynofa::strides<2>,
                                         dynofa::activations<dynofa::activation::h_swish>, dynofa::squeeze_excite<true>,
                                         dynofa::final_width<16>, dynofa::mix_width<16>, dynofa::classes<3>>,
                         dynofa::depth<1, 2>, dynofa::kernel<3, 5>, dynofa::expand<1, 2>, dynofa::resolution<16, 32>>;

/// ProxylessNAS as small: ReLU6, and one convolution between the last block and pooling.
inline dynofa::supernet_ptr tiny_proxyless(std::uint64_t seed = 7) {
  using namespace dynofa;
  using space = search_space<ofa_proxyless_nas, width<0.2>, classes<10>, depth<2, 3, 4>, expand<3, 4, 6>,
                             kernel<3, 5, 7>, resolution<32, 48, 64>>;
  return std::make_shared<const supernet>(random_supernet(space::description, seed));
}

} // namespace support
