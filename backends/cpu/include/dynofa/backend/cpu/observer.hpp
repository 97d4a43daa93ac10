#pragma once
#include "dynofa/backend/cpu/whole_calibration.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace dynofa::backend::cpu_detail {

/// Whole tensors that can be looked at. They lie raw in memory, so what is shown is normalised on the way, a run of
/// pixels at a time, as the convolution that reads it will do once more.
class observer : public whole_calibration {
public:
  using whole_calibration::whole_calibration;

  /// Parts have 16 channels, the last one fewer, and `finished_pixels` at most; those of a block's input all its
  /// pixels.
  template <class Visit>
  void observe(std::size_t b, byte_tensor::place where, std::size_t n, Visit&& visit) const {
    const step& s = level_.steps[b];
    const auto picture = static_cast<int>(n);
    if (where == byte_tensor::place::input) {
      const auto pixels = static_cast<int>(area(s.b.in_size));
      for (int c = 0; c < s.in_blocks; ++c)
        visit(part(memory_.now.of(picture) + plane(c, pixels), pixels, c, s.b.in_channels));
    } else if (where == byte_tensor::place::expanded) {
      for_each_run(s, 0, picture,
                   [&](int c, const float* x, int pixels) { visit(part(x, pixels, c, s.b.mid_channels)); });
    } else {
      const bool gated = where == byte_tensor::place::projected && s.b.se_channels > 0;
      const aligned_bytes gates = gated ? gates_of(s, picture) : aligned_bytes{};
      for_each_run(s, 1, picture, [&](int c, float* x, int pixels) {
        if (gated) kernels_.scale_pixels(x, gates.as<float>() + at(c), pixels);
        visit(part(x, pixels, c, s.b.mid_channels));
      });
    }
  }

private:
  static activation_part part(const float* x, int pixels, int c, int channels) {
    const int first = c * lane_block;
    return {x, pixels, lane_block, first, std::min(lane_block, channels - first)};
  }

  /// work(c, x, pixels): what followed convolution i, the expansion or the depthwise one, before squeeze-excite.
  template <class Work>
  void for_each_run(const step& s, int i, int n, Work work) const {
    alignas(64) float x[finished_pixels * lane_block];
    const auto pixels = static_cast<int>(area(whole_memory::size_of(s, i)));
    const input raw = normalised(s, i, i == 0 ? memory_.raw : memory_.mid);
    for (int c = 0; c < s.mid_blocks; ++c)
      for (int first = 0, count; first < pixels; first += count) {
        count = std::min(finished_pixels, pixels - first);
        read(raw, c, raw.from.of(n) + plane(c, pixels) + at(first), count, x);
        work(c, x, count);
      }
  }

  aligned_bytes gates_of(const step& s, int n) const {
    aligned_bytes vectors{2 * memory_.vectors * sizeof(float)};
    float* const means = vectors.as<float>();
    const auto all = static_cast<float>(area(s.b.out_size));
    for_each_run(s, 1, n, [&](int c, const float* x, int pixels) {
      alignas(64) float mean[lane_block];
      kernels_.mean(x, pixels, mean);
      for (int lane = 0; lane < lane_block; ++lane)
        means[at(c) + static_cast<std::size_t>(lane)] += mean[lane] * (static_cast<float>(pixels) / all);
    });
    gates_of_means(kernels_, level_.weights->half, s, means, means + memory_.vectors);
    return vectors;
  }
};

} // namespace dynofa::backend::cpu_detail
