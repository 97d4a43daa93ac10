#pragma once
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration_parts.hpp"
#include "dynofa/backend/cpu/front.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/whole_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// A batch of images in the middle of any network, on whole tensors.
///
/// A k×k convolution of all channels costs far more than its tensors, so they may lie in memory: of each picture what
/// the block reads, and what its last two convolutions gave. They stay raw: the next convolution normalises what it
/// reads, a run of pixels at a time, and the block's last batch norm makes the input of the block behind.
///
/// Threads share the pictures. A picture's sums are its own and are added in the order of the pictures, and how a
/// picture is cut depends on nothing else, so the result does not depend on the number of threads.
class whole_calibration {
public:
  whole_calibration(cpu backend, cpu::bound level, int capacity)
      : backend_{std::move(backend)}
      , kernels_{backend_.execution->kernels()}
      , level_{std::move(level)}
      , memory_{level_, backend_.execution->cache_sizes().l2, capacity, backend_.execution->threads()} {}

  void load(std::size_t n, std::span<const float> image) {
    std::copy(image.begin(), image.end(), memory_.image.of(static_cast<int>(n)));
  }

  channel_sums convolve(std::size_t b, int i, int count) {
    count_ = count;
    const step& s = level_.steps[b];
    const auto channels = static_cast<std::size_t>(s.b.norm_channels(i));
    for_each_share([&](share pictures, const scratch& own) {
      for (int n = pictures.begin; n < pictures.end; ++n) std::fill_n(memory_.sums(n), 2 * memory_.vectors, 0.0);
      convolve(s, i, pictures, own);
    });
    channel_sums total{std::vector<double>(channels), std::vector<double>(channels), 0};
    total.pixels = static_cast<double>(count) * static_cast<double>(area(memory_.size_of(s, i)));
    for (int n = 0; n < count; ++n)
      for (std::size_t c = 0; c < channels; ++c)
        total.sum[c] += memory_.sums(n)[c], total.square[c] += memory_.sums(n)[memory_.vectors + c];
    return total;
  }

  /// Remembered for the next convolution; after a block's last one, applied at once.
  void normalise(std::size_t b, int i, std::span<const float> scale, std::span<const float> shift) {
    const step& s = level_.steps[b];
    std::fill_n(memory_.scale[i], memory_.vectors, 0.f); // padded channels stay zero
    std::fill_n(memory_.shift[i], memory_.vectors, 0.f);
    std::copy(scale.begin(), scale.end(), memory_.scale[i]);
    std::copy(shift.begin(), shift.end(), memory_.shift[i]);
    if (i + 1 < s.b.norm_count()) return;

    const block& next = level_.steps[b + 1].b;
    const bool pools = next.kind == block_kind::max_pool;
    for_each_share([&](share pictures, const scratch&) {
      for (int n = pictures.begin; n < pictures.end; ++n) {
        finish(s, i, n);
        if (pools)
          pool_windows(kernels_.max_windows, next, s.out_blocks, memory_.raw.of(n), memory_.now.of(n),
                       {0, next.out_size});
      }
    });
    if (!pools) memory_.turn_over();
  }

  void logits(std::size_t n, std::span<float> out) {
    const step& pool = level_.steps[level_.after_pooling - 1];
    const auto pixels = static_cast<int>(area(pool.b.in_size));
    const scratch& own = memory_.own[0];
    for (int c = 0; c < pool.out_blocks; ++c)
      kernels_.mean(memory_.now.of(static_cast<int>(n)) + plane(c, pixels), pixels, own.a + at(c));
    run_head(kernels_, level_, own.a, own.b, out);
  }

  std::size_t bytes() const { return memory_.bytes(); }

protected: // what an observer reads
  using scratch = whole_memory::scratch;
  static constexpr int finished_pixels = 256; ///< that stay in L1 from one kernel to the next

  /// What a convolution reads: values as they are, or raw ones and the batch norm that they lack.
  struct input {
    whole_memory::tensors from;
    const float *scale = nullptr, *shift = nullptr;
    epilogue act = epilogue::identity;
  };
  struct matrix {
    const void* panels;
    std::size_t step;
    int k;
  };

  cpu backend_;
  const kernel_table& kernels_;
  cpu::bound level_; ///< its scales and shifts are the identity
  whole_memory memory_;
  int count_ = 0; ///< pictures of this batch

  static std::size_t at(int blocks) { return floats_of(blocks); }
  static std::size_t area(int size) { return whole_memory::area(size); }
  /// Where channel block c of so many pixels starts.
  static std::size_t plane(int c, int pixels) { return static_cast<std::size_t>(c) * at(pixels); }

  template <class Work>
  void for_each_share(Work work) {
    const auto turn = backend_.execution->turn();
    backend_.execution->parallel([&](int thread) {
      work(share::of(count_, thread, backend_.execution->threads()), memory_.own[static_cast<std::size_t>(thread)]);
    });
  }

  input as_it_is() const { return {memory_.now}; }
  input normalised(const step& s, int i, const whole_memory::tensors& raw) const {
    return {raw, memory_.scale[i], memory_.shift[i], s.act};
  }

  void convolve(const step& s, int i, share pictures, const scratch& own) {
    if (s.b.kind == block_kind::stem) return stem(s, pictures, own);
    if (s.b.kind == block_kind::convolution) return dense(s, i, as_it_is(), memory_.raw, pictures, own);
    const matrix project{s.project, s.project_panel, s.b.mid_channels > 0 ? s.b.mid_channels : s.b.in_channels};
    if (s.b.mid_channels == 0) return product(s, i, project, as_it_is(), memory_.raw, pictures, own);
    const input inner =
        i > 0 ? normalised(s, i - 1, i == s.b.projection_norm() ? memory_.mid : memory_.raw) : as_it_is();
    switch (s.b.projection_norm() - i) {
    case 2: return product(s, i, {s.expand, s.expand_panel, s.b.in_channels}, inner, memory_.raw, pictures, own);
    case 1:
      if (s.dense) return dense(s, i, inner, memory_.mid, pictures, own);
      return depthwise(s, i, inner, pictures, own);
    case 0: return product(s, i, project, inner, memory_.raw, pictures, own);
    default:
      for (int n = pictures.begin; n < pictures.end; ++n)
        pool_windows(kernels_.mean_windows, s.b, s.in_blocks, memory_.now.of(n), memory_.mid.of(n), {0, s.b.out_size});
      product(s, i, {s.shortcut, s.shortcut_panel, s.b.in_channels}, {memory_.mid}, memory_.now, pictures, own);
    }
  }

  /// Block c of raw [pixels][16] of picture n, which may be a part.
  void add_up(int n, int c, const float* x, int pixels) const {
    double* const sums = memory_.sums(n) + at(c);
    add_moments(kernels_, x, pixels, sums, sums + memory_.vectors);
  }
  /// `pixels` of block c, from where `x` points.
  void read(const input& in, int c, const float* x, int pixels, float* to) const {
    if (!in.scale)
      std::memcpy(to, x, at(pixels) * sizeof(float));
    else
      kernels_.normalise({x, to, pixels, in.scale + at(c), in.shift + at(c), in.act, nullptr, nullptr, nullptr});
  }

  void stem(const step& s, share pictures, const scratch& own) const {
    const auto pixels = static_cast<int>(area(s.b.out_size));
    step raw = s;
    raw.act = epilogue::identity;
    for (int n = pictures.begin; n < pictures.end; ++n) {
      float* const out = memory_.raw.of(n);
      stem_rows rows{kernels_, raw, memory_.image.of(n), own.rows, 0};
      for (int y = 0; y < s.b.out_size; ++y) rows.compute(y, out + at(y * s.b.out_size), at(pixels));
      for (int c = 0; c < s.out_blocks; ++c) add_up(n, c, out + plane(c, pixels), pixels);
    }
  }

  /// 1×1. Runs of pixels small enough to stay in L2, or several pictures of few pixels, for which the weights are read
  /// once.
  void product(const step& s, int i, const matrix& by, const input& in, const whole_memory::tensors& out,
               share pictures, const scratch& own) const {
    const auto pixels = static_cast<int>(area(memory_.size_of(s, i)));
    const int in_blocks = blocks_of(by.k), out_blocks = blocks_of(s.b.norm_channels(i));
    const bool excites = s.b.se_channels > 0 && i == s.b.projection_norm();
    const int most = memory_.run_of(by.k, excites ? pixels : 1);
    const int together = std::max(1, most / pixels), runs = (pixels + most - 1) / most;
    for (int first = pictures.begin, some; first < pictures.end; first += some) {
      some = std::min(together, pictures.end - first);
      for (int r = 0; r < runs; ++r) {
        const share run = share::of(pixels, r, runs);
        const int count = run.end - run.begin;
        const auto work = [&](int j) { return own.work + plane(j * in_blocks, count); };
        for (int j = 0; in.scale && j < some; ++j) {
          for (int c = 0; c < in_blocks; ++c)
            read(in, c, in.from.of(first + j) + plane(c, pixels) + at(run.begin), count, work(j) + plane(c, count));
          if (excites) squeeze_excite(kernels_, level_.weights->half, s, work(j), at(count), own.a, own.b);
        }
        for (int p = 0, panels; p < out_blocks; p += panels) {
          panels = next_chunk(out_blocks - p);
          for (int j = 0; j < some; ++j) {
            float* const to = out.of(first + j) + plane(p, pixels) + at(run.begin);
            const float* const from = in.scale ? work(j) : in.from.of(first + j) + at(run.begin);
            const std::size_t in_plane = at(in.scale ? count : pixels);
            if (level_.weights->half)
              pointwise<float16>(s, i, by, p, panels, from, in_plane, to, at(pixels), count);
            else
              pointwise<float>(s, i, by, p, panels, from, in_plane, to, at(pixels), count);
            for (int c = 0; c < panels; ++c) add_up(first + j, p + c, to + plane(c, pixels), count);
          }
        }
      }
    }
  }
  template <class Weight>
  void pointwise(const step& s, int i, const matrix& by, int first, int panels, const float* in, std::size_t in_plane,
                 float* out, std::size_t out_plane, int pixels) const {
    cpu_detail::pointwise(kernels_,
                          pointwise_of<float, float, Weight>{.in = in,
                                                             .in_plane = in_plane,
                                                             .weights = static_cast<const Weight*>(by.panels) +
                                                                        static_cast<std::size_t>(first) * by.step,
                                                             .panel = by.step,
                                                             .k = by.k,
                                                             .out = out,
                                                             .out_plane = out_plane,
                                                             .scale = s.scale[i] + at(first),
                                                             .shift = s.shift[i] + at(first),
                                                             .residual = nullptr,
                                                             .residual_plane = 0,
                                                             .ahead = nullptr,
                                                             .ahead_step = 0,
                                                             .act = epilogue::identity},
                          panels, pixels);
  }

  /// k×k of all channels: bands of rows with a ring of input rows, as inference does it.
  void dense(const step& s, int i, const input& in, const whole_memory::tensors& out, share pictures,
             const scratch& own) const {
    const int size = s.b.in_size, out_blocks = blocks_of(s.b.norm_channels(i));
    const int inputs = s.b.kind == block_kind::convolution ? s.b.in_channels : s.b.mid_channels;
    const auto in_pixels = static_cast<int>(area(size)), out_pixels = static_cast<int>(area(s.b.out_size));
    const std::size_t side = at(s.b.kernel / 2);
    s.tiles.lay_ring(s.b, own.rows, own.row_offset);
    for (int n = pictures.begin; n < pictures.end; ++n)
      for (int y = 0, made = 0; y < s.b.out_size; y += s.tiles.band_rows) {
        const share band{y, std::min(y + s.tiles.band_rows, s.b.out_size)};
        const int needed = tiling::input_end(s.b, band.end);
        for (int c = 0; c < blocks_of(inputs); ++c)
          for (int from = made; from < needed; ++from)
            read(in, c, in.from.of(n) + plane(c, in_pixels) + at(from * size), size,
                 own.rows + static_cast<std::size_t>(c) * s.tiles.ring_plane + own.row_offset[from] + side);
        made = std::max(made, needed);
        float* const to = out.of(n) + at(y * s.b.out_size);
        kernels_.dense({.in = own.rows,
                        .row_offset = own.row_offset,
                        .in_rows = size,
                        .in_plane = s.tiles.ring_plane,
                        .weights = s.dense,
                        .panel = s.dense_panel,
                        .tap = s.dense_tap,
                        .k = inputs,
                        .kernel = s.b.kernel,
                        .stride = s.b.stride,
                        .out = to,
                        .out_plane = at(out_pixels),
                        .out_width = s.b.out_size,
                        .scale = s.scale[i],
                        .shift = s.shift[i],
                        .residual = nullptr,
                        .residual_plane = 0,
                        .y0 = band.begin,
                        .y1 = band.end,
                        .act = epilogue::identity},
                       out_blocks);
        for (int c = 0; c < out_blocks; ++c)
          add_up(n, c, to + plane(c, out_pixels), (band.end - band.begin) * s.b.out_size);
      }
  }

  void depthwise(const step& s, int i, const input& in, share pictures, const scratch& own) const {
    const int size = s.b.in_size;
    const auto in_pixels = static_cast<int>(area(size)), out_pixels = static_cast<int>(area(s.b.out_size));
    const std::size_t side = at(s.b.kernel / 2), row = at(size + s.b.kernel - 1);
    for (int y = 0; y < size; ++y) own.row_offset[y] = static_cast<std::int32_t>(row) * y;
    clear_sides(own.rows, row * static_cast<std::size_t>(size), row, side);
    for (int n = pictures.begin; n < pictures.end; ++n)
      for (int c = 0; c < s.mid_blocks; ++c) {
        for (int y = 0; y < size; ++y)
          read(in, c, in.from.of(n) + plane(c, in_pixels) + at(y * size), size, own.rows + own.row_offset[y] + side);
        float* const out = memory_.mid.of(n) + plane(c, out_pixels);
        kernels_.depthwise[s.b.kernel / 2 - 1][s.b.stride - 1](
            {.in = own.rows,
             .row_offset = own.row_offset,
             .in_rows = size,
             .out = out,
             .out_width = s.b.out_size,
             .weights = s.depthwise + static_cast<std::size_t>(c) * at(s.b.kernel * s.b.kernel),
             .scale = s.scale[i] + at(c),
             .shift = s.shift[i] + at(c),
             .sum = own.a,
             .y0 = 0,
             .y1 = s.b.out_size,
             .act = epilogue::identity});
        add_up(n, c, out, out_pixels);
      }
  }

  /// What the block gives, where the raw output of its branch lies: norm i is its last one.
  void finish(const step& s, int i, int n) const {
    const auto pixels = static_cast<int>(area(memory_.size_of(s, i)));
    const epilogue act = epilogue_of(s.b.norm_act(i));
    const auto norm = [&](int of, int c) { return std::pair{memory_.scale[of] + at(c), memory_.shift[of] + at(c)}; };
    for (int c = 0; c < s.out_blocks; ++c)
      for (int first = 0, count; first < pixels; first += count) {
        count = std::min(finished_pixels, pixels - first);
        float* const x = memory_.raw.of(n) + plane(c, pixels) + at(first);
        const float* const in = memory_.now.of(n) + plane(c, pixels) + at(first);
        const auto apply = [&](const float* from, int of, epilogue then, const float* plus) {
          const auto [scale, shift] = norm(of, c);
          kernels_.normalise({from, x, count, scale, shift, then, plus, nullptr, nullptr});
        };
        if (s.b.projects_shortcut()) {
          apply(x, s.b.projection_norm(), s.project_act, nullptr);
          apply(in, i, act, x);
        } else {
          apply(x, i, act, s.b.residual ? in : nullptr);
        }
        if (s.out_act != epilogue::identity)
          kernels_.normalise(
              {x, x, count, s.scale[i] + at(c), s.shift[i] + at(c), s.out_act, nullptr, nullptr, nullptr});
      }
  }
};

} // namespace dynofa::backend::cpu_detail
