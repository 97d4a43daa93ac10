#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

// A picture becomes a network's input, by the rules of data/resize.hpp: Pillow's filter in whole numbers, bit for bit,
// or plain interpolation. A thread per output pixel. Grid: (groups of 256 pixels).

DYNOFA_DEVICE float normalised(const picture_args& p, float value, int channel) {
  return (value / 255.f - p.mean[channel]) / p.deviation[channel];
}

/// Σ weight · byte of the inputs that output `i` of an axis mixes, `step` bytes apart; 22-bit fixed point, rounded.
DYNOFA_DEVICE void mix(const picture_args& p, int i, const std::uint8_t* from, int step, int (&sums)[3]) {
  const std::int32_t* run = p.taps + static_cast<std::int64_t>(i) * (2 + p.most_taps);
  const std::uint8_t* pixel = from + static_cast<std::int64_t>(run[0]) * step;
  for (int& sum : sums) sum = 1 << 21;
  for (int k = 0; k < run[1]; ++k, pixel += step)
    for (int c = 0; c < 3; ++c) sums[c] += pixel[c] * run[2 + k];
  for (int& sum : sums) {
    sum >>= 22;
    sum = sum < 0 ? 0 : sum > 255 ? 255 : sum;
  }
}

/// Along the rows: bytes [rows][in_width][3] → bytes [rows][out_width][3].
DYNOFA_KERNEL resize_rows(picture_args p) {
  const int at = block_x() * block_threads() + thread_index();
  if (at >= p.rows * p.out_width) return;
  int sums[3];
  mix(p, at % p.out_width, p.in + static_cast<std::int64_t>(at / p.out_width) * p.in_width * 3, 3, sums);
  for (int c = 0; c < 3; ++c) static_cast<std::uint8_t*>(p.out)[at * 3 + c] = static_cast<std::uint8_t>(sums[c]);
}

/// Down the columns, and normalised: bytes [·][out_width][3] → floats [rows][out_width][3].
DYNOFA_KERNEL resize_columns(picture_args p) {
  const int at = block_x() * block_threads() + thread_index();
  if (at >= p.rows * p.out_width) return;
  int sums[3];
  mix(p, at / p.out_width, p.in + at % p.out_width * 3, p.out_width * 3, sums);
  for (int c = 0; c < 3; ++c) static_cast<float*>(p.out)[at * 3 + c] = normalised(p, static_cast<float>(sums[c]), c);
}

/// Bilinear in float, without antialias, and normalised: bytes [in_height][in_width][3] → floats [rows][rows][3].
DYNOFA_KERNEL interpolate(picture_args p) {
  const int at = block_x() * block_threads() + thread_index();
  if (at >= p.rows * p.rows) return;
  int low[2], high[2];
  float weight[2];
  for (int axis = 0; axis < 2; ++axis) { // down, across
    const int size = axis == 0 ? p.in_height : p.in_width, i = axis == 0 ? at / p.rows : at % p.rows;
    const float scale = static_cast<float>(size) / static_cast<float>(p.rows);
    const float place = scale * (static_cast<float>(i) + 0.5f) - 0.5f, from = place > 0.f ? place : 0.f;
    low[axis] = static_cast<int>(from) < size - 1 ? static_cast<int>(from) : size - 1;
    high[axis] = low[axis] + 1 < size ? low[axis] + 1 : size - 1;
    weight[axis] = from - static_cast<float>(low[axis]);
  }
  for (int c = 0; c < 3; ++c) {
    auto across = [&](int y) {
      const std::uint8_t* row = p.in + static_cast<std::int64_t>(y) * p.in_width * 3 + c;
      return (1.f - weight[1]) * static_cast<float>(row[low[1] * 3]) + weight[1] * static_cast<float>(row[high[1] * 3]);
    };
    const float value = (1.f - weight[0]) * across(low[0]) + weight[0] * across(high[0]);
    static_cast<float*>(p.out)[at * 3 + c] = normalised(p, value, c);
  }
}

} // namespace dynofa::backend::cuda_detail
