#pragma once
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/front.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/lookahead.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// Expand → depthwise → squeeze-excite → project: which rows and channels, in which order, on which thread.

namespace dynofa::backend::cpu_detail {

/// Runs inverted residuals, and the separable block, which is one without an expansion. Value: of the 1×1 convolutions'
/// inputs and outputs, blocked by 16 channels; Weight: of their weights. What a depthwise convolution reads is fp32,
/// but halves if all is computed in half precision; vectors are fp32.
template <class Value, class Weight>
class inverted_residual : image_run {
public:
  explicit inverted_residual(const image_run& where)
      : image_run{where} {}

  void run(const step& s, const Value* in, Value* out) const {
    execution_.parallel([&](int thread) {
      std::fill_n(own(thread).sums, at(s.mid_blocks), 0.f);
      if (s.tiles.banded) {
        image_rows<Value> rows{in, s.b.in_size};
        bands(s, rows, in, out, thread);
      } else {
        chunks(s, in, thread);
      }
    });
    finish(s, in, out);
  }

  /// Behind the stem and the separable block, row by row as one: image → out of block s.
  void run_front(const step& stem, const step& separable, const step& s, const float* image, void* out) const {
    const int kept = arena_sizes::front_rows_kept(s.b, s.tiles);
    execution_.parallel([&](int thread) {
      const arena::per_thread& mine = own(thread);
      std::fill_n(mine.sums, at(s.mid_blocks), 0.f);
      front_rows<Value, Weight> rows{
          kernels_,
          stem,
          separable,
          kept,
          image,
          mine,
          tiling::first_input(s.b, share::of(s.b.out_size, thread, execution_.threads()).begin)};
      bands(s, rows, nullptr, values(out), thread);
    });
    finish(s, nullptr, values(out));
  }

private:
  static constexpr bool bf16 = std::is_same_v<Value, bfloat16>;
  using ring_value = row_value<Value>;

  ring_value* ring(int thread) const { return reinterpret_cast<ring_value*>(own(thread).ring); }
  static const Value* values(const void* p) { return static_cast<const Value*>(p); }
  static Value* values(void* p) { return static_cast<Value*>(p); }
  static weight_panels<Weight> panels_of(const void* p, std::size_t step) {
    return {static_cast<const Weight*>(p), step};
  }

  static bool projects_bands(const step& s) { return s.tiles.banded && s.b.se_channels == 0; }

  /// What has to wait for the whole depthwise output: squeeze-excite, and a projection that was not done band by band.
  void finish(const step& s, const Value* in, Value* out) const {
    const bool gated = s.b.se_channels > 0;
    if (gated) squeeze_excite(s);
    if (projects_bands(s)) return;

    // Few pixels: threads share the channels, so that each streams its part of the weights. Many: they share the
    // pixels.
    const int pixels = s.b.out_size * s.b.out_size;
    const bool by_channels = execution_.threads() > 1 && s.b.out_channels > pixels;
    execution_.parallel([&](int thread) {
      const share all_pixels{0, pixels}, all_panels{0, s.out_blocks};
      const share p = by_channels ? all_pixels : share::of(pixels, thread, execution_.threads());
      const share c = by_channels ? share::of(s.out_blocks, thread, execution_.threads()) : all_panels;
      if (p.begin < p.end) project(s, in, out, thread, p, c, gated && gates_weights(s));
    });
  }

  /// An input row's channel blocks [first, first + count), expanded (or for the separable block as it is) into a kept
  /// row.
  template <class W>
  void fill_row(const step& s, const Value* in, std::size_t plane, int first, int count, weight_panels<W> by,
                ring_value* row, const void* ahead) const {
    row += at(s.b.kernel / 2);
    if (!s.expand) {
      for (int c = 0; c < count; ++c) {
        ring_value* const to = row + static_cast<std::size_t>(c) * s.tiles.ring_plane;
        const Value* const from = in + static_cast<std::size_t>(first + c) * plane;
        if constexpr (bf16)
          kernels_.widen(from, to, s.b.in_size);
        else
          std::memcpy(to, from, at(s.b.in_size) * sizeof(Value));
      }
      return;
    }
    const pointwise_of<Value, ring_value, W> product{.in = in,
                                                     .in_plane = plane,
                                                     .weights = by.data,
                                                     .panel = by.step,
                                                     .k = s.b.in_channels,
                                                     .out = row,
                                                     .out_plane = s.tiles.ring_plane,
                                                     .scale = s.scale[0] + at(first),
                                                     .shift = s.shift[0] + at(first),
                                                     .residual = nullptr,
                                                     .residual_plane = 0,
                                                     .ahead = ahead,
                                                     .ahead_step = 0,
                                                     .act = s.act};
    pointwise(kernels_, product, count, s.b.in_size);
  }

  void depthwise_rows(const step& s, const ring_value* ring, const std::int32_t* row_offset, int block, share ys,
                      Value* out, float* sums) const {
    const int norm = s.expand ? 1 : 0;
    const auto taps = static_cast<std::size_t>(s.b.kernel * s.b.kernel) * lane_block;
    depthwise(s.b, {.in = ring,
                    .row_offset = row_offset,
                    .in_rows = s.b.in_size,
                    .out = out,
                    .out_width = s.b.out_size,
                    .weights = s.depthwise + static_cast<std::size_t>(block) * taps,
                    .scale = s.scale[norm] + at(block),
                    .shift = s.shift[norm] + at(block),
                    .sum = sums + at(block),
                    .y0 = ys.begin,
                    .y1 = ys.end,
                    .act = s.act,
                    .to_bf16 = bf16});
  }
  void depthwise(const block& b, const depthwise_of<ring_value>& g) const {
    const int kernel = b.kernel / 2 - 1, stride = b.stride - 1;
    if constexpr (is_float16<ring_value>)
      kernels_.depthwise_in_half[kernel][stride](g);
    else
      kernels_.depthwise[kernel][stride](g);
  }

  /// What this thread reads after the chunks, as much as half of L2 holds: squeeze-excite, else the projection.
  lookahead behind_chunks(const step& s, int thread) const {
    lookahead l;
    const std::size_t budget = execution_.cache_sizes().l2 / 2, value = level_.weights->half ? 2 : 4;
    if (s.b.se_channels > 0) {
      const share p = share::of(blocks_of(s.b.se_channels), thread, execution_.threads());
      const std::size_t bytes = floats_of(s.b.mid_channels) * value, step = s.se_reduce_panel * value;
      const int rows = std::min(p.end - p.begin, static_cast<int>(budget / bytes));
      l.add(static_cast<const std::byte*>(s.se_reduce) + static_cast<std::size_t>(p.begin) * step, bytes, step, rows);
      const share q = share::of(s.mid_blocks, thread, execution_.threads());
      const std::size_t bytes2 = floats_of(s.b.se_channels) * value, step2 = s.se_expand_panel * value;
      const int rows2 =
          std::min(q.end - q.begin, static_cast<int>((budget - static_cast<std::size_t>(rows) * bytes) / bytes2));
      l.add(static_cast<const std::byte*>(s.se_expand) + static_cast<std::size_t>(q.begin) * step2, bytes2, step2,
            rows2);
    } else {
      const std::size_t bytes = floats_of(s.b.mid_channels) * sizeof(Weight);
      l.add(s.project, bytes, s.project_panel * sizeof(Weight),
            std::min(s.out_blocks, static_cast<int>(budget / bytes)));
    }
    return l;
  }

  /// Whole images, chunk after chunk of channels; threads share the channels.
  void chunks(const step& s, const Value* in, int thread) const {
    const arena::per_thread& mine = own(thread);
    const share blocks = share::of(s.mid_blocks, thread, execution_.threads());
    ring_value* const rows = ring(thread);
    s.tiles.lay_ring(s.b, rows, mine.row_offset);
    const std::size_t out_plane = area(s.b.out_size) * lane_block;
    const auto taps = floats_of(s.b.kernel * s.b.kernel);
    const auto expand = panels_of(s.expand, s.expand_panel);
    const std::size_t slice = floats_of(s.b.in_channels) * sizeof(Value); // as much as a call fetches, or twice that
    lookahead later = behind_chunks(s, thread); // fetched during the last rows, so that it is still there when wanted
    int later_slices = later.slices(slice),
        calls = (blocks.end - blocks.begin + chunk_panels - 1) / chunk_panels * s.b.in_size;
    for (int first = blocks.begin, count; first < blocks.end; first += count) {
      count = next_chunk(blocks.end - first);
      lookahead soon; // for this chunk's depthwise convolution and the next one's expansion
      soon.add(s.depthwise + static_cast<std::size_t>(first) * taps,
               static_cast<std::size_t>(count) * taps * sizeof(float));
      if (first + count < blocks.end)
        soon.add(expand.from(first + count).data,
                 static_cast<std::size_t>(next_chunk(blocks.end - first - count)) * s.expand_panel * sizeof(Weight));
      with_panels<Value>(expand.from(first), count, s.b.in_channels, s.b.in_size, mine.scaled, [&](auto by) {
        for (int y = 0; y < s.b.in_size; ++y, --calls) {
          const void* ahead = soon.next(slice);
          if (!ahead && calls <= later_slices) ahead = later.next(slice), --later_slices;
          fill_row(s, in + at(y * s.b.in_size), area(s.b.in_size) * lane_block, first, count, by,
                   rows + static_cast<std::size_t>(y) * s.tiles.row_step, ahead);
        }
      });
      for (int c = 0; c < count; ++c)
        depthwise_rows(s, rows + static_cast<std::size_t>(c) * s.tiles.ring_plane, mine.row_offset, first + c,
                       {0, s.b.out_size}, values(arena_.mid) + static_cast<std::size_t>(first + c) * out_plane,
                       mine.sums);
    }
  }

  /// Bands of output rows with a ring of expanded rows; threads share the rows and expand those at the seam twice.
  template <class Rows>
  void bands(const step& s, Rows& source, const Value* in, Value* out, int thread) const {
    const auto expand = panels_of(s.expand, s.expand_panel), project = panels_of(s.project, s.project_panel);
    float* const room = own(thread).scaled;
    const int rows = s.b.out_size;
    with_panels<Value>(expand, s.expand ? s.mid_blocks : 0, s.b.in_channels, rows, room, [&](auto expand_by) {
      with_panels<Value>(project, projects_bands(s) ? s.out_blocks : 0, s.b.mid_channels, rows,
                         room + at(s.mid_blocks) * static_cast<std::size_t>(s.b.in_channels),
                         [&](auto project_by) { bands(s, source, expand_by, project_by, in, out, thread); });
    });
  }

  template <class Rows, class W1, class W2>
  void bands(const step& s, Rows& source, weight_panels<W1> expand, weight_panels<W2> project, const Value* in,
             Value* out, int thread) const {
    const bool project_bands = projects_bands(s);
    const arena::per_thread& mine = own(thread);
    const share rows = share::of(s.b.out_size, thread, execution_.threads());
    s.tiles.lay_ring(s.b, ring(thread), mine.row_offset);
    const std::size_t out_plane = area(s.b.out_size) * lane_block;
    int made = tiling::first_input(s.b, rows.begin); // rows before this one are in the ring, or past
    for (int y = rows.begin; y < rows.end; y += s.tiles.band_rows) {
      const share band{y, std::min(y + s.tiles.band_rows, rows.end)};
      const int needed = tiling::input_end(s.b, band.end);
      const int band_pixels = (band.end - band.begin) * s.b.out_size;
      Value* const to = project_bands ? values(mine.band) : values(arena_.mid) + at(y * s.b.out_size);
      const std::size_t to_plane = project_bands ? at(band_pixels) : out_plane;
      source.bring(made, needed);
      for (int first = 0, count; first < s.mid_blocks; first += count) {
        count = next_chunk(s.mid_blocks - first);
        ring_value* const planes = ring(thread) + static_cast<std::size_t>(first) * s.tiles.ring_plane;
        for (int r = made; r < needed; ++r)
          fill_row(s, source.row(r), source.plane, first, count, expand.from(first), planes + mine.row_offset[r],
                   nullptr);
        for (int c = 0; c < count; ++c)
          depthwise_rows(s, planes + static_cast<std::size_t>(c) * s.tiles.ring_plane, mine.row_offset, first + c, band,
                         to + static_cast<std::size_t>(first + c) * to_plane, mine.sums);
      }
      made = std::max(made, needed);
      if (project_bands) {
        const int norm = s.expand ? 2 : 1;
        const std::size_t pixel = at(y * s.b.out_size);
        const pointwise_of<Value, Value, W2> product{.in = to,
                                                     .in_plane = to_plane,
                                                     .weights = project.data,
                                                     .panel = project.step,
                                                     .k = s.b.mid_channels,
                                                     .out = out + pixel,
                                                     .out_plane = out_plane,
                                                     .scale = s.scale[norm],
                                                     .shift = s.shift[norm],
                                                     .residual = s.b.residual ? in + pixel : nullptr,
                                                     .residual_plane = out_plane,
                                                     .ahead = nullptr,
                                                     .ahead_step = 0,
                                                     .act = s.project_act};
        pointwise(kernels_, product, s.out_blocks, band_pixels);
      }
    }
  }

  /// The gate goes onto the projection's weights if those are fewer than the values it gates, else onto the values.
  static bool gates_weights(const step& s) { return s.b.out_channels < s.b.out_size * s.b.out_size; }

  /// sums → mean → fully connected, activation → fully connected, activation → gate.
  void squeeze_excite(const step& s) const {
    const int pixels = s.b.out_size * s.b.out_size, threads = execution_.threads();
    const float per_pixel = 1.f / static_cast<float>(pixels);
    const std::size_t channels = at(s.mid_blocks);
    std::fill_n(arena_.pooled, channels, 0.f);
    for (const arena::per_thread& t : arena_.own)
      for (std::size_t c = 0; c < channels; ++c) arena_.pooled[c] += t.sums[c] * per_pixel;
    execution_.parallel([&](int thread) {
      matvec(arena_.pooled, s.b.mid_channels, s.se_reduce, s.se_reduce_panel, nullptr, s.se_reduce_bias, arena_.hidden,
             share::of(blocks_of(s.b.se_channels), thread, threads), s.se_act);
    });
    execution_.parallel([&](int thread) {
      const share p = share::of(s.mid_blocks, thread, threads);
      matvec(arena_.hidden, s.b.se_channels, s.se_expand, s.se_expand_panel, nullptr, s.se_expand_bias, arena_.gate, p,
             s.se_gate);
      if (!gates_weights(s))
        for (int c = p.begin; c < p.end; ++c)
          scale_pixels(values(arena_.mid) + static_cast<std::size_t>(c) * at(pixels), arena_.gate + at(c), pixels);
    });
  }

  void scale_pixels(float* data, const float* gate, int pixels) const { kernels_.scale_pixels(data, gate, pixels); }
  void scale_pixels(bfloat16* data, const float* gate, int pixels) const {
    kernels_.scale_pixels_bf16(data, gate, pixels);
  }
  void scale_pixels(float16* data, const float* gate, int pixels) const {
    kernels_.scale_pixels_in_half(data, gate, pixels);
  }
  void scale_weights(const float* in, float* out, int k) const { kernels_.scale_rows(in, arena_.gate, out, k); }
  void scale_weights(const float16* in, float* out, int k) const { kernels_.scale_rows_half(in, arena_.gate, out, k); }
  void scale_weights(const float16* in, float16* out, int k) const {
    kernels_.scale_rows_in_half(in, arena_.gate, out, k);
  }
  void scale_weights(const bfloat16* in, bfloat16* out, int k) const {
    kernels_.scale_pairs_bf16(in, arena_.gate, out, k);
  }

  void project(const step& s, const Value* in, Value* out, int thread, share pixels, share panels, bool gate) const {
    const auto stored = panels_of(s.project, s.project_panel);
    const int k = s.b.mid_channels, passes = (pixels.end - pixels.begin) / lane_block;
    if (!gate && (passes < 3 || !widens<Value, Weight>))
      return project(s, stored.from(panels.begin), in, out, pixels, panels, s.following, floats_of(k));
    float* const room = own(thread).scaled;
    for (int first = panels.begin, count; first < panels.end; first += count) {
      count = next_chunk(panels.end - first);
      const share chunk{first, first + count};
      const auto from = stored.from(first);
      const bool more = chunk.end < panels.end;
      const void* const ahead = more ? stored.from(chunk.end).data : s.following;
      // in values of the panels that are multiplied
      const std::size_t ahead_step = more ? stored.step * sizeof(Weight) / sizeof(Value) : floats_of(k);
      if (gate) {
        Value* const gated = values(room);
        for (int c = 0; c < count; ++c)
          scale_weights(from.from(c).data, gated + static_cast<std::size_t>(c) * floats_of(k), k);
        project(s, weight_panels<Value>{gated, floats_of(k)}, in, out, pixels, chunk, ahead, ahead_step);
      } else {
        with_panels<Value>(from, count, k, passes, room,
                           [&](auto by) { project(s, by, in, out, pixels, chunk, ahead, ahead_step); });
      }
    }
  }

  /// `by` begins with the first of these panels.
  template <class W>
  void project(const step& s, weight_panels<W> by, const Value* in, Value* out, share pixels, share panels,
               const void* ahead, std::size_t ahead_step) const {
    const std::size_t plane = area(s.b.out_size) * lane_block, pixel = at(pixels.begin);
    const std::size_t to = static_cast<std::size_t>(panels.begin) * plane + pixel;
    const pointwise_of<Value, Value, W> product{.in = values(arena_.mid) + pixel,
                                                .in_plane = plane,
                                                .weights = by.data,
                                                .panel = by.step,
                                                .k = s.b.mid_channels,
                                                .out = out + to,
                                                .out_plane = plane,
                                                .scale = s.scale[2] + at(panels.begin),
                                                .shift = s.shift[2] + at(panels.begin),
                                                .residual = s.b.residual ? in + to : nullptr,
                                                .residual_plane = plane,
                                                .ahead = ahead,
                                                .ahead_step = ahead_step,
                                                .act = s.project_act};
    pointwise(kernels_, product, panels.end - panels.begin, pixels.end - pixels.begin);
  }
};

} // namespace dynofa::backend::cpu_detail
