#pragma once
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

// ResNet's blocks. 1×1 → k×k → 1×1 plus shortcut: which rows, in which order, on which thread.

namespace dynofa::backend::cpu_detail {

/// Runs bottlenecks, and convolutions, which are bottlenecks without their 1×1 products. Activations are fp32, blocked
/// by 16 channels; Weight: of the 1×1 products. Bands of output rows as in inverted_residual: a ring of rows as the k×k
/// convolution wants them is kept, and the band is projected at once.
template <class Weight>
class bottleneck : image_run {
public:
  explicit bottleneck(const image_run& where)
      : image_run{where} {}

  void run(const step& s, const float* in, float* out) const {
    if (s.shortcut) shortcut(s, in, out);
    execution_.parallel([&](int thread) { bands(s, in, out, thread); });
  }

  void max_pool(const step& s, const float* in, float* out) const {
    windows(s, s.in_blocks, in, out, kernels_.max_windows);
  }

private:
  static weight_panels<Weight> panels_of(const void* p, std::size_t step) {
    return {static_cast<const Weight*>(p), step};
  }

  /// in [C/16][size²][16] → out [C/16][out_size²][16]; threads share the rows.
  void windows(const step& s, int blocks, const float* in, float* out, void (*of)(const window_args&)) const {
    execution_.parallel([&](int thread) {
      pool_windows(of, s.b, blocks, in, out, share::of(s.b.out_size, thread, execution_.threads()));
    });
  }

  /// The shortcut that is not the input itself, to where the block's output will be.
  void shortcut(const step& s, const float* in, float* out) const {
    if (s.b.stride > 1) {
      windows(s, s.in_blocks, in, arena_.mid, kernels_.mean_windows);
      in = arena_.mid;
    }
    const std::size_t plane = area(s.b.out_size) * lane_block;
    execution_.parallel([&](int thread) {
      const share p = share::of(s.b.out_size * s.b.out_size, thread, execution_.threads());
      if (p.begin == p.end) return;
      const auto weights = panels_of(s.shortcut, s.shortcut_panel);
      const pointwise_of<float, float, Weight> product{.in = in + at(p.begin),
                                                       .in_plane = plane,
                                                       .weights = weights.data,
                                                       .panel = weights.step,
                                                       .k = s.b.in_channels,
                                                       .out = out + at(p.begin),
                                                       .out_plane = plane,
                                                       .scale = s.scale[3],
                                                       .shift = s.shift[3],
                                                       .residual = nullptr,
                                                       .residual_plane = 0,
                                                       .ahead = nullptr,
                                                       .ahead_step = 0,
                                                       .act = epilogue::identity};
      pointwise(kernels_, product, s.out_blocks, p.end - p.begin);
    });
  }

  void bands(const step& s, const float* in, float* out, int thread) const {
    const arena::per_thread& mine = own(thread);
    const share rows = share::of(s.b.out_size, thread, execution_.threads());
    s.tiles.lay_ring(s.b, mine.ring, mine.row_offset);
    const std::size_t out_plane = area(s.b.out_size) * lane_block;
    int made = tiling::first_input(s.b, rows.begin); // rows before this one are in the ring, or past
    for (int y = rows.begin; y < rows.end; y += s.tiles.band_rows) {
      const share band{y, std::min(y + s.tiles.band_rows, rows.end)};
      const int needed = tiling::input_end(s.b, band.end);
      fill_rows(s, in, made, needed, mine);
      made = std::max(made, needed);
      const std::size_t pixel = at(y * s.b.out_size);
      const bool projects = s.project != nullptr;
      const int band_pixels = (band.end - band.begin) * s.b.out_size;
      const std::size_t band_plane = projects ? at(band_pixels) : out_plane;
      const int norm = projects ? 1 : 0;
      const dense_args convolution{.in = mine.ring,
                                   .row_offset = mine.row_offset,
                                   .in_rows = s.b.in_size,
                                   .in_plane = s.tiles.ring_plane,
                                   .weights = s.dense,
                                   .panel = s.dense_panel,
                                   .tap = s.dense_tap,
                                   .k = projects ? s.b.mid_channels : s.b.in_channels,
                                   .kernel = s.b.kernel,
                                   .stride = s.b.stride,
                                   .out = projects ? mine.band : out + pixel,
                                   .out_plane = band_plane,
                                   .out_width = s.b.out_size,
                                   .scale = s.scale[norm],
                                   .shift = s.shift[norm],
                                   .residual = s.b.residual && !projects ? in + pixel : nullptr,
                                   .residual_plane = out_plane,
                                   .y0 = band.begin,
                                   .y1 = band.end,
                                   .act = s.act};
      const int panels = projects ? s.mid_blocks : s.out_blocks;
      if (s.winograd.step > 0)
        convolve_tiles(s, convolution, panels, mine);
      else
        kernels_.dense(convolution, panels);
      if (!projects) continue;
      const auto weights = panels_of(s.project, s.project_panel);
      const pointwise_of<float, float, Weight> product{.in = mine.band,
                                                       .in_plane = band_plane,
                                                       .weights = weights.data,
                                                       .panel = weights.step,
                                                       .k = s.b.mid_channels,
                                                       .out = out + pixel,
                                                       .out_plane = out_plane,
                                                       .scale = s.scale[2],
                                                       .shift = s.shift[2],
                                                       .residual = (s.b.residual ? in : out) + pixel,
                                                       .residual_plane = out_plane,
                                                       .ahead = band.end == rows.end ? s.following : nullptr,
                                                       .ahead_step = floats_of(s.b.mid_channels),
                                                       .act = s.out_act};
      pointwise(kernels_, product, s.out_blocks, band_pixels);
    }
  }

  /// The k×k convolution by Winograd's tiles: all of the band's inputs are transformed, then a chunk of output channels
  /// at a time is multiplied, position by position, and transformed back.
  void convolve_tiles(const step& s, const dense_args& g, int panels, const arena::per_thread& mine) const {
    const int across = winograd::tiles_of(g.out_width), down = winograd::tiles_of(g.y1 - g.y0), tiles = across * down;
    const int in_blocks = blocks_of(g.k);
    const winograd::tiles_at inputs(tiles, in_blocks);
    const float* const zeros = g.in + s.tiles.ring_floats;
    for (int c = 0; c < in_blocks; ++c)
      for (int t = 0; t < down; ++t) {
        winograd_input_args rows{.rows = {},
                                 .out = mine.tiles + static_cast<std::size_t>(c) * inputs.plane + at(t * across),
                                 .step = inputs.step,
                                 .tiles = across};
        for (int i = 0; i < 4; ++i) {
          const int y = g.y0 + 2 * t - 1 + i; // of no output if it lies behind what the band's last row reads
          rows.rows[i] = y < 0 || y >= g.in_rows || y > g.y1
                             ? zeros
                             : g.in + static_cast<std::size_t>(c) * g.in_plane + g.row_offset[y];
        }
        kernels_.winograd_input(rows);
      }
    const float* const weights = level_.weights->floats(s.winograd);
    for (int first = 0, count; first < panels; first += count) {
      count = next_chunk(panels - first);
      const winograd::tiles_at sums(tiles, count);
      for (int position = 0; position < winograd::positions; ++position) {
        const float* const own_weights = weights + static_cast<std::size_t>(first) * s.winograd.step +
                                         static_cast<std::size_t>(position) * s.winograd.tap;
        const bool more = position + 1 < winograd::positions;
        kernels_.pointwise({.in = mine.tiles + static_cast<std::size_t>(position) * inputs.step,
                            .in_plane = inputs.plane,
                            .weights = own_weights,
                            .panel = s.winograd.step,
                            .k = g.k,
                            .out = mine.tile_sums + static_cast<std::size_t>(position) * sums.step,
                            .out_plane = sums.plane,
                            .scale = arena_.ones,
                            .shift = arena_.zeros,
                            .residual = nullptr,
                            .residual_plane = 0,
                            .ahead = more ? own_weights + s.winograd.tap : nullptr,
                            .ahead_step = s.winograd.step,
                            .act = epilogue::identity},
                           count, tiles);
      }
      for (int c = first; c < first + count; ++c)
        for (int t = 0; t < down; ++t) {
          const auto row = static_cast<std::size_t>(2 * t) * at(g.out_width);
          const auto block = static_cast<std::size_t>(c);
          kernels_.winograd_output(
              {.in = mine.tile_sums + static_cast<std::size_t>(c - first) * sums.plane + at(t * across),
               .step = sums.step,
               .out = g.out + block * g.out_plane + row,
               .out_row = static_cast<std::ptrdiff_t>(at(g.out_width)),
               .residual = g.residual ? g.residual + block * g.residual_plane + row : nullptr,
               .residual_row = static_cast<std::ptrdiff_t>(at(g.out_width)),
               .tiles = across,
               .out_width = g.out_width,
               .rows = std::min(2, g.y1 - g.y0 - 2 * t),
               .scale = g.scale + at(c),
               .shift = g.shift + at(c),
               .act = g.act});
        }
    }
  }

  /// Input rows [begin, end), reduced (or of a convolution as they are), into the ring.
  void fill_rows(const step& s, const float* in, int begin, int end, const arena::per_thread& mine) const {
    if (begin == end) return; // the band before this one, of a last row, read the same
    const std::size_t plane = area(s.b.in_size) * lane_block, row_floats = at(s.b.in_size);
    const auto copy = [&](int block, const float* from) {
      float* const ring = mine.ring + static_cast<std::size_t>(block) * s.tiles.ring_plane + at(s.b.kernel / 2);
      for (int y = begin; y < end; ++y, from += row_floats)
        std::memcpy(ring + mine.row_offset[y], from, row_floats * sizeof(float));
    };
    in += at(begin * s.b.in_size);
    if (!s.expand)
      for (int c = 0; c < s.in_blocks; ++c) copy(c, in + static_cast<std::size_t>(c) * plane);
    else if (tiling::rows_are_short(s.b))
      reduce_chunks(s, in, (end - begin) * s.b.in_size, mine.scaled, copy);
    else
      reduce_rows(s, in, begin, end, mine);
  }

  /// Rows that are wide enough for good tiles go to the ring directly.
  void reduce_rows(const step& s, const float* in, int begin, int end, const arena::per_thread& mine) const {
    for (int first = 0, count; first < s.mid_blocks; first += count) {
      count = next_chunk(s.mid_blocks - first);
      float* const ring = mine.ring + static_cast<std::size_t>(first) * s.tiles.ring_plane + at(s.b.kernel / 2);
      for (int y = begin; y < end; ++y)
        reduce(s, first, count, in + at((y - begin) * s.b.in_size), s.b.in_size, ring + mine.row_offset[y],
               s.tiles.ring_plane);
    }
  }
  /// Short ones are reduced together, a chunk of channels at a time, and copied: `copy(block, its pixels)`.
  template <class Copy>
  void reduce_chunks(const step& s, const float* in, int pixels, float* room, Copy copy) const {
    for (int first = 0, count; first < s.mid_blocks; first += count) {
      count = next_chunk(s.mid_blocks - first);
      reduce(s, first, count, in, pixels, room, at(pixels));
      for (int c = 0; c < count; ++c) copy(first + c, room + static_cast<std::size_t>(c) * at(pixels));
    }
  }
  /// Channel blocks [first, first + count) of neighbouring pixels. Meanwhile the next chunk's weights come nearer.
  void reduce(const step& s, int first, int count, const float* in, int pixels, float* out, std::size_t plane) const {
    const auto weights = panels_of(s.expand, s.expand_panel);
    const bool more = first + count < s.mid_blocks;
    const pointwise_of<float, float, Weight> product{.in = in,
                                                     .in_plane = area(s.b.in_size) * lane_block,
                                                     .weights = weights.from(first).data,
                                                     .panel = weights.step,
                                                     .k = s.b.in_channels,
                                                     .out = out,
                                                     .out_plane = plane,
                                                     .scale = s.scale[0] + at(first),
                                                     .shift = s.shift[0] + at(first),
                                                     .residual = nullptr,
                                                     .residual_plane = 0,
                                                     .ahead = more ? weights.from(first + count).data
                                                                   : static_cast<const void*>(s.dense),
                                                     .ahead_step = more ? weights.step : floats_of(s.b.in_channels),
                                                     .act = s.act};
    pointwise(kernels_, product, count, pixels);
  }
};

} // namespace dynofa::backend::cpu_detail
