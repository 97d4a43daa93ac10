#pragma once
#include "dynofa/backend/cpu/engine.hpp"
#include "dynofa/backend/cpu/front.hpp"
#include "dynofa/backend/cpu/level.hpp"
#include "dynofa/backend/cpu/lookahead.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// The blocks of a network over the kernels of one instruction set: which rows and channels, in which order, on which
// thread.

namespace dynofa::backend::cpu_detail {

/// Part i of n of `count` things, as equal as can be.
struct share {
  int begin, end;
  static share of(int count, int i, int n) {
    return {static_cast<int>(static_cast<std::int64_t>(count) * i / n),
            static_cast<int>(static_cast<std::int64_t>(count) * (i + 1) / n)};
  }
};

/// Panels of weights: the first, and values from one to the next.
template <class Weight>
struct weight_panels {
  const Weight* data = nullptr;
  std::size_t step = 0;
  weight_panels from(int panel) const { return {data + static_cast<std::size_t>(panel) * step, step}; }
};

/// Runs blocks of one image; `in` and `out` are blocked by 16 channels. Value: of the 1×1 convolutions' inputs and
/// outputs; Weight: of their weights; what a depthwise convolution reads and all vectors are fp32.
template <class Value, class Weight = Value>
class block_runner {
public:
  using value = Value;
  block_runner(const engine& e, const level& l, arena& a)
      : engine_{e}
      , kernels_{e.kernels()}
      , level_{l}
      , arena_{a} {}

  /// `in`: interleaved float pixels for the stem, float vectors for feature mix and classifier, else blocked Values.
  /// `out`: float vectors from final expand on, else blocked Values.
  void run(const step& s, const void* in, void* out) const {
    switch (s.b.kind) {
    case block_kind::stem: return stem(s, floats(in), values(out));
    case block_kind::separable:
    case block_kind::inverted_residual: return inverted_residual(s, values(in), values(out));
    case block_kind::final_expand: return final_expand(s, values(in), floats(out));
    case block_kind::feature_mix: return product(s, floats(in), floats(out), nullptr);
    case block_kind::classifier:
      return product(s, floats(in), floats(out), level_.weights->floats(level_.weights->classifier_bias));
    }
  }
  static bool takes_values(block_kind k) {
    return k == block_kind::separable || k == block_kind::inverted_residual || k == block_kind::final_expand;
  }
  static bool gives_values(block_kind k) {
    return k == block_kind::stem || k == block_kind::separable || k == block_kind::inverted_residual;
  }

  /// The first three blocks as one, image → output of the third.
  void run_front(const step& stem, const step& separable, const step& s, const float* image, void* out) const {
    const int kept = arena_sizes::front_rows_kept(s.b, s.cut);
    engine_.parallel([&](int thread) {
      const arena::per_thread& own = arena_.own[static_cast<std::size_t>(thread)];
      std::fill_n(own.sums, at(s.mid_blocks), 0.f);
      front_rows<Value, Weight> rows{kernels_, stem, separable, kept, image, own, first_input_row(s, thread)};
      bands(s, rows, nullptr, values(out), thread);
    });
    finish(s, nullptr, values(out));
  }

private:
  static constexpr bool bf16 = std::is_same_v<Value, bfloat16>;

  static const Value* values(const void* p) { return static_cast<const Value*>(p); }
  static Value* values(void* p) { return static_cast<Value*>(p); }
  static weight_panels<Weight> panels_of(const void* p, std::size_t step) {
    return {static_cast<const Weight*>(p), step};
  }
  static const float* floats(const void* p) { return static_cast<const float*>(p); }
  static float* floats(void* p) { return static_cast<float*>(p); }

  static std::size_t at(int i) { return static_cast<std::size_t>(i) * lane_block; }
  static std::size_t area(int size) { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }

  /// do_it(panels [0, count) of `stored`). Half precision is widened to `room` before if the panels will be read at
  /// least three times: widened in the tile it costs 4 to 7 % (9 × 3 sums, Zen 5), more with fewer pixels.
  template <class DoIt>
  void with_panels(weight_panels<Weight> stored, int count, int k, int times, float* room, DoIt do_it) const {
    if constexpr (std::is_same_v<Weight, float16>)
      if (times >= 3) {
        for (int c = 0; c < count; ++c)
          kernels_.widen_half(stored.from(c).data, room + static_cast<std::size_t>(c) * floats_of(k), k);
        return do_it(weight_panels<float>{room, floats_of(k)});
      }
    do_it(stored);
  }

  void stem(const step& s, const float* in, Value* out) const {
    engine_.parallel([&](int thread) {
      const share ys = share::of(s.b.out_size, thread, engine_.threads());
      float* const ring = arena_.own[static_cast<std::size_t>(thread)].ring;
      stem_rows rows{kernels_, s, in, ring, ys.begin};
      const std::size_t plane = area(s.b.out_size) * lane_block, row_floats = at(s.b.out_size);
      float* const row = ring + 3 * arena_sizes::stem_row(s.b.in_size);
      for (int y = ys.begin; y < ys.end; ++y) {
        Value* const to = out + at(y * s.b.out_size);
        if constexpr (bf16) {
          rows.compute(y, row, row_floats);
          for (int c = 0; c < s.out_blocks; ++c)
            kernels_.narrow(row + static_cast<std::size_t>(c) * row_floats, to + static_cast<std::size_t>(c) * plane,
                            s.b.out_size);
        } else {
          rows.compute(y, to, plane);
        }
      }
    });
  }

  void inverted_residual(const step& s, const Value* in, Value* out) const {
    engine_.parallel([&](int thread) {
      std::fill_n(arena_.own[static_cast<std::size_t>(thread)].sums, at(s.mid_blocks), 0.f);
      if (s.cut.banded) {
        image_rows<Value> rows{in, s.b.in_size};
        bands(s, rows, in, out, thread);
      } else {
        chunks(s, in, thread);
      }
    });
    finish(s, in, out);
  }

  static bool projects_bands(const step& s) { return s.cut.banded && s.b.se_channels == 0; }

  /// What has to wait for the whole depthwise output: squeeze-excite, and a projection that was not done band by band.
  void finish(const step& s, const Value* in, Value* out) const {
    const bool gated = s.b.se_channels > 0;
    if (gated) squeeze_excite(s);
    if (projects_bands(s)) return;

    // Few pixels: threads share the channels, so that each streams its part of the weights. Many: they share the
    // pixels.
    const int pixels = s.b.out_size * s.b.out_size;
    const bool by_channels = engine_.threads() > 1 && s.b.out_channels > pixels;
    engine_.parallel([&](int thread) {
      const share all_pixels{0, pixels}, all_panels{0, s.out_blocks};
      const share p = by_channels ? all_pixels : share::of(pixels, thread, engine_.threads());
      const share c = by_channels ? share::of(s.out_blocks, thread, engine_.threads()) : all_panels;
      project(s, in, out, thread, p, c, gated && gates_weights(s));
    });
  }

  /// The zero pixels on both sides of every kept row, for the depthwise kernel's sake.
  static void clear_sides(const step& s, float* ring) {
    const std::size_t side = at(s.b.kernel / 2);
    for (float *row = ring, *end = ring + s.cut.ring_floats; row != end; row += s.cut.row_step) {
      std::fill_n(row, side, 0.f);
      std::fill_n(row + s.cut.row_step - side, side, 0.f);
    }
  }

  /// An input row's channel blocks [first, first + count), expanded (or for the separable block as it is) into a kept
  /// row.
  template <class W>
  void fill_row(const step& s, const Value* in, std::size_t plane, int first, int count, weight_panels<W> by,
                float* row, const void* ahead) const {
    row += at(s.b.kernel / 2);
    if (!s.expand) {
      for (int c = 0; c < count; ++c) {
        float* const to = row + static_cast<std::size_t>(c) * s.cut.ring_plane;
        const Value* const from = in + static_cast<std::size_t>(first + c) * plane;
        if constexpr (bf16)
          kernels_.widen(from, to, s.b.in_size);
        else
          std::memcpy(to, from, at(s.b.in_size) * sizeof(float));
      }
      return;
    }
    const pointwise_of<Value, float, W> product{in,
                                                plane,
                                                by.data,
                                                by.step,
                                                s.b.in_channels,
                                                row,
                                                s.cut.ring_plane,
                                                s.scale[0] + at(first),
                                                s.shift[0] + at(first),
                                                nullptr,
                                                0,
                                                ahead,
                                                0,
                                                s.act};
    pointwise(kernels_, product, count, s.b.in_size);
  }

  void depthwise_rows(const step& s, const float* ring, const std::int32_t* row_offset, int block, share ys, Value* out,
                      float* sums) const {
    const int norm = s.expand ? 1 : 0;
    const auto taps = static_cast<std::size_t>(s.b.kernel * s.b.kernel) * lane_block;
    kernels_.depthwise[s.b.kernel / 2 - 1][s.b.stride - 1](
        {ring, row_offset, s.b.in_size, out, s.b.out_size, s.depthwise + static_cast<std::size_t>(block) * taps,
         s.scale[norm] + at(block), s.shift[norm] + at(block), sums + at(block), ys.begin, ys.end, s.act, bf16});
  }

  /// What this thread reads after the chunks, as much as half of L2 holds: squeeze-excite, else the projection.
  lookahead behind_chunks(const step& s, int thread) const {
    lookahead l;
    const std::size_t budget = engine_.cache_sizes().l2 / 2, value = level_.weights->half ? 2 : 4;
    if (s.b.se_channels > 0) {
      const share p = share::of(blocks_of(s.b.se_channels), thread, engine_.threads());
      const std::size_t bytes = floats_of(s.b.mid_channels) * value, step = s.se_reduce_panel * value;
      const int rows = std::min(p.end - p.begin, static_cast<int>(budget / bytes));
      l.add(static_cast<const std::byte*>(s.se_reduce) + static_cast<std::size_t>(p.begin) * step, bytes, step, rows);
      const share q = share::of(s.mid_blocks, thread, engine_.threads());
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
    const arena::per_thread& own = arena_.own[static_cast<std::size_t>(thread)];
    const share blocks = share::of(s.mid_blocks, thread, engine_.threads());
    for (int y = 0; y < s.b.in_size; ++y) own.row_offset[y] = static_cast<std::int32_t>(s.cut.row_step) * y;
    clear_sides(s, own.ring);
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
      with_panels(expand.from(first), count, s.b.in_channels, s.b.in_size, own.scaled, [&](auto by) {
        for (int y = 0; y < s.b.in_size; ++y, --calls) {
          const void* ahead = soon.next(slice);
          if (!ahead && calls <= later_slices) ahead = later.next(slice), --later_slices;
          fill_row(s, in + at(y * s.b.in_size), area(s.b.in_size) * lane_block, first, count, by,
                   own.ring + static_cast<std::size_t>(y) * s.cut.row_step, ahead);
        }
      });
      for (int c = 0; c < count; ++c)
        depthwise_rows(s, own.ring + static_cast<std::size_t>(c) * s.cut.ring_plane, own.row_offset, first + c,
                       {0, s.b.out_size}, values(arena_.mid) + static_cast<std::size_t>(first + c) * out_plane,
                       own.sums);
    }
  }

  int first_input_row(const step& s, int thread) const {
    return std::max(0, share::of(s.b.out_size, thread, engine_.threads()).begin * s.b.stride - s.b.kernel / 2);
  }

  /// Bands of output rows with a ring of expanded rows; threads share the rows and expand those at the seam twice.
  template <class Rows>
  void bands(const step& s, Rows& source, const Value* in, Value* out, int thread) const {
    const auto expand = panels_of(s.expand, s.expand_panel), project = panels_of(s.project, s.project_panel);
    float* const room = arena_.own[static_cast<std::size_t>(thread)].scaled;
    const int rows = s.b.out_size;
    with_panels(expand, s.expand ? s.mid_blocks : 0, s.b.in_channels, rows, room, [&](auto expand_by) {
      with_panels(project, projects_bands(s) ? s.out_blocks : 0, s.b.mid_channels, rows,
                  room + at(s.mid_blocks) * static_cast<std::size_t>(s.b.in_channels),
                  [&](auto project_by) { bands(s, source, expand_by, project_by, in, out, thread); });
    });
  }

  template <class Rows, class W1, class W2>
  void bands(const step& s, Rows& source, weight_panels<W1> expand, weight_panels<W2> project, const Value* in,
             Value* out, int thread) const {
    const bool project_bands = projects_bands(s);
    const arena::per_thread& own = arena_.own[static_cast<std::size_t>(thread)];
    const share rows = share::of(s.b.out_size, thread, engine_.threads());
    for (int y = 0; y < s.b.in_size; ++y)
      own.row_offset[y] = static_cast<std::int32_t>(s.cut.row_step) * (y % s.cut.ring_rows);
    clear_sides(s, own.ring);
    const std::size_t out_plane = area(s.b.out_size) * lane_block;
    int made =
        std::max(0, rows.begin * s.b.stride - s.b.kernel / 2); // input rows before this one are in the ring, or past
    for (int y = rows.begin; y < rows.end; y += s.cut.band_rows) {
      const share band{y, std::min(y + s.cut.band_rows, rows.end)};
      const int needed = std::min(s.b.in_size, (band.end - 1) * s.b.stride - s.b.kernel / 2 + s.b.kernel);
      const int band_pixels = (band.end - band.begin) * s.b.out_size;
      Value* const to = project_bands ? values(own.band) : values(arena_.mid) + at(y * s.b.out_size);
      const std::size_t to_plane = project_bands ? at(band_pixels) : out_plane;
      source.bring(made, needed);
      for (int first = 0, count; first < s.mid_blocks; first += count) {
        count = next_chunk(s.mid_blocks - first);
        float* const ring = own.ring + static_cast<std::size_t>(first) * s.cut.ring_plane;
        for (int r = made; r < needed; ++r)
          fill_row(s, source.row(r), source.plane, first, count, expand.from(first), ring + own.row_offset[r], nullptr);
        for (int c = 0; c < count; ++c)
          depthwise_rows(s, ring + static_cast<std::size_t>(c) * s.cut.ring_plane, own.row_offset, first + c, band,
                         to + static_cast<std::size_t>(first + c) * to_plane, own.sums);
      }
      made = std::max(made, needed);
      if (project_bands) {
        const int norm = s.expand ? 2 : 1;
        const std::size_t pixel = at(y * s.b.out_size);
        const pointwise_of<Value, Value, W2> product{to,
                                                     to_plane,
                                                     project.data,
                                                     project.step,
                                                     s.b.mid_channels,
                                                     out + pixel,
                                                     out_plane,
                                                     s.scale[norm],
                                                     s.shift[norm],
                                                     s.b.residual ? in + pixel : nullptr,
                                                     out_plane,
                                                     nullptr,
                                                     0,
                                                     epilogue::identity};
        pointwise(kernels_, product, s.out_blocks, band_pixels);
      }
    }
  }

  /// The gate goes onto the projection's weights if those are fewer than the values it gates, else onto the values.
  static bool gates_weights(const step& s) { return s.b.out_channels < s.b.out_size * s.b.out_size; }

  /// sums → mean → fully connected, ReLU → fully connected, h_sigmoid → gate.
  void squeeze_excite(const step& s) const {
    const int pixels = s.b.out_size * s.b.out_size, threads = engine_.threads();
    const float per_pixel = 1.f / static_cast<float>(pixels);
    const std::size_t channels = at(s.mid_blocks);
    std::fill_n(arena_.pooled, channels, 0.f);
    for (const arena::per_thread& t : arena_.own)
      for (std::size_t c = 0; c < channels; ++c) arena_.pooled[c] += t.sums[c] * per_pixel;
    const bool half = level_.weights->half;
    const auto matvec = half ? kernels_.matvec_half : kernels_.matvec;
    auto panel = [&](const void* weights, std::size_t step, int i) {
      return static_cast<const std::byte*>(weights) + static_cast<std::size_t>(i) * step * (half ? 2 : 4);
    };
    engine_.parallel([&](int thread) {
      const share p = share::of(blocks_of(s.b.se_channels), thread, threads);
      matvec({arena_.pooled, s.b.mid_channels, panel(s.se_reduce, s.se_reduce_panel, p.begin), s.se_reduce_panel,
              s.se_reduce_bias + at(p.begin), arena_.hidden + at(p.begin), p.end - p.begin, epilogue::relu});
    });
    engine_.parallel([&](int thread) {
      const share p = share::of(s.mid_blocks, thread, threads);
      matvec({arena_.hidden, s.b.se_channels, panel(s.se_expand, s.se_expand_panel, p.begin), s.se_expand_panel,
              s.se_expand_bias + at(p.begin), arena_.gate + at(p.begin), p.end - p.begin, epilogue::h_sigmoid});
      if (!gates_weights(s))
        for (int c = p.begin; c < p.end; ++c)
          scale_pixels(values(arena_.mid) + static_cast<std::size_t>(c) * at(pixels), arena_.gate + at(c), pixels);
    });
  }

  void scale_pixels(float* data, const float* gate, int pixels) const { kernels_.scale_pixels(data, gate, pixels); }
  void scale_pixels(bfloat16* data, const float* gate, int pixels) const {
    kernels_.scale_pixels_bf16(data, gate, pixels);
  }
  void scale_weights(const float* in, float* out, int k) const { kernels_.scale_rows(in, arena_.gate, out, k); }
  void scale_weights(const float16* in, float* out, int k) const { kernels_.scale_rows_half(in, arena_.gate, out, k); }
  void scale_weights(const bfloat16* in, bfloat16* out, int k) const {
    kernels_.scale_pairs_bf16(in, arena_.gate, out, k);
  }

  void project(const step& s, const Value* in, Value* out, int thread, share pixels, share panels, bool gate) const {
    const auto stored = panels_of(s.project, s.project_panel);
    const int k = s.b.mid_channels, passes = (pixels.end - pixels.begin) / lane_block;
    if (!gate && (passes < 3 || !std::is_same_v<Weight, float16>))
      return project(s, stored.from(panels.begin), in, out, pixels, panels, s.following, floats_of(k));
    float* const room = arena_.own[static_cast<std::size_t>(thread)].scaled;
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
        with_panels(from, count, k, passes, room,
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
    const pointwise_of<Value, Value, W> product{values(arena_.mid) + pixel,
                                                plane,
                                                by.data,
                                                by.step,
                                                s.b.mid_channels,
                                                out + to,
                                                plane,
                                                s.scale[2] + at(panels.begin),
                                                s.shift[2] + at(panels.begin),
                                                s.b.residual ? in + to : nullptr,
                                                plane,
                                                ahead,
                                                ahead_step,
                                                epilogue::identity};
    pointwise(kernels_, product, panels.end - panels.begin, pixels.end - pixels.begin);
  }

  /// The wide map is pooled chunk by chunk and never stored.
  void final_expand(const step& s, const Value* in, float* out) const {
    const int pixels = s.b.in_size * s.b.in_size;
    engine_.parallel([&](int thread) {
      const share p = share::of(s.out_blocks, thread, engine_.threads());
      const arena::per_thread& own = arena_.own[static_cast<std::size_t>(thread)];
      for (int first = p.begin, count; first < p.end; first += count) {
        count = next_chunk(p.end - first);
        const auto stored = panels_of(s.project, s.project_panel).from(first);
        const void* const ahead = first + count < p.end ? stored.from(count).data : nullptr;
        with_panels(stored, count, s.b.in_channels, pixels / lane_block, own.scaled, [&]<class W>(weight_panels<W> by) {
          const pointwise_of<Value, float, W> product{in,
                                                      at(pixels),
                                                      by.data,
                                                      by.step,
                                                      s.b.in_channels,
                                                      own.ring,
                                                      at(pixels),
                                                      s.scale[0] + at(first),
                                                      s.shift[0] + at(first),
                                                      nullptr,
                                                      0,
                                                      ahead,
                                                      s.project_panel * sizeof(Weight) / sizeof(W),
                                                      s.act};
          pointwise(kernels_, product, count, pixels);
        });
        for (int c = 0; c < count; ++c)
          kernels_.mean(own.ring + static_cast<std::size_t>(c) * at(pixels), pixels, out + at(first + c));
      }
    });
  }

  void product(const step& s, const float* in, float* out, const float* bias) const {
    const bool half = level_.weights->half;
    const auto matvec = half ? kernels_.matvec_half : kernels_.matvec;
    engine_.parallel([&](int thread) {
      const share p = share::of(s.out_blocks, thread, engine_.threads());
      const std::size_t start = static_cast<std::size_t>(p.begin) * s.project_panel * (half ? 2 : 4);
      matvec({in, s.b.in_channels, static_cast<const std::byte*>(s.project) + start, s.project_panel,
              bias ? bias + at(p.begin) : nullptr, out + at(p.begin), p.end - p.begin, s.act});
    });
  }

  const engine& engine_;
  const kernel_table& kernels_;
  const level& level_;
  arena& arena_;
};

} // namespace dynofa::backend::cpu_detail
