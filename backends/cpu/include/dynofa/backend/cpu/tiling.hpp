#pragma once
#include "dynofa/backend/cpu/caches.hpp"
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/winograd.hpp"
#include "dynofa/core/block.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dynofa::backend::cpu_detail {

/// Zero pixels in front of and behind every row of `rows`, which has so many `values`: what a k×k kernel reads there.
template <class Value>
void clear_sides(Value* rows, std::size_t values, std::size_t row, std::size_t side) {
  for (Value *r = rows, *const end = rows + values; r != end; r += row)
    std::fill_n(r, side, Value{}), std::fill_n(r + row - side, side, Value{});
}

/// Panels of 16 channels that one pass over the input computes.
inline constexpr int chunk_panels = 3;

/// The next chunk of `left` panels: threes, and an even rest (see `pointwise` in kernels.inl).
constexpr int next_chunk(int left) { return left == 4 ? 2 : std::min(left, chunk_panels); }

/// How a block that has a depthwise convolution is cut so that its widest tensor never leaves the L2 cache.
///
/// Whole images, chunk after chunk of channels: when the expanded rows of one chunk fit. Each weight is read once; the
/// depthwise output of the whole image is kept for the projection. This is how all blocks of 28×28 and below run.
/// Bands of output rows, all channels: otherwise. A ring of expanded rows is kept per channel block, each input row is
/// expanded once, and unless squeeze-excite has to see the whole image first, the band is projected at once.
struct tiling {
  bool banded = false;
  int band_rows = 0;                        ///< output rows per band
  int ring_rows = 0;                        ///< expanded rows kept
  std::size_t row_step = 0, ring_plane = 0; ///< floats from one kept row, and from one channel block, to the next
  std::size_t ring_floats = 0, band_floats = 0;
  std::size_t tile_floats = 0, sum_floats = 0; ///< of transformed tiles, and of their products with a chunk of weights

  /// Whether the rows of a bottleneck's input make poor tiles one by one: of 11 pixels 5 and 6, where 9 fit.
  static constexpr bool rows_are_short(const block& b) { return b.in_size < 18; }

  /// The input rows that output rows [begin, end) of a k×k convolution read are [first_input(begin), input_end(end)).
  static int first_input(const block& b, int begin) { return std::max(0, begin * b.stride - b.kernel / 2); }
  static int input_end(const block& b, int end) {
    return std::min(b.in_size, (end - 1) * b.stride - b.kernel / 2 + b.kernel);
  }
  /// Makes `ring` ready: where each input row of the image is kept in it, and zeros on both sides of every kept row.
  template <class Value>
  void lay_ring(const block& b, Value* ring, std::int32_t* row_offset) const {
    for (int y = 0; y < b.in_size; ++y) row_offset[y] = static_cast<std::int32_t>(row_step) * (y % ring_rows);
    clear_sides(ring, ring_floats, row_step, floats_of(b.kernel / 2));
    std::fill_n(ring + ring_floats, room() - ring_floats, Value{});
  }
  /// Floats of the ring and, for Winograd's tiles, a row of zeros behind it, which ends with a pixel that the last tile
  /// of a row of odd length touches.
  std::size_t room() const { return ring_floats + (tile_floats > 0 ? row_step + lane_block : 0); }

  static tiling of(const block& b, const caches& c) {
    tiling t;
    const int blocks = blocks_of(b.mid_channels > 0 ? b.mid_channels : b.in_channels);
    t.row_step = static_cast<std::size_t>(b.in_size + b.kernel - 1) * lane_block;
    const std::size_t whole = t.row_step * static_cast<std::size_t>(b.in_size) * chunk_panels;
    const std::size_t budget = c.l2 / 2 / sizeof(float);
    // Threads that share rows read less of what another core wrote than threads that share channels; where the weights
    // are few, at 40×40 and above, that is worth the rows at the seam: 3 to 8 % of a network at 176 and 192 pixels.
    t.banded = b.has_dense() || b.kind == block_kind::separable || whole > (c.shared_image ? budget / 2 : budget);
    t.band_rows = b.out_size;
    t.ring_rows = b.in_size;
    if (t.banded) {
      auto rows_of = [&](int band) { return std::min((band - 1) * b.stride + b.kernel, b.in_size); };
      auto band_size = [&](int band) {
        return static_cast<std::size_t>(band * b.out_size) * lane_block * static_cast<std::size_t>(blocks);
      };
      const bool in_tiles = winograd::suits(b);
      auto tile_size = [&](int band, int of) {
        return winograd::tiles_at(winograd::tiles_of(band) * winograd::tiles_of(b.out_size), of).floats();
      };
      auto floats_of = [&](int band) {
        return static_cast<std::size_t>(rows_of(band) * blocks) * t.row_step + band_size(band) +
               (in_tiles ? tile_size(band, blocks) + tile_size(band, chunk_panels) : 0);
      };
      const int more = in_tiles ? 2 : 1; // whole rows of tiles
      t.band_rows = more;
      while (t.band_rows < b.out_size && floats_of(t.band_rows + more) <= budget) t.band_rows += more;
      t.band_rows = std::min(t.band_rows, b.out_size);
      t.ring_rows = rows_of(t.band_rows);
      if (in_tiles) t.tile_floats = tile_size(t.band_rows, blocks), t.sum_floats = tile_size(t.band_rows, chunk_panels);
      if (b.se_channels == 0) t.band_floats = band_size(t.band_rows);
    }
    t.ring_plane = t.row_step * static_cast<std::size_t>(t.ring_rows);
    t.ring_floats = t.ring_plane * static_cast<std::size_t>(t.banded ? blocks : std::min(blocks, chunk_panels));
    return t;
  }
};

} // namespace dynofa::backend::cpu_detail
