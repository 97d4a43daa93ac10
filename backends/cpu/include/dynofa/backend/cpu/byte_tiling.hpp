#pragma once
#include "dynofa/backend/cpu/caches.hpp"
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/backend/cpu/tiling.hpp"
#include "dynofa/core/block.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dynofa::backend::cpu_detail {

/// How an inverted residual of an int8 level is cut, as `tiling` cuts those of floats. All extents are in bytes. A row
/// of expanded codes is whole quads with one more on both sides (bytes.inl).
struct byte_tiling {
  bool banded = false;
  int band_rows = 0;                        ///< output rows per band
  int ring_rows = 0;                        ///< expanded rows kept
  std::size_t row_step = 0, ring_plane = 0; ///< from one kept row, and from one channel block, to the next
  std::size_t ring_bytes = 0, band_bytes = 0;

  void lay_ring(const block& b, std::int32_t* row_offset) const {
    for (int y = 0; y < b.in_size; ++y) row_offset[y] = static_cast<std::int32_t>(row_step) * (y % ring_rows);
  }

  static byte_tiling of(const block& b, const caches& c) {
    byte_tiling t;
    const int blocks = blocks_of(b.mid_channels);
    t.row_step = static_cast<std::size_t>((b.in_size + 3) / 4 + 2) * 4 * lane_block;
    const std::size_t whole = t.row_step * static_cast<std::size_t>(b.in_size) * chunk_panels;
    const std::size_t budget = c.l2 / 4;
    t.banded = whole > (c.shared_image ? budget / 2 : budget);
    t.band_rows = b.out_size;
    t.ring_rows = b.in_size;
    if (t.banded) {
      const auto rows_of = [&](int band) { return std::min((band - 1) * b.stride + b.kernel, b.in_size); };
      const auto band_size = [&](int band) {
        return static_cast<std::size_t>(band * b.out_size) * lane_block * static_cast<std::size_t>(blocks);
      };
      const auto bytes_of = [&](int band) {
        return static_cast<std::size_t>(rows_of(band) * blocks) * t.row_step + band_size(band);
      };
      t.band_rows = 1;
      while (t.band_rows < b.out_size && bytes_of(t.band_rows + 1) <= budget) ++t.band_rows;
      t.ring_rows = rows_of(t.band_rows);
      if (b.se_channels == 0) t.band_bytes = band_size(t.band_rows);
    }
    t.ring_plane = t.row_step * static_cast<std::size_t>(t.ring_rows);
    // At stride 2 the last strip of a row loads a quad behind it, which meets no tap.
    t.ring_bytes = t.ring_plane * static_cast<std::size_t>(t.banded ? blocks : std::min(blocks, chunk_panels)) +
                   4 * std::size_t{lane_block};
    return t;
  }
};

} // namespace dynofa::backend::cpu_detail
