#pragma once
#include "dynofa/model/channel_plan.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/search_space.hpp"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace support {

/// Small slimmable networks: channels that a list describes, at an even and an odd size, and one width for all, every
/// one that is offered. In each the first block too is a part of the super-network's.
inline std::vector<std::pair<dynofa::supernet_ptr, dynofa::plan>> slimmable_networks() {
  using namespace dynofa;
  using of_lists = search_space<mobilenet_v2, expand<3, 6>, mix_width<320>, classes<10>, resolution<64>>;
  using one = search_space<mobilenet_v2, stage_widths<24, 32, 48, 56, 64, 80>, mix_width<104>,
                           one_width<0.35, 0.5, 0.75, 1.0>, classes<10>, resolution<64>>;
  std::vector<std::pair<supernet_ptr, plan>> all;
  const auto lists = std::make_shared<const supernet>(random_supernet(of_lists::description, 10));
  const int channels[] = {8,  8,  24, 16, 40, 16, 48, 8,  40, 8,  32, 8,  72, 24, 96,  24, 80, 24,
                          88, 24, 96, 32, 64, 32, 72, 32, 64, 56, 72, 56, 80, 56, 200, 96, 320};
  for (const int r : {64, 37}) all.emplace_back(lists, make_channel_plan(of_lists::description, channels, r));
  const auto widths = std::make_shared<const supernet>(random_supernet(one::description, 11));
  for (std::uint8_t w = 0; w < 4; ++w) {
    arch a = largest(one::description);
    a.w = {w};
    all.emplace_back(widths, make_plan(one::description, a));
  }
  return all;
}

} // namespace support
