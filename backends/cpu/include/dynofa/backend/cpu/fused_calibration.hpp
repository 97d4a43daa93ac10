#pragma once
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration_memory.hpp"
#include "dynofa/backend/cpu/calibration_parts.hpp"
#include "dynofa/backend/cpu/front.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// A batch of images in the middle of a network of inverted residuals.
///
/// A block's widest tensor, the expanded one, never leaves the cache: its statistics follow from the covariance of the
/// block's input, and so it is expanded, normalised and convolved depthwise a few channels at a time, as inference
/// does. Only raw depthwise outputs wait in memory for their statistics; they are normalised in runs of pixels just
/// before the projection reads them. The head is not run at all but for `logits`.
///
/// Images are worked on in groups, up to eight at a time, side by side in [C/16][images·H·W][16]: maps of a few pixels
/// would not fill the pointwise kernel's tiles. Threads share the groups, each group is summed alone and sums are
/// added in the order of the groups, so the result does not depend on the number of threads.
class fused_calibration {
public:
  fused_calibration(cpu backend, cpu::bound level, int capacity)
      : backend_{std::move(backend)}
      , kernels_{backend_.execution->kernels()}
      , level_{std::move(level)}
      , memory_{level_, backend_.execution->cache_sizes().l2, capacity, backend_.execution->threads()} {
    if (level_.weights->half) widen_weights();
  }

  /// Whether these may be blocks of its networks.
  static bool knows(const block& b) {
    return !b.has_dense() && b.kind != block_kind::max_pool && b.kind != block_kind::average_pool;
  }

  void load(std::size_t n, std::span<const float> image) { std::copy(image.begin(), image.end(), memory_.input(n)); }

  channel_sums convolve(std::size_t b, int i, int count) {
    memory_.arrange(count);
    const step& s = level_.steps[b];
    const auto channels = static_cast<std::size_t>(s.b.norm_channels(i));
    const bool expands = s.b.kind == block_kind::final_expand || s.b.norm_count() - i == 3;
    channel_sums total{std::vector<double>(channels), std::vector<double>(channels), 0};
    total.pixels = static_cast<double>(count) * static_cast<double>(area(expands ? s.b.in_size : s.b.out_size));
    if (expands && gathered_) {
      derive(s, total);
    } else {
      for_each_group([&](image_group& l, const scratch& own) {
        l.sum.assign(static_cast<std::size_t>(padded(s.b.norm_channels(i))), 0.0);
        l.square.assign(l.sum.size(), 0.0);
        if (s.b.kind == block_kind::stem)
          stem(s, l, own);
        else if (expands)
          expand(s, l, own);
        else if (s.b.norm_count() - i == 2)
          depthwise(s, l, own);
        else
          project(s, l, own);
      });
      for (std::size_t n = 0; n < memory_.used; ++n)
        for (std::size_t c = 0; c < channels; ++c)
          total.sum[c] += memory_.groups[n].sum[c], total.square[c] += memory_.groups[n].square[c];
    }
    for (std::size_t c = 0; c < channels; ++c) memory_.means[c] = static_cast<float>(total.sum[c] / total.pixels);
    return total;
  }

  /// Remembered for the next convolution; after a block's last one, applied at once.
  void normalise(std::size_t b, int i, std::span<const float> scale, std::span<const float> shift) {
    const step& s = level_.steps[b];
    std::fill_n(memory_.scale, memory_.vectors, 0.f); // padded channels stay zero
    std::fill_n(memory_.shift, memory_.vectors, 0.f);
    std::copy(scale.begin(), scale.end(), memory_.scale);
    std::copy(shift.begin(), shift.end(), memory_.shift);
    if (i + 1 < s.b.norm_count() || s.b.kind == block_kind::final_expand) return;

    if (s.b.kind == block_kind::stem) { // applied when the separable block reads, twice: cheaper than a pass of its own
      std::copy_n(memory_.scale, memory_.vectors, memory_.stem_scale);
      std::copy_n(memory_.shift, memory_.vectors, memory_.stem_shift);
      std::fill_n(memory_.offset, memory_.vectors, 0.f);
      return memory_.turn_over();
    }

    // What the block gives is near its mean: known but for the stem's activation, if that is the residual.
    for (std::size_t c = 0; c < memory_.vectors; ++c)
      memory_.offset[c] = (s.b.residual ? memory_.offset[c] : 0.f) -
                          (c < scale.size() ? memory_.means[c] * memory_.scale[c] + memory_.shift[c] : 0.f);
    // From few pixels the outputs themselves are as cheap, and nothing is lost where few samples hardly differ.
    const step& following = level_.steps[b + 1];
    const image_group& last = memory_.groups[memory_.used - 1];
    gathered_ = (following.expand || following.b.kind == block_kind::final_expand) &&
                static_cast<std::size_t>(last.first + last.images) * area(s.b.out_size) >= 2 * at(s.out_blocks);
    if (gathered_) memory_.inputs.start(s.out_blocks);
    for_each_group([&](const image_group& l, const scratch& own) {
      const int pixels = l.images * static_cast<int>(area(s.b.out_size));
      const std::size_t plane = at(pixels);
      for (int first = 0, n; first < pixels; first += n) {
        n = std::min(calibration_memory::gram_pixels, pixels - first);
        for (int c = 0; c < s.out_blocks; ++c) {
          const std::size_t from = static_cast<std::size_t>(c) * plane + at(first);
          float* const x = memory_.next(l) + from;
          const float* residual = s.b.residual ? memory_.now(l) + from : nullptr;
          if (residual && s.b.kind == block_kind::separable) residual = stem_output(residual, n, c, own.rows);
          kernels_.normalise({x, x, n, memory_.scale + at(c), memory_.shift + at(c), s.project_act, residual,
                              gathered_ ? own.work + at(c * n) : nullptr, memory_.offset + at(c)});
        }
        if (gathered_) memory_.inputs.add(kernels_, l.index, own.work, at(n), n, own.gram);
      }
    });
    memory_.turn_over();
  }

  void logits(std::size_t n, std::span<float> out) {
    const step& expand = level_.steps[level_.after_pooling - 1];
    const scratch& own = memory_.own[0];
    const int pixels = static_cast<int>(area(expand.b.in_size));
    const image_group& l = *std::find_if(memory_.groups.begin(), memory_.groups.end(), [&](const image_group& each) {
      return n < static_cast<std::size_t>(each.first + each.images);
    });
    const float* const in = memory_.now(l) + at((static_cast<int>(n) - l.first) * pixels);
    for (int first = 0, count; first < expand.out_blocks; first += count) {
      count = next_chunk(expand.out_blocks - first);
      product(panels_of(expand).from(first), count, pixels, {in, at(l.images * pixels)}, {own.work, at(pixels)},
              memory_.scale + at(first), memory_.shift + at(first), expand.act);
      for (int c = 0; c < count; ++c) kernels_.mean(own.work + at(c * pixels), pixels, own.a + at(first + c));
    }
    run_head(kernels_, level_, own.a, own.b, out);
  }

  std::size_t bytes() const { return memory_.bytes() + widened_.size(); }

private:
  using scratch = calibration_memory::scratch;

  /// Channel blocks `plane` apart.
  struct planes {
    const float* data;
    std::size_t plane;
  };
  struct matrix {
    weight_panels<float> panels;
    int k;
    matrix from(int first) const { return {panels.from(first), k}; }
  };

  cpu backend_;
  const kernel_table& kernels_;
  cpu::bound level_;
  calibration_memory memory_;
  aligned_bytes widened_; ///< 1×1 convolutions in fp32, where they are packed in half precision
  bool gathered_ = false; ///< whether the covariance of `now` is known

  static std::size_t at(int blocks) { return floats_of(blocks); }
  static std::size_t area(int size) { return calibration_memory::area(size); }

  /// A batch reads a weight hundreds of times, and `derive` multiplies weights by weights: widened once, here.
  void widen_weights() {
    std::size_t cursor = 0;
    const auto widen = [&](const void*& panels, std::size_t step, int count) {
      const std::size_t values = step * static_cast<std::size_t>(count);
      if (widened_.size() > 0) {
        float* const to = widened_.as<float>() + cursor;
        std::transform(static_cast<const std::uint16_t*>(panels), static_cast<const std::uint16_t*>(panels) + values,
                       to, half_to_float);
        panels = to;
      }
      cursor += (values + lane_block - 1) / lane_block * lane_block;
    };
    for (int pass = 0; pass < 2; ++pass, cursor = 0) {
      for (step& s : level_.steps) {
        if (s.expand) widen(s.expand, s.expand_panel, s.mid_blocks);
        if (s.b.mid_channels > 0 || s.b.kind == block_kind::final_expand)
          widen(s.project, s.project_panel, s.out_blocks);
      }
      if (pass == 0) widened_ = aligned_bytes{cursor * sizeof(float), false};
    }
  }

  template <class Work>
  void for_each_group(Work work) {
    const auto turn = backend_.execution->turn();
    backend_.execution->parallel([&](int thread) {
      const share groups = share::of(static_cast<int>(memory_.used), thread, backend_.execution->threads());
      for (int i = groups.begin; i < groups.end; ++i)
        work(memory_.groups[static_cast<std::size_t>(i)], memory_.own[static_cast<std::size_t>(thread)]);
    });
  }

  void product(const matrix& w, int panels, int pixels, planes in, planes out, const float* scale, const float* shift,
               epilogue act) const {
    kernels_.pointwise({.in = in.data,
                        .in_plane = in.plane,
                        .weights = w.panels.data,
                        .panel = w.panels.step,
                        .k = w.k,
                        .out = const_cast<float*>(out.data),
                        .out_plane = out.plane,
                        .scale = scale,
                        .shift = shift,
                        .residual = nullptr,
                        .residual_plane = 0,
                        .ahead = nullptr,
                        .ahead_step = 0,
                        .act = act},
                       panels, pixels);
  }
  static matrix panels_of(const step& s) {
    return {{static_cast<const float*>(s.project), s.project_panel},
            s.b.mid_channels > 0 ? s.b.mid_channels : s.b.in_channels};
  }

  static matrix expansion_of(const step& s) {
    return s.expand ? matrix{{static_cast<const float*>(s.expand), s.expand_panel}, s.b.in_channels} : panels_of(s);
  }

  /// Block c of raw [pixels][16], which may be a part.
  void add_up(image_group& l, int c, const float* x, int pixels) const {
    add_moments(kernels_, x, pixels, l.sum.data() + at(c), l.square.data() + at(c));
  }

  /// The sums that a 1×1 convolution of `now` would have: mean w·μ, variance w'Cw.
  void derive(const step& s, channel_sums& total) {
    const matrix w = expansion_of(s);
    const int outputs = blocks_of(static_cast<int>(total.sum.size())), threads = backend_.execution->threads();
    const auto turn = backend_.execution->turn();
    memory_.inputs.average(memory_.used, total.pixels, memory_.offset);
    backend_.execution->parallel([&](int thread) {
      const share b = share::of(memory_.inputs.blocks(), thread, threads);
      memory_.inputs.combine(b.begin, b.end);
    });
    backend_.execution->parallel([&](int thread) {
      const share p = share::of(outputs, thread, threads);
      float* const products = memory_.own[static_cast<std::size_t>(thread)].work; // C·w of a few outputs [panel][k][16]
      const std::size_t plane = at(w.k);
      for (int first = p.begin, count; first < p.end; first += count) {
        count = next_chunk(p.end - first);
        const matrix some = w.from(first);
        product(some, count, w.k, {memory_.inputs.covariance(), memory_.inputs.plane()}, {products, plane},
                memory_.ones, memory_.zeros, epilogue::identity);
        for (int c = 0; c < count; ++c) { // panel by panel: the order of sums is not to depend on the threads' shares
          const matrix one = some.from(c);
          kernels_.matvec({memory_.inputs.mean(), w.k, one.panels.data, one.panels.step, nullptr,
                           memory_.means + at(first + c), 1, epilogue::identity});
          kernels_.dot(products + static_cast<std::size_t>(c) * plane, one.panels.data, w.k,
                       memory_.variances + at(first + c));
        }
      }
    });
    for (std::size_t c = 0; c < total.sum.size(); ++c) {
      const double mean = double(memory_.means[c]);
      total.sum[c] = mean * total.pixels;
      total.square[c] = (std::max(0.0, double(memory_.variances[c])) + mean * mean) * total.pixels;
    }
  }

  void stem(const step& s, image_group& l, const scratch& own) const {
    const int pixels = static_cast<int>(area(s.b.out_size));
    const std::size_t plane = at(l.images * pixels);
    step raw = s;
    raw.act = epilogue::identity; // its scale and shift are the identity already
    for (int n = 0; n < l.images; ++n) {
      float* const out = memory_.next(l) + at(n * pixels);
      stem_rows rows{kernels_, raw, memory_.input(static_cast<std::size_t>(l.first + n)), own.rows, 0};
      for (int y = 0; y < s.b.out_size; ++y) rows.compute(y, out + at(y * s.b.out_size), plane);
      for (int c = 0; c < s.out_blocks; ++c) add_up(l, c, out + static_cast<std::size_t>(c) * plane, pixels);
    }
  }

  /// The outputs themselves, summed and forgotten.
  void expand(const step& s, image_group& l, const scratch& own) const {
    const int pixels = l.images * static_cast<int>(area(s.b.in_size)), outputs = blocks_of(s.b.norm_channels(0));
    for (int begin = 0, n; begin < pixels; begin += n) {
      n = std::min(s.in_blocks * lane_block, pixels - begin);
      for (int first = 0, count; first < outputs; first += count) {
        count = next_chunk(outputs - first);
        product(expansion_of(s).from(first), count, n, {memory_.now(l) + at(begin), at(pixels)}, {own.work, at(n)},
                memory_.ones, memory_.zeros, epilogue::identity);
        for (int c = 0; c < count; ++c) add_up(l, first + c, own.work + at(c * n), n);
      }
    }
  }

  /// Block c of the raw stem output [pixels][16], normalised to `to`.
  const float* stem_output(const float* raw, int pixels, int c, float* to) const {
    kernels_.normalise({raw, to, pixels, memory_.stem_scale + at(c), memory_.stem_shift + at(c), level_.steps[0].act,
                        nullptr, nullptr, nullptr});
    return to;
  }

  /// Blocks [first, first + count) of rows [begin, begin + rows) of the group, expanded or as they are, with
  /// zeros on both sides to own.rows [count][rows][size + kernel − 1][16].
  void fill_rows(const step& s, const image_group& l, const scratch& own, int begin, int rows, int first,
                 int count) const {
    const int size = s.b.in_size;
    const std::size_t row = calibration_memory::row_of(s), plane = at(l.images * size * size),
                      side = at(s.b.kernel / 2);
    for (int y = 0, some; y < rows; y += some) {
      some = std::min(calibration_memory::expanded_rows(s), rows - y);
      planes from{memory_.now(l) + at((begin + y) * size), plane};
      if (s.expand) {
        const planes expanded{own.work, at(some * size)};
        product(expansion_of(s).from(first), count, some * size, from, expanded, memory_.scale + at(first),
                memory_.shift + at(first), s.act);
        from = expanded;
      } else {
        from.data += static_cast<std::size_t>(first) * plane;
      }
      for (int c = 0; c < count; ++c) {
        float* to = own.rows + static_cast<std::size_t>(c * rows + y) * row + side;
        const float* in = from.data + static_cast<std::size_t>(c) * from.plane;
        for (int i = 0; i < some; ++i, to += row, in += at(size))
          if (s.expand)
            std::memcpy(to, in, at(size) * sizeof(float));
          else
            stem_output(in, size, first + c, to);
      }
    }
  }

  void depthwise(const step& s, image_group& l, const scratch& own) const {
    const calibration_memory::group g = memory_.depthwise_group(s);
    const int size = s.b.in_size, pixels = static_cast<int>(area(s.b.out_size));
    const std::size_t row = calibration_memory::row_of(s), side = at(s.b.kernel / 2), plane = at(l.images * pixels);
    for (int y = 0; y < size; ++y) own.row_offset[y] = static_cast<std::int32_t>(row) * y;
    for (float *r = own.rows, *end = r + row * static_cast<std::size_t>(g.panels * g.images * size); r != end; r += row)
      std::fill_n(r, side, 0.f), std::fill_n(r + row - side, side, 0.f);
    for (int image = 0, images; image < l.images; image += images) {
      images = std::min(g.images, l.images - image);
      for (int first = 0, count; first < s.mid_blocks; first += count) {
        count = std::min(g.panels, next_chunk(s.mid_blocks - first));
        fill_rows(s, l, own, image * size, images * size, first, count);
        for (int c = 0; c < count; ++c) {
          float* const out = memory_.raw(l) + static_cast<std::size_t>(first + c) * plane + at(image * pixels);
          for (int n = 0; n < images; ++n)
            kernels_.depthwise[s.b.kernel / 2 - 1][s.b.stride - 1](
                {.in = own.rows + static_cast<std::size_t>((c * images + n) * size) * row,
                 .row_offset = own.row_offset,
                 .in_rows = size,
                 .out = out + at(n * pixels),
                 .out_width = s.b.out_size,
                 .weights = s.depthwise + static_cast<std::size_t>(first + c) * at(s.b.kernel * s.b.kernel),
                 .scale = memory_.ones,
                 .shift = memory_.zeros,
                 .sum = own.a,
                 .y0 = 0,
                 .y1 = s.b.out_size,
                 .act = epilogue::identity});
          add_up(l, first + c, out, images * pixels);
        }
      }
    }
  }

  void project(const step& s, image_group& l, const scratch& own) const {
    const int image = static_cast<int>(area(s.b.out_size)), all = l.images * image;
    for (int first = 0, n; first < all; first += n) {
      n = std::min(memory_.projected_pixels(s), all - first);
      for (int c = 0; c < s.mid_blocks; ++c)
        kernels_.normalise({memory_.raw(l) + static_cast<std::size_t>(c) * at(all) + at(first), own.work + at(c * n), n,
                            memory_.scale + at(c), memory_.shift + at(c), s.act, nullptr, nullptr, nullptr});
      if (s.b.se_channels > 0)
        for (int p = 0; p < n; p += image)
          squeeze_excite(kernels_, level_.weights->half, s, own.work + at(p), at(n), own.a, own.b);
      float* const out = memory_.next(l) + at(first);
      product(panels_of(s), s.out_blocks, n, {own.work, at(n)}, {out, at(all)}, memory_.ones, memory_.zeros,
              epilogue::identity);
      for (int c = 0; c < s.out_blocks; ++c) add_up(l, c, out + static_cast<std::size_t>(c) * at(all), n);
    }
  }
};

} // namespace dynofa::backend::cpu_detail
