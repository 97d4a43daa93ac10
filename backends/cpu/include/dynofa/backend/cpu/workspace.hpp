#pragma once
#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/byte_tiling.hpp"
#include "dynofa/backend/cpu/tiling.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// Whether the first three blocks run row by row as one.
inline bool front_is_fused(const plan& p, const caches& c) {
  return p.blocks.size() > 3 && p.blocks[0].kind == block_kind::stem && p.blocks[1].kind == block_kind::separable &&
         p.blocks[2].kind == block_kind::inverted_residual && !p.blocks[2].residual && p.blocks[0].output < 0 &&
         p.blocks[1].output < 0 && tiling::of(p.blocks[2], c).banded;
}

/// How many floats each buffer needs for one image of any of the plans.
struct arena_sizes {
  std::size_t image = 0;   ///< input or output of a block
  std::size_t mid = 0;     ///< depthwise output kept for squeeze-excite or projection
  std::size_t ring = 0;    ///< per thread: expanded rows, stem rows or unpooled channels
  std::size_t band = 0;    ///< per thread: depthwise output of one band
  std::size_t vectors = 0; ///< channels of the longest vector
  std::size_t rows = 0;    ///< input rows of the tallest image
  std::size_t scaled =
      0; ///< per thread: weights times the gate, or widened: of a chunk, or of a banded block; a row of codes
  std::size_t front = 0; ///< per thread: rows of the first two blocks
  std::size_t tiles = 0; ///< per thread: inputs of Winograd's products …
  std::size_t sums = 0;  ///< … and what they give
  std::size_t codes = 0; ///< an int8 level's block input in bytes, four to a float
  std::size_t maps = 0;  ///< named maps of all images of a run: they live to its end, what lies between does not
  std::size_t batch = 1; ///< images of the largest plan: their vectors go through the head together

  void cover(const block& b, const caches& c) {
    auto most = [](std::size_t& have, std::size_t want) { have = std::max(have, (want + 15) / 16 * 16); };
    const auto in_area = static_cast<std::size_t>(b.in_size) * static_cast<std::size_t>(b.in_size);
    const auto out_area = static_cast<std::size_t>(b.out_size) * static_cast<std::size_t>(b.out_size);
    const auto wide = [](int channels) { return static_cast<std::size_t>(padded(channels)); };
    if (b.kind != block_kind::stem) most(image, in_area * wide(b.in_channels));
    most(image, out_area * wide(b.out_channels));
    most(vectors, std::max({wide(b.in_channels), wide(b.mid_channels), wide(b.out_channels), wide(b.se_channels)}));
    most(rows, static_cast<std::size_t>(b.in_size));
    if (b.kind == block_kind::stem)
      most(ring, 3 * stem_row(b.in_size) + static_cast<std::size_t>(b.out_size) * wide(b.out_channels));
    if (b.kind == block_kind::average_pool) most(ring, in_area * lane_block);
    const std::size_t chunk = lane_block * chunk_panels;
    if (b.kind == block_kind::final_expand)
      most(ring, in_area * chunk), most(scaled, static_cast<std::size_t>(b.in_channels) * chunk);
    if (b.projects_shortcut()) most(mid, out_area * wide(b.in_channels));
    if (b.kind == block_kind::inverted_residual || b.kind == block_kind::final_expand)
      most(codes, in_area * wide(b.in_channels) / 4);
    if (b.kind == block_kind::inverted_residual) { // of int8 levels, which share the workspace
      const byte_tiling t = byte_tiling::of(b, c);
      most(ring, t.ring_bytes / 4), most(band, t.band_bytes / 4);
      if (t.band_bytes == 0) most(mid, out_area * wide(b.mid_channels) / 4);
    }
    if (b.mid_channels > 0 || b.has_dense()) {
      const tiling t = tiling::of(b, c);
      most(ring, t.room());
      most(tiles, t.tile_floats), most(sums, t.sum_floats);
      most(band, t.band_floats);
      if (t.band_floats == 0) most(mid, out_area * wide(b.mid_channels));
      if (b.kind == block_kind::bottleneck && tiling::rows_are_short(b))
        most(scaled, static_cast<std::size_t>(t.ring_rows * b.in_size) * chunk);
      if (b.has_dense()) return;
      most(scaled, t.banded ? wide(b.mid_channels) * (wide(b.in_channels) + wide(b.out_channels))
                            : static_cast<std::size_t>(std::max(b.in_channels, b.mid_channels)) * chunk);
    }
  }
  /// Stem, separable block and the block behind them, when they run row by row as one (front.hpp).
  void cover_front(const block& stem, const block& separable, const block& behind, const caches& c) {
    const auto blocks = static_cast<std::size_t>(blocks_of(std::max(separable.mid_channels, separable.out_channels)));
    const int rows = front_rows_kept(behind, tiling::of(behind, c)) + 1;
    scaled = std::max(scaled, floats_of(blocks_of(behind.in_channels)) * static_cast<std::size_t>(behind.in_size) / 4);
    front = std::max(front, lane_block + 3 * stem_row(stem.in_size) +
                                blocks * (floats_of(rows * separable.out_size) +
                                          stem_rows_kept * floats_of(separable.out_size + 2)));
  }
  static constexpr std::size_t stem_rows_kept = 3;
  /// The most new rows that a band of the block behind wants at once.
  static int front_rows_kept(const block& behind, const tiling& cut) {
    return std::min(behind.in_size, (cut.band_rows - 1) * behind.stride + behind.kernel);
  }

  void cover(const plan& p, const caches& c) {
    batch = std::max(batch, static_cast<std::size_t>(p.batch));
    std::size_t named = 0;
    for (const block& b : p.blocks) named += b.output > 0 ? map_of(b) : 0;
    maps = std::max(maps, named * static_cast<std::size_t>(p.batch));
    for (const block& b : p.blocks) cover(b, c);
    if (front_is_fused(p, c)) cover_front(p.blocks[0], p.blocks[1], p.blocks[2], c);
  }
  /// Floats of a named map.
  static std::size_t map_of(const block& b) {
    return static_cast<std::size_t>(b.out_size * b.out_size * padded(b.out_channels));
  }
  friend bool operator==(const arena_sizes&, const arena_sizes&) = default;

  /// One padded input row of the stem: a pixel of zeros on both sides.
  static std::size_t stem_row(int size) { return (static_cast<std::size_t>(size + 3) * 3 + 15) / 16 * 16; }
};

/// The buffers of one stream of images. Two ping-pong images, the depthwise output, and for each thread its ring, band,
/// squeeze-excite sums and row table.
struct arena {
  arena_sizes sizes;
  int threads = 1;
  aligned_bytes data;
  float *image[2] = {}, *maps = nullptr, *mid = nullptr, *pooled = nullptr, *hidden = nullptr, *gate = nullptr;
  std::uint8_t* codes = nullptr;
  float *batch_vectors[2] = {}, *ones = nullptr, *zeros = nullptr; ///< of a batch's head (head.hpp)

  struct per_thread {
    float *ring, *band, *sums, *scaled, *front, *tiles, *tile_sums;
    std::int32_t *row_offset, *front_row_offset;
  };
  std::vector<per_thread> own;

  std::size_t bytes() const { return data.size(); }

  arena(std::span<const plan> plans, int thread_count, const caches& c)
      : threads{thread_count} {
    for (const plan& p : plans) sizes.cover(p, c);
    own.resize(static_cast<std::size_t>(threads));
    for (int pass = 0; pass < 2; ++pass) {
      std::size_t at = 0;
      auto take = [&](std::size_t floats) {
        float* p = pass ? data.as<float>() + at : nullptr;
        at +=
            (floats + 15) / 16 * 16 + 16 * 5; // a step of five cache lines keeps equal buffers out of each other's sets
        return p;
      };
      for (float*& i : image) i = take(sizes.image);
      maps = take(sizes.maps);
      mid = take(sizes.mid);
      codes = reinterpret_cast<std::uint8_t*>(take(sizes.codes));
      pooled = take(sizes.vectors), hidden = take(sizes.vectors), gate = take(sizes.vectors);
      if (sizes.batch > 1)
        for (float*& t : batch_vectors) t = take(sizes.vectors * sizes.batch);
      if (sizes.batch > 1 || sizes.tiles > 0) ones = take(sizes.vectors), zeros = take(sizes.vectors);
      for (per_thread& t : own) {
        t.ring = take(sizes.ring), t.band = take(sizes.band), t.sums = take(sizes.vectors),
        t.scaled = take(sizes.scaled);
        t.front = take(sizes.front);
        t.tiles = take(sizes.tiles), t.tile_sums = take(sizes.sums);
        t.row_offset = reinterpret_cast<std::int32_t*>(take(sizes.rows));
        t.front_row_offset = reinterpret_cast<std::int32_t*>(take(sizes.rows));
      }
      if (pass == 0) data = aligned_bytes{at * sizeof(float)};
    }
    if (ones) std::fill_n(ones, sizes.vectors, 1.f);
  }
};

} // namespace dynofa::backend::cpu_detail
