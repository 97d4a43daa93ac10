#pragma once
#include "dynofa/backend/cuda/tiles.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

namespace dynofa::backend::cuda_detail {

/// Whether block 0 is one launch: its kernel keeps 32 channels and adds its input to its output.
inline bool is_one_launch(const block& separable) {
  return separable.kind == block_kind::separable && separable.residual &&
         separable.in_channels == separable.out_channels && separable.mid_channels <= channel_chunk;
}

/// Bytes rounded up to where another buffer may begin.
constexpr std::size_t whole_lines(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

/// Bytes from the first named map to the one that block b gives, in the order of the blocks; of all for b = their
/// number.
inline std::size_t map_offset(const plan& p, std::size_t b, precision values) {
  std::size_t bytes = 0;
  for (std::size_t before = 0; before < b; ++before)
    if (p.blocks[before].output > 0)
      bytes += whole_lines(p.of_batch(p.blocks[before].out_values()) * value_bytes(values));
  return bytes;
}

/// Where the activations of one stream lie: offsets into one allocation that serves every level. `counters`, of the
/// thread blocks that share a convolution's tile, are zeros, which every launch leaves as it found them. Named maps
/// stay in `maps` until the next run. Image and logits come last: where kernels reach the host's memory, the allocation
/// ends before them.
struct arena_layout {
  std::size_t ping = 0, pong = 0, middle = 0, reduced = 0, partials = 0, counters = 0, gates = 0, maps = 0, image = 0,
              logits = 0, bytes = 0;

  /// Whether every buffer is at least as large as the other layout's.
  bool holds(const arena_layout& other) const {
    const std::size_t arena_layout::*const starts[] = {
        &arena_layout::ping,     &arena_layout::pong,     &arena_layout::middle, &arena_layout::reduced,
        &arena_layout::partials, &arena_layout::counters, &arena_layout::gates,  &arena_layout::maps,
        &arena_layout::image,    &arena_layout::logits,   &arena_layout::bytes};
    for (std::size_t i = 0; i + 1 < std::size(starts); ++i)
      if (this->*starts[i + 1] - this->*starts[i] < other.*starts[i + 1] - other.*starts[i]) return false;
    return true;
  }

  arena_layout() = default;
  arena_layout(std::span<const plan> plans, precision p, device_limits device) {
    std::size_t image_size = 0, activation = 0, mid = 0, reduce = 0, shares = 0, count = 0, gate = 0, named = 0,
                classes = 0;
    for (const plan& q : plans) {
      const auto batch = static_cast<std::size_t>(q.batch);
      for (const block& b : q.blocks) {
        if (b.kind == block_kind::stem) image_size = std::max(image_size, batch * std::size_t(b.in_values()) * 4);
        for (const auto values : {b.kind == block_kind::stem ? 0 : b.in_values(), b.out_values()})
          activation = std::max(activation, batch * std::size_t(values) * value_bytes(p));
        if (b.has_dense())
          shares = std::max<std::size_t>(shares, split_bytes), count = split_tiles * sizeof(std::uint32_t);
        if (b.mid_channels == 0 || is_one_launch(b)) continue;
        const auto channels = static_cast<std::size_t>(b.mid_channels);
        const auto bytes_of_pixels = [&](int size, int depth) {
          return batch * std::size_t(size) * std::size_t(size) * std::size_t(depth) * value_bytes(p);
        };
        mid = std::max(mid, bytes_of_pixels(b.out_size, b.mid_channels));
        if (b.kind == block_kind::bottleneck)
          reduce = std::max(reduce, whole_lines(bytes_of_pixels(b.in_size, b.mid_channels)) +
                                        bytes_of_pixels(b.out_size, b.projects_shortcut() ? b.in_channels : 0));
        if (b.se_channels == 0) continue;
        const tiles t = tiles_of(b, p, q.batch, device);
        shares = std::max(shares, batch * std::size_t(t.count) * std::size_t(ceil_div(b.mid_channels, channel_chunk)) *
                                      std::size_t(b.se_channels) * 4);
        gate = std::max(gate, batch * channels * 4);
      }
      named = std::max(named, map_offset(q, q.blocks.size(), p));
      classes = std::max(classes, batch * static_cast<std::size_t>(q.space.classes) * 4);
    }
    auto place = [&](std::size_t size) {
      const std::size_t at = bytes;
      bytes += whole_lines(size);
      return at;
    };
    ping = place(activation), pong = place(activation), middle = place(mid);
    reduced = place(reduce), partials = place(shares), counters = place(count);
    gates = place(gate), maps = place(named), image = place(image_size), logits = place(classes);
  }
};

/// Start addresses on the device (or, in the tests, on the host).
struct addresses {
  const std::byte* weights = nullptr;
  const float* norms = nullptr; ///< per batch norm of the plan: its scales, then its shifts
  std::byte* arena = nullptr;
  std::byte *image = nullptr, *logits = nullptr; ///< null: at their places in the arena
};

} // namespace dynofa::backend::cuda_detail
