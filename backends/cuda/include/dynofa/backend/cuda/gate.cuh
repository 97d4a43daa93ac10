#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

/// The gates of squeeze-excite from the shares of the hidden layer that `expand_depthwise` left. Grid: (chunks of 32
/// mid channels, images). Every thread block sums the shares anew: a few ten KB from L2, less than one more launch.
template <class T>
DYNOFA_KERNEL gate(gate_args p) {
  DYNOFA_SHARED(shared);
  float* hidden = reinterpret_cast<float*>(shared);
  const int lane = thread_index() % 32, warp = thread_index() / 32, image = block_y();
  const float* shares = p.partials + static_cast<std::int64_t>(image) * p.parts * p.hidden;
  for (int h = thread_index(); h < p.hidden; h += threads_per_block) {
    float total = p.reduce_bias[h];
    DYNOFA_UNROLL
    for (int i = 0; i < p.parts; ++i) total += shares[static_cast<std::int64_t>(i) * p.hidden + h];
    hidden[h] = activate(activation::relu, total);
  }
  block_barrier();
  for (int i = warp; i < channel_chunk; i += threads_per_block / 32) {
    const int c = block_x() * channel_chunk + i;
    if (c >= p.mid_channels) break;
    const T* row = static_cast<const T*>(p.se_expand) + static_cast<std::int64_t>(c) * p.pitch;
    float total = 0.f;
    for (int h = lane; h < p.hidden; h += 32) total += to_float(row[h]) * hidden[h];
    total = sum_over_warp(total);
    if (lane != 0) continue;
    const float x = total + p.expand_bias[c] + 3.f;
    p.gates[static_cast<std::int64_t>(image) * p.mid_channels + c] = (x < 0.f ? 0.f : x > 6.f ? 6.f : x) * (1.f / 6.f);
  }
}

} // namespace dynofa::backend::cuda_detail
