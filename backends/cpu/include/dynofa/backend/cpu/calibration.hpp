#pragma once
#include "dynofa/backend/calibration.hpp"
#include "dynofa/backend/cpu.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa::backend {

namespace cpu_detail {

/// A batch of images in the middle of a network, on the hand-written kernels: raw outputs are kept between the steps,
/// and a batch norm is applied when the next convolution reads. Threads share the images; each image is summed alone,
/// so the sums do not depend on their number.
class calibration {
public:
  calibration(cpu backend, std::shared_ptr<const packed_supernet> weights, const plan& p, int capacity)
      : backend_{std::move(backend)}
      , level_{backend_.bind(weights, p, identity_of(p))}
      , images_(static_cast<std::size_t>(capacity)) {
    if (p.batch != 1) throw error(errc::invalid_argument, "cpu calibration", "a plan for one image", text(p.batch));
    std::size_t narrow = 0, wide = 0, padded_image = 0, row = 0;
    for (const step& s : level_.steps) {
      narrow = std::max({narrow, s.b.kind == block_kind::stem ? 0 : pixels_of(s.b.in_size) * at(s.in_blocks),
                         pixels_of(s.b.out_size) * at(s.out_blocks)});
      if (s.b.kind == block_kind::final_expand) wide = std::max(wide, pixels_of(s.b.in_size) * at(s.out_blocks));
      if (s.b.mid_channels > 0) {
        wide = std::max(wide, pixels_of(s.b.in_size) * at(s.mid_blocks));
        padded_image = std::max(padded_image, at((s.b.in_size + s.b.kernel - 1) * s.b.in_size));
        row = std::max(row, static_cast<std::size_t>(s.b.in_size));
        vectors_ = std::max({vectors_, at(s.mid_blocks), at(blocks_of(s.b.se_channels))});
      }
      vectors_ = std::max({vectors_, at(s.in_blocks), at(s.out_blocks)});
    }
    const auto threads = static_cast<std::size_t>(backend_.engine->threads());
    stem_rows_ = 3 * arena_sizes::stem_row(p.blocks[0].in_size);
    const std::size_t image = static_cast<std::size_t>(p.blocks[0].in_values());
    const std::size_t per_image = round(narrow) * 2 + round(wide) * 2 + round(image);
    const std::size_t per_thread = round(std::max(padded_image, stem_rows_)) + 3 * round(vectors_) + round(row);
    memory_ = aligned_bytes{(per_image * images_.size() + per_thread * threads + 2 * round(vectors_)) * sizeof(float)};
    float* cursor = memory_.as<float>();
    auto take = [&](std::size_t floats) { return std::exchange(cursor, cursor + round(floats)); };
    for (picture& i : images_) i = {take(narrow), take(narrow), take(wide), take(wide), take(image), {}, {}};
    own_.resize(threads);
    for (scratch& s : own_)
      s = {take(std::max(padded_image, stem_rows_)), take(vectors_), take(vectors_), take(vectors_),
           reinterpret_cast<std::int32_t*>(take(row))};
    ones_ = take(vectors_), zeros_ = take(vectors_); // kernels load aligned
    std::fill_n(ones_, vectors_, 1.f);
    std::fill_n(zeros_, vectors_, 0.f);
  }

  void load(std::size_t n, std::span<const float> image) { std::copy(image.begin(), image.end(), images_[n].image); }

  channel_sums convolve(std::size_t b, int i, int count) {
    active_ = count;
    const step& s = level_.steps[b];
    const auto channels = static_cast<std::size_t>(s.b.norm_channels(i));
    for_each_image([&](picture& image, const scratch& own) {
      image.sum.assign(static_cast<std::size_t>(padded(s.b.norm_channels(i))), 0.0);
      image.square.assign(image.sum.size(), 0.0);
      switch (s.b.kind) {
      case block_kind::stem: stem(s, image, own); break;
      case block_kind::final_expand:
        product(s.project, s.project_panel, s.b.in_channels, s.out_blocks, pixels_of(s.b.in_size), image.now,
                image.wide);
        add_up(image.wide, pixels_of(s.b.in_size), image);
        break;
      default:
        switch (s.b.norm_count() - i) {
        case 3: expand(s, image); break;
        case 2: depthwise(s, image, own); break;
        default: project(s, image, own); break;
        }
      }
    });
    channel_sums total{std::vector<double>(channels), std::vector<double>(channels), 0};
    const int size = s.b.kind == block_kind::final_expand || s.b.norm_count() - i == 3 ? s.b.in_size : s.b.out_size;
    for (int n = 0; n < count; ++n)
      for (std::size_t c = 0; c < channels; ++c) {
        total.sum[c] += images_[static_cast<std::size_t>(n)].sum[c];
        total.square[c] += images_[static_cast<std::size_t>(n)].square[c];
      }
    total.pixels = static_cast<double>(count) * static_cast<double>(pixels_of(size));
    return total;
  }

  /// Remembered for the next convolution; after a block's last one, applied at once.
  void normalise(std::size_t b, int i, std::span<const float> scale, std::span<const float> shift) {
    const step& s = level_.steps[b];
    scale_.assign(vectors_, 0.f), shift_.assign(vectors_, 0.f); // padded channels stay zero
    std::copy(scale.begin(), scale.end(), scale_.begin());
    std::copy(shift.begin(), shift.end(), shift_.begin());
    act_ = s.b.act;
    if (i + 1 < s.b.norm_count()) return;
    for_each_image([&](picture& image, const scratch&) {
      if (s.b.kind == block_kind::final_expand) {
        apply(image.wide, pixels_of(s.b.in_size), s.out_blocks, s.b.act, nullptr);
        return;
      }
      const bool stem = s.b.kind == block_kind::stem;
      apply(image.next, pixels_of(s.b.out_size), s.out_blocks, stem ? s.b.act : activation::identity,
            s.b.residual ? image.now : nullptr);
      std::swap(image.now, image.next);
    });
  }

  void logits(std::size_t n, std::span<float> out) {
    const step &expand = level_.steps[level_.steps.size() - 3], &mix = level_.steps[level_.steps.size() - 2],
               &last = level_.steps.back();
    const scratch& own = own_[0];
    const std::size_t pixels = pixels_of(expand.b.in_size);
    const kernel_table& k = backend_.engine->kernels();
    for (int c = 0; c < expand.out_blocks; ++c)
      k.mean(images_[n].wide + at(c) * pixels, static_cast<int>(pixels), own.a + at(c));
    matvec(mix.project, mix.project_panel, mix.b.in_channels, own.a, nullptr, own.b, mix.out_blocks, mix.act);
    matvec(last.project, last.project_panel, last.b.in_channels, own.b,
           level_.weights->floats(level_.weights->classifier_bias), own.a, last.out_blocks, last.act);
    std::copy_n(own.a, out.size(), out.begin());
  }

  std::size_t bytes() const { return memory_.size(); }

private:
  struct picture {
    float *now, *next, *wide, *wider, *image;
    std::vector<double> sum, square; ///< of the last convolution
  };
  struct scratch {
    float *rows, *a, *b, *c;
    std::int32_t* row_offset;
  };

  cpu backend_;
  cpu::bound level_;
  std::vector<picture> images_;
  std::vector<scratch> own_;
  aligned_bytes memory_;
  std::size_t vectors_ = 0, stem_rows_ = 0;
  float *ones_ = nullptr, *zeros_ = nullptr;
  std::vector<float> scale_, shift_; ///< of the last batch norm
  activation act_ = activation::identity;
  int active_ = 0;

  static std::size_t at(int blocks) { return floats_of(blocks); }
  static std::size_t pixels_of(int size) { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }
  static std::size_t round(std::size_t floats) { return (floats + 15) / 16 * 16; }
  static scale_shift identity_of(const plan& p) {
    const auto n = static_cast<std::size_t>(p.norm_values());
    return {std::vector<float>(n, 1.f), std::vector<float>(n, 0.f)};
  }

  template <class Work>
  void for_each_image(Work work) {
    const int threads = backend_.engine->threads();
    const auto turn = backend_.engine->turn();
    backend_.engine->parallel([&](int thread) {
      for (int n = thread; n < active_; n += threads)
        work(images_[static_cast<std::size_t>(n)], own_[static_cast<std::size_t>(thread)]);
    });
  }

  /// 16 channels of a pixel. GCC's and clang's vectors, cut into registers of what the program is compiled for: these
  /// passes are bound by memory.
  using lanes = float __attribute__((vector_size(lane_block * sizeof(float)), may_alias));
  static const lanes& lanes_at(const float* p) { return *reinterpret_cast<const lanes*>(p); }
  static lanes& lanes_at(float* p) { return *reinterpret_cast<lanes*>(p); }

  /// Sums of raw [C/16][pixels][16]: floats over runs of 64 pixels, doubles above.
  static void add_up(const float* raw, std::size_t pixels, picture& image) {
    for (std::size_t c = 0; c < image.sum.size(); c += lane_block)
      for (std::size_t first = 0; first < pixels; first += 64) {
        lanes sum{}, square{};
        const float* p = raw + (c / lane_block * pixels + first) * lane_block;
        for (const float* end = p + std::min<std::size_t>(64, pixels - first) * lane_block; p != end; p += lane_block) {
          const lanes& x = lanes_at(p);
          sum += x, square += x * x;
        }
        for (std::size_t i = 0; i < lane_block; ++i) image.sum[c + i] += sum[i], image.square[c + i] += square[i];
      }
  }

  /// x · scale + shift, activation, residual, in place: [blocks][pixels][16].
  void apply(float* x, std::size_t pixels, int blocks, activation act, const float* residual) const {
    for (int c = 0; c < blocks; ++c) {
      float* block = x + at(c) * pixels;
      normalised(block, block, pixels, c, act);
      if (residual)
        for (std::size_t i = 0; i < pixels * lane_block; i += lane_block)
          lanes_at(block + i) += lanes_at(residual + at(c) * pixels + i);
    }
  }
  void normalised(const float* from, float* to, std::size_t pixels, int block, activation act) const {
    lanes scale, shift;
    std::memcpy(&scale, scale_.data() + at(block), sizeof scale);
    std::memcpy(&shift, shift_.data() + at(block), sizeof shift);
    const lanes zero{}, three = zero + 3.f, six = zero + 6.f, sixth = zero + 1.f / 6.f;
    const auto each = [&](auto activate) {
      for (std::size_t p = 0; p < pixels; ++p, from += lane_block, to += lane_block) {
        lanes v = lanes_at(from) * scale + shift;
        activate(v);
        lanes_at(to) = v;
      }
    };
    switch (act) {
    case activation::relu: return each([&](lanes& v) { v = v > zero ? v : zero; });
    case activation::h_swish:
      return each([&](lanes& v) {
        lanes gate = v + three;
        gate = gate < zero ? zero : gate;
        gate = gate > six ? six : gate;
        v *= gate * sixth;
      });
    default: return each([](lanes&) {});
    }
  }

  void product(const void* weights, std::size_t panel, int k, int panels, std::size_t pixels, const float* in,
               float* out) const {
    pointwise_args a{};
    a.in = in, a.in_plane = pixels * lane_block;
    a.weights = static_cast<const float*>(weights), a.panel = panel, a.k = k;
    a.out = out, a.out_plane = pixels * lane_block;
    a.scale = ones_, a.shift = zeros_, a.act = epilogue::identity;
    for (int first = 0, count; first < panels; first += count) {
      count = next_chunk(panels - first);
      a.weights = static_cast<const float*>(weights) + static_cast<std::size_t>(first) * panel;
      a.out = out + at(first) * pixels;
      backend_.engine->kernels().pointwise(a, count, static_cast<int>(pixels));
    }
  }
  void matvec(const void* weights, std::size_t panel, int k, const float* in, const float* bias, float* out, int panels,
              epilogue act) const {
    const kernel_table& kernels = backend_.engine->kernels();
    (level_.weights->half ? kernels.matvec_half : kernels.matvec)({in, k, weights, panel, bias, out, panels, act});
  }

  void stem(const step& s, picture& image, const scratch& own) const {
    step raw = s;
    raw.act = epilogue::identity; // its scale and shift are the identity already
    stem_rows rows{backend_.engine->kernels(), raw, image.image, own.rows, 0};
    for (int y = 0; y < s.b.out_size; ++y)
      rows.compute(y, image.next + at(y * s.b.out_size), at(1) * pixels_of(s.b.out_size));
    add_up(image.next, pixels_of(s.b.out_size), image);
  }
  void expand(const step& s, picture& image) const {
    product(s.expand, s.expand_panel, s.b.in_channels, s.mid_blocks, pixels_of(s.b.in_size), image.now, image.wide);
    add_up(image.wide, pixels_of(s.b.in_size), image);
  }
  void depthwise(const step& s, picture& image, const scratch& own) const {
    const int size = s.b.in_size, side = s.b.kernel / 2;
    const std::size_t row = at(size + s.b.kernel - 1), pixels = pixels_of(size);
    const auto taps = at(s.b.kernel * s.b.kernel);
    for (int y = 0; y < size; ++y) own.row_offset[y] = static_cast<std::int32_t>(row) * y;
    std::fill_n(own.rows, row * static_cast<std::size_t>(size), 0.f);
    for (int c = 0; c < s.mid_blocks; ++c) {
      for (int y = 0; y < size; ++y) {
        float* to = own.rows + static_cast<std::size_t>(y) * row + at(side);
        const std::size_t from = at(c) * pixels + at(y * size);
        if (s.b.kind == block_kind::separable)
          std::memcpy(to, image.now + from, at(size) * sizeof(float));
        else
          normalised(image.wide + from, to, static_cast<std::size_t>(size), c, act_);
      }
      depthwise_args a{};
      a.in = own.rows, a.row_offset = own.row_offset, a.in_rows = size;
      a.out = image.wider + at(c) * pixels_of(s.b.out_size), a.out_width = s.b.out_size;
      a.weights = s.depthwise + static_cast<std::size_t>(c) * taps;
      a.scale = ones_, a.shift = zeros_, a.sum = own.a;
      a.y0 = 0, a.y1 = s.b.out_size, a.act = epilogue::identity;
      backend_.engine->kernels().depthwise[s.b.kernel / 2 - 1][s.b.stride - 1](a);
    }
    add_up(image.wider, pixels_of(s.b.out_size), image);
  }
  void project(const step& s, picture& image, const scratch& own) const {
    const std::size_t pixels = pixels_of(s.b.out_size);
    const kernel_table& kernels = backend_.engine->kernels();
    apply(image.wider, pixels, s.mid_blocks, s.b.act, nullptr);
    if (s.b.se_channels > 0) {
      for (int c = 0; c < s.mid_blocks; ++c)
        kernels.mean(image.wider + at(c) * pixels, static_cast<int>(pixels), own.a + at(c));
      std::fill_n(own.b, vectors_, 0.f);
      matvec(s.se_reduce, s.se_reduce_panel, s.b.mid_channels, own.a, s.se_reduce_bias, own.b,
             blocks_of(s.b.se_channels), epilogue::relu);
      matvec(s.se_expand, s.se_expand_panel, s.b.se_channels, own.b, s.se_expand_bias, own.c, s.mid_blocks,
             epilogue::h_sigmoid);
      for (int c = 0; c < s.mid_blocks; ++c)
        kernels.scale_pixels(image.wider + at(c) * pixels, own.c + at(c), static_cast<int>(pixels));
    }
    product(s.project, s.project_panel, s.b.mid_channels, s.out_blocks, pixels, image.wider, image.next);
    add_up(image.next, pixels, image);
  }
};

} // namespace cpu_detail

/// Calibration on the CPU's kernels, images spread over the backend's threads. `packed` in fp32.
inline cpu_detail::calibration open_calibration(const cpu& backend, const std::shared_ptr<const cpu::packed>& packed,
                                                const plan& p, int capacity) {
  return {backend, packed, p, capacity};
}
static_assert(calibration_batch<cpu_detail::calibration>);

} // namespace dynofa::backend
