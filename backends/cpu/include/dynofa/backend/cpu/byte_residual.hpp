#pragma once
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/front.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

// Inverted residuals of int8 levels: floats → codes → expand → codes → depthwise → codes → squeeze-excite → project →
// floats. As inverted_residual.hpp does it, with a quarter of the bytes between the convolutions.

namespace dynofa::backend::cpu_detail {

/// Runs them, and the 1×1 convolution before pooling.
class byte_residual : image_run {
public:
  explicit byte_residual(const image_run& where)
      : image_run{where} {}

  /// in, out: floats, blocked by 16 channels.
  void run(const step& s, const float* in, float* out) const {
    std::uint8_t* const codes = arena_.codes;
    const std::size_t plane = at(s.b.in_size * s.b.in_size);
    to_codes(s, in, codes);
    execution_.parallel([&](int thread) {
      std::fill_n(own(thread).sums, at(s.mid_blocks), 0.f);
      const auto row = [&](int y) { return codes + at(y * s.b.in_size); };
      if (s.bytes->tiles.banded)
        bands(s, row, plane, in, out, thread);
      else
        chunks(s, codes, thread);
    });
    finish(s, in, out);
  }

  /// Behind the stem and the separable block, which run in floats, row by row as one: image → out of block s.
  void run_front(const step& stem, const step& separable, const step& s, const float* image, float* out) const {
    const int kept = arena_sizes::front_rows_kept(s.b, s.tiles);
    execution_.parallel([&](int thread) {
      const arena::per_thread& mine = own(thread);
      std::fill_n(mine.sums, at(s.mid_blocks), 0.f);
      const int first = tiling::first_input(s.b, share::of(s.b.out_size, thread, execution_.threads()).begin);
      front_rows<float, float> rows{kernels_, stem, separable, kept, image, mine, first};
      auto* const codes = reinterpret_cast<std::uint8_t*>(mine.scaled); // of one row
      const auto row = [&](int y) {
        rows.bring(y, y + 1);
        for (int c = 0; c < s.in_blocks; ++c)
          to_codes(s, rows.row(y) + static_cast<std::size_t>(c) * rows.plane,
                   codes + static_cast<std::size_t>(c) * at(s.b.in_size), s.b.in_size);
        return codes;
      };
      bands(s, row, at(s.b.in_size), nullptr, out, thread);
    });
    finish(s, nullptr, out);
  }

  /// The 1×1 convolution before pooling, and the mean over the image: in [C/16][pixels][16] → out [C'].
  void final_expand(const step& s, const float* in, float* out) const {
    const int pixels = s.b.in_size * s.b.in_size;
    to_codes(s, in, arena_.codes);
    execution_.parallel([&](int thread) {
      const share p = share::of(s.out_blocks, thread, execution_.threads());
      float* const room = own(thread).ring;
      for (int first = p.begin, count; first < p.end; first += count) {
        count = next_chunk(p.end - first);
        const void* const ahead = first + count < p.end ? panel(s.project, s.project_panel, first + count) : nullptr;
        kernels_.product_to_floats({.product = project_of(s, arena_.codes, at(pixels), first, s.b.in_channels,
                                                          s.bytes->input.zero, ahead, s.project_panel),
                                    .out = room,
                                    .out_plane = at(pixels),
                                    .scale = s.bytes->output.scale + at(first),
                                    .shift = s.bytes->output.shift + at(first),
                                    .residual = nullptr,
                                    .residual_plane = 0,
                                    .act = s.act},
                                   count, pixels);
        for (int c = 0; c < count; ++c)
          kernels_.mean(room + static_cast<std::size_t>(c) * at(pixels), pixels, out + at(first + c));
      }
    });
  }

private:
  static const std::int8_t* panel(const void* weights, std::size_t step, int i) {
    return static_cast<const std::int8_t*>(weights) + static_cast<std::size_t>(i) * step;
  }
  std::uint8_t* mid() const { return reinterpret_cast<std::uint8_t*>(arena_.mid); }

  void to_codes(const step& s, const float* in, std::uint8_t* out, int pixels) const {
    kernels_.to_bytes(in, out, pixels, s.bytes->input.inverse, static_cast<float>(s.bytes->input.zero));
  }
  /// The whole input.
  void to_codes(const step& s, const float* in, std::uint8_t* out) const {
    const int blocks = s.in_blocks * s.b.in_size * s.b.in_size;
    execution_.parallel([&](int thread) {
      const share mine = share::of(blocks, thread, execution_.threads());
      to_codes(s, in + at(mine.begin), out + at(mine.begin), mine.end - mine.begin);
    });
  }

  /// A row of the input, expanded by panels [first, first + count) into a kept row of quads.
  void fill_row(const step& s, const std::uint8_t* in, std::size_t plane, int first, int count, std::uint8_t* row,
                const void* ahead) const {
    const byte_step& q = *s.bytes;
    kernels_.product_to_quads({.product = {.in = in,
                                           .in_plane = plane,
                                           .weights = panel(s.expand, s.expand_panel, first),
                                           .panel = s.expand_panel,
                                           .k = s.b.in_channels,
                                           .zero = q.input.zero,
                                           .weight_sums = q.weight_sums[0] + at(first),
                                           .ahead = ahead,
                                           .ahead_step = s.expand_panel},
                               .out = row,
                               .out_plane = q.tiles.ring_plane,
                               .scale = q.expanded.scale + at(first),
                               .shift = q.expanded.shift + at(first),
                               .bend = q.expanded.bend + at(first),
                               .zero = q.expanded.zero + at(first),
                               .act = s.act},
                              count, s.b.in_size);
  }

  void depthwise_rows(const step& s, const std::uint8_t* ring, const std::int32_t* row_offset, int block, share ys,
                      std::uint8_t* out, float* sums) const {
    const byte_step& q = *s.bytes;
    const std::size_t coded = q.one_range ? 0 : at(block);
    const auto taps = static_cast<std::size_t>(s.b.kernel * ((s.b.kernel + 3) / 4) * 4) * lane_block;
    kernels_.depthwise_bytes[s.b.kernel / 2 - 1][s.b.stride - 1](
        {.in = ring,
         .row_offset = row_offset,
         .in_rows = s.b.in_size,
         .out = out,
         .out_width = s.b.out_size,
         .weights = q.depthwise + static_cast<std::size_t>(block) * taps,
         .zero_in = q.zero + at(block) * 4,
         .scale = q.deep.scale + at(block),
         .shift = q.deep.shift + at(block),
         .bend = q.deep.bend + coded,
         .zero_out = q.deep.zero + coded,
         .sum = s.b.se_channels > 0 ? sums + at(block) : nullptr,
         .y0 = ys.begin,
         .y1 = ys.end,
         .act = s.act});
  }

  /// Whole images, chunk after chunk of channels; threads share the channels.
  void chunks(const step& s, const std::uint8_t* in, int thread) const {
    const arena::per_thread& mine = own(thread);
    const byte_tiling& tiles = s.bytes->tiles;
    auto* const ring = reinterpret_cast<std::uint8_t*>(mine.ring);
    const share blocks = share::of(s.mid_blocks, thread, execution_.threads());
    tiles.lay_ring(s.b, mine.row_offset);
    const std::size_t in_plane = at(s.b.in_size * s.b.in_size), out_plane = at(s.b.out_size * s.b.out_size);
    for (int first = blocks.begin, count; first < blocks.end; first += count) {
      count = next_chunk(blocks.end - first);
      const void* const ahead = first + count < blocks.end ? panel(s.expand, s.expand_panel, first + count) : nullptr;
      for (int y = 0; y < s.b.in_size; ++y)
        fill_row(s, in + at(y * s.b.in_size), in_plane, first, count,
                 ring + static_cast<std::size_t>(y) * tiles.row_step, y == 0 ? ahead : nullptr);
      for (int c = 0; c < count; ++c)
        depthwise_rows(s, ring + static_cast<std::size_t>(c) * tiles.ring_plane, mine.row_offset, first + c,
                       {0, s.b.out_size}, mid() + static_cast<std::size_t>(first + c) * out_plane, mine.sums);
    }
  }

  /// Bands of output rows with a ring of expanded rows; threads share the rows and expand those at the seam twice.
  /// row(y): codes of an input row, asked for in order.
  template <class Row>
  void bands(const step& s, Row row, std::size_t plane, const float* in, float* out, int thread) const {
    const arena::per_thread& mine = own(thread);
    const byte_tiling& tiles = s.bytes->tiles;
    auto* const ring = reinterpret_cast<std::uint8_t*>(mine.ring);
    const bool project_bands = s.b.se_channels == 0;
    const share rows = share::of(s.b.out_size, thread, execution_.threads());
    tiles.lay_ring(s.b, mine.row_offset);
    const std::size_t out_plane = at(s.b.out_size * s.b.out_size);
    int made = tiling::first_input(s.b, rows.begin); // rows before this one are in the ring, or past
    for (int y = rows.begin; y < rows.end; y += tiles.band_rows) {
      const share band{y, std::min(y + tiles.band_rows, rows.end)};
      const int needed = tiling::input_end(s.b, band.end);
      const int pixels = (band.end - band.begin) * s.b.out_size;
      std::uint8_t* const to =
          project_bands ? reinterpret_cast<std::uint8_t*>(mine.band) : mid() + at(y * s.b.out_size);
      const std::size_t to_plane = project_bands ? at(pixels) : out_plane;
      for (; made < needed; ++made) {
        const std::uint8_t* const codes = row(made);
        fill_row(s, codes, plane, 0, s.mid_blocks, ring + mine.row_offset[made], nullptr);
      }
      for (int c = 0; c < s.mid_blocks; ++c)
        depthwise_rows(s, ring + static_cast<std::size_t>(c) * tiles.ring_plane, mine.row_offset, c, band,
                       to + static_cast<std::size_t>(c) * to_plane, mine.sums);
      if (project_bands)
        project(s, to, to_plane, in, out, {y * s.b.out_size, y * s.b.out_size + pixels}, {0, s.out_blocks});
    }
  }

  byte_product project_of(const step& s, const std::uint8_t* in, std::size_t in_plane, int first, int k, int zero,
                          const void* ahead, std::size_t ahead_step) const {
    return {.in = in,
            .in_plane = in_plane,
            .weights = panel(s.project, s.project_panel, first),
            .panel = s.project_panel,
            .k = k,
            .zero = zero,
            .weight_sums = s.bytes->weight_sums[1] + at(first),
            .ahead = ahead,
            .ahead_step = ahead_step};
  }

  /// Panels `c` of output pixels `p`; `from`: codes of pixel p.begin.
  void project(const step& s, const std::uint8_t* from, std::size_t from_plane, const float* in, float* out, share p,
               share c) const {
    const std::size_t plane = at(s.b.out_size * s.b.out_size);
    const std::size_t to = static_cast<std::size_t>(c.begin) * plane + at(p.begin);
    kernels_.product_to_floats(
        {.product = project_of(s, from, from_plane, c.begin, s.b.mid_channels, s.bytes->projected.zero, nullptr, 0),
         .out = out + to,
         .out_plane = plane,
         .scale = s.bytes->output.scale + at(c.begin),
         .shift = s.bytes->output.shift + at(c.begin),
         .residual = s.b.residual ? in + to : nullptr,
         .residual_plane = plane,
         .act = s.project_act},
        c.end - c.begin, p.end - p.begin);
  }

  /// What has to wait for the whole depthwise output: squeeze-excite, and a projection that was not done band by band.
  void finish(const step& s, const float* in, float* out) const {
    if (s.b.se_channels > 0)
      squeeze_excite(s);
    else if (s.bytes->tiles.banded)
      return;
    const int pixels = s.b.out_size * s.b.out_size;
    const bool by_channels = execution_.threads() > 1 && s.b.out_channels > pixels;
    execution_.parallel([&](int thread) {
      const share p = by_channels ? share{0, pixels} : share::of(pixels, thread, execution_.threads());
      const share c = by_channels ? share::of(s.out_blocks, thread, execution_.threads()) : share{0, s.out_blocks};
      if (p.begin < p.end) project(s, mid() + at(p.begin), at(pixels), in, out, p, c);
    });
  }

  /// sums → mean → fully connected, activation → fully connected, activation → gate, which makes other codes of those
  /// that are there.
  void squeeze_excite(const step& s) const {
    const byte_step& q = *s.bytes;
    const int pixels = s.b.out_size * s.b.out_size, threads = execution_.threads();
    const float per_pixel = 1.f / static_cast<float>(pixels);
    const std::size_t channels = at(s.mid_blocks);
    std::fill_n(arena_.pooled, channels, 0.f);
    for (const arena::per_thread& t : arena_.own)
      for (std::size_t c = 0; c < channels; ++c) arena_.pooled[c] += t.sums[c];
    for (std::size_t c = 0; c < channels; ++c)
      arena_.pooled[c] = (arena_.pooled[c] * per_pixel - q.deep.zero[c]) * q.ungated_step[c];
    execution_.parallel([&](int thread) {
      matvec(arena_.pooled, s.b.mid_channels, s.se_reduce, s.se_reduce_panel, s.se_reduce_steps, s.se_reduce_bias,
             arena_.hidden, share::of(blocks_of(s.b.se_channels), thread, threads), s.se_act);
    });
    execution_.parallel([&](int thread) {
      const share p = share::of(s.mid_blocks, thread, threads);
      matvec(arena_.hidden, s.b.se_channels, s.se_expand, s.se_expand_panel, s.se_expand_steps, s.se_expand_bias,
             arena_.gate, p, s.se_gate);
      alignas(64) float factor[lane_block], shift[lane_block];
      for (int c = p.begin; c < p.end; ++c) {
        for (std::size_t i = 0; i < lane_block; ++i) {
          factor[i] = arena_.gate[at(c) + i] * q.gate_ratio[at(c) + i];
          shift[i] = std::fma(-q.deep.zero[at(c) + i], factor[i], static_cast<float>(q.projected.zero));
        }
        kernels_.rescale_bytes(mid() + static_cast<std::size_t>(c) * at(pixels), factor, shift, pixels);
      }
    });
  }
};

} // namespace dynofa::backend::cpu_detail
