#pragma once
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

namespace dynofa {

/// A sub-network that is described by its channels, as AutoSlim's are: `{stem, block 0, then mid and output of every
/// block, last convolution}`. It is the deepest network of `space` with the largest kernels, at any resolution, and
/// reads prefixes of the super-network's arrays like every other, so sessions and backends bind it as they do a plan of
/// an architecture. Each level brings its own scale and shift, so batch norms with a weight and bias per level cost
/// nothing either.
///
/// Its `arch` is that of the largest network: channels that no gene chooses go into no family file. Throws
/// errc::invalid_argument for a number of channels that the space does not have, for one that is no multiple of 8 or
/// more than the super-network's, for a block with a residual whose channels differ, and for spaces of other blocks.
inline plan make_channel_plan(const space_description& space, std::span<const int> channels, int r, int batch = 1) {
  arch a = largest(space);
  a.r = static_cast<std::uint16_t>(r);
  plan p = make_plan(space, a, batch, true);
  const char* const where = "channels of a sub-network";
  std::size_t wanted = 0, next = 0;
  for (const block& b : p.blocks) {
    require_argument(b.kind != block_kind::bottleneck && b.kind != block_kind::convolution, where,
                     "a space of inverted residuals", "one of ResNet's blocks");
    wanted += b.kind == block_kind::inverted_residual ? 2 : b.norm_count() > 0;
  }
  require_argument(channels.size() == wanted, where, text(wanted, " numbers"), channels.size());
  const auto take = [&](int full) {
    const int n = channels[next];
    require_argument(n >= 8 && n % 8 == 0 && n <= full, text(where, '[', next, ']'),
                     text("a multiple of 8, at most ", full), n);
    ++next;
    return n;
  };
  int before = 3;
  for (block& b : p.blocks) {
    b.in_channels = before;
    if (b.kind == block_kind::inverted_residual) {
      b.mid_channels = take(b.mid_channels);
      if (b.se_channels > 0) b.se_channels = std::min(b.se_channels, se_width(b.mid_channels));
    } else if (b.mid_channels > 0) {
      b.mid_channels = before; // of a separable block
    }
    if (b.norm_count() > 0) b.out_channels = take(b.out_channels);
    require_argument(!b.residual || b.in_channels == b.out_channels, text(where, '[', next - 1, ']'),
                     text(b.in_channels, ", as before the block, since its input is added"), b.out_channels);
    before = b.out_channels;
  }
  p.number_norms();
  return p;
}

} // namespace dynofa
