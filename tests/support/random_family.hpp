#pragma once
#include "dynofa/family/family.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/search_space.hpp"

#include "support/chosen_levels.hpp"
#include <memory>

namespace support {

/// A family of six levels with random weights, some 20 times as much work in the last as in the first; top-1 is made
/// up, latencies have to be measured. For programs that need real computing but no real answers.
inline dynofa::family random_family() {
  using namespace dynofa;
  using space = search_space<ofa_mobilenet_v3, width<1.0>, classes<100>, depth<2, 3, 4>, expand<3, 4, 6>,
                             kernel<3, 5, 7>, resolution<96, 128, 160, 192>>;
  const auto net = std::make_shared<const supernet>(random_supernet(space::description, 1));
  family f(net, data::exact_preprocessing(), std::vector<data::class_name>(100, {"n0", "none"}));
  add_levels(f, {{2, 3, 3, 96}, {2, 3, 3, 128}, {2, 4, 3, 160}, {3, 4, 3, 160}, {3, 6, 3, 192}, {4, 6, 5, 192}}, 700,
             20);
  return f;
}

} // namespace support
