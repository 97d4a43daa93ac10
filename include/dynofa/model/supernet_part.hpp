#pragma once
#include "dynofa/model/plan.hpp"
#include "dynofa/model/supernet.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dynofa {

/// How much of a super-network's blocks some plans read between them: the levels of a family need not hold what no
/// level runs. Stem, final expand, feature mix and classifier are read by every plan, whole.
struct supernet_part {
  struct block_part {
    std::int32_t mid_channels = 0, se_channels = 0; ///< the most of any plan; 0: no plan runs the block
    std::array<std::int32_t, 3> depthwise{};        ///< of them with k = 3, 5, 7
    friend bool operator==(const block_part&, const block_part&) = default;
  };
  std::vector<block_part> blocks; ///< as supernet::blocks

  static supernet_part all(const supernet& net) {
    supernet_part part;
    for (const block_weights& w : net.blocks) {
      block_part& p = part.blocks.emplace_back(block_part{w.mid_channels, w.se_channels, {}});
      for (std::size_t k = 0; k < 3; ++k) p.depthwise[k] = w.depthwise[k].empty() ? 0 : w.mid_channels;
    }
    return part;
  }
  /// Throws errc::mismatch for a plan of another space.
  static supernet_part of(const supernet& net, std::span<const plan> plans) {
    supernet_part part;
    part.blocks.resize(net.blocks.size());
    for (const plan& p : plans) {
      if (!(p.space == net.space))
        throw error(errc::mismatch, "part of a super-network", "plans of its space", text("one of another, ", p.arch));
      for (const block& b : p.blocks)
        if (b.mid_channels > 0) {
          block_part& wanted = part.blocks[static_cast<std::size_t>(b.supernet_index)];
          std::int32_t& taps = wanted.depthwise[static_cast<std::size_t>(b.kernel / 2 - 1)];
          wanted.mid_channels = std::max(wanted.mid_channels, b.mid_channels);
          wanted.se_channels = std::max(wanted.se_channels, b.se_channels);
          taps = std::max(taps, b.mid_channels);
        }
    }
    return part;
  }

  /// Whether the block's weights lie in this part.
  bool holds(const block& b) const {
    if (b.mid_channels == 0) return true;
    const block_part& p = blocks[static_cast<std::size_t>(b.supernet_index)];
    return b.se_channels <= p.se_channels && b.mid_channels <= p.depthwise[static_cast<std::size_t>(b.kernel / 2 - 1)];
  }
};

} // namespace dynofa
