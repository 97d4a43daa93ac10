#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

/// Calls `work(y, x, from, to)` for the thread's own packet of outputs: its pixel, where its channels of the image
/// begin, and where they go. `group` of as many packets as the thread block has threads.
template <class T, class Work>
DYNOFA_DEVICE void with_own_output(const window_args& p, int group, Work work) {
  let_next_start();
  wait_for_activations();
  const std::int64_t at = static_cast<std::int64_t>(group) * block_threads() + thread_index();
  const int packets = p.channels / packet_values<T>;
  if (at >= static_cast<std::int64_t>(p.images) * p.out_size * p.out_size * packets) return;
  const int pixel = static_cast<int>(at / packets), c = static_cast<int>(at - std::int64_t(pixel) * packets);
  const int row = pixel / p.out_size, image = row / p.out_size;
  const T* plane = static_cast<const T*>(p.in) + static_cast<std::int64_t>(image) * p.in_size * p.in_size * p.channels;
  work(row - image * p.out_size, pixel - row * p.out_size, plane + c * packet_values<T>,
       static_cast<T*>(p.out) + at * packet_values<T>);
}

/// The maximum of 3×3 windows, two apart, cut off at the border. A NaN stays NaN. Grid: (groups of 256 packets).
template <class T>
DYNOFA_KERNEL max_pool(window_args p) {
  with_own_output<T>(p, block_x(), [&](int y, int x, const T* from, T* to) {
    packet_view<T> most{load_packet(from + static_cast<std::int64_t>(2 * y * p.in_size + 2 * x) * p.channels)};
    DYNOFA_UNROLL
    for (int dy = -1; dy <= 1; ++dy) DYNOFA_UNROLL
    for (int dx = -1; dx <= 1; ++dx) {
      const int iy = 2 * y + dy, ix = 2 * x + dx;
      if (iy < 0 || iy >= p.in_size || ix < 0 || ix >= p.in_size) continue;
      const packet_view<T> other{load_packet(from + static_cast<std::int64_t>(iy * p.in_size + ix) * p.channels)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i) {
        const float v = to_float(other.values[i]);
        if (v > to_float(most.values[i]) || v != v) most.values[i] = other.values[i];
      }
    }
    store_packet(to, most.bits);
  });
}

/// The mean of stride × stride windows, the last ones cut off at the border.
template <class T>
DYNOFA_DEVICE void average_own_windows(const window_args& p, int group) {
  with_own_output<T>(p, group, [&](int y, int x, const T* from, T* to) {
    float sums[packet_values<T>] = {};
    const int bottom = (y + 1) * p.stride < p.in_size ? (y + 1) * p.stride : p.in_size;
    const int right = (x + 1) * p.stride < p.in_size ? (x + 1) * p.stride : p.in_size;
    for (int iy = y * p.stride; iy < bottom; ++iy)
      for (int ix = x * p.stride; ix < right; ++ix) {
        const packet_view<T> one{load_packet(from + static_cast<std::int64_t>(iy * p.in_size + ix) * p.channels)};
        DYNOFA_UNROLL
        for (int i = 0; i < packet_values<T>; ++i) sums[i] += to_float(one.values[i]);
      }
    const auto count = static_cast<float>((bottom - y * p.stride) * (right - x * p.stride));
    packet_view<T> mean{zero_packet()};
    DYNOFA_UNROLL
    for (int i = 0; i < packet_values<T>; ++i) from_float(sums[i] / count, mean.values[i]);
    store_packet(to, mean.bits);
  });
}

/// The mean over the image. Grid: (chunks of 32 channels, images), `average_pool_threads`: as many pixels at a time as
/// there are groups of threads that hold a pixel's packets.
template <class T>
DYNOFA_KERNEL average_pool(window_args p) {
  DYNOFA_SHARED(shared);
  constexpr int packets = channel_chunk / packet_values<T>, groups = average_pool_threads / packets;
  float* sums = reinterpret_cast<float*>(shared); // [groups][32]
  let_next_start();
  wait_for_activations();
  const int group = thread_index() / packets, own = thread_index() % packets * packet_values<T>;
  const int first = block_x() * channel_chunk, pixels = p.in_size * p.in_size;
  const T* plane =
      static_cast<const T*>(p.in) + static_cast<std::int64_t>(block_y()) * pixels * p.channels + first + own;
  float own_sums[packet_values<T>] = {};
  if (first + own < p.channels)
    for (int pixel = group; pixel < pixels; pixel += groups) {
      const packet_view<T> one{load_packet(plane + static_cast<std::int64_t>(pixel) * p.channels)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i) own_sums[i] += to_float(one.values[i]);
    }
  DYNOFA_UNROLL
  for (int i = 0; i < packet_values<T>; ++i) sums[group * channel_chunk + own + i] = own_sums[i];
  block_barrier();
  const int c = first + thread_index();
  if (thread_index() >= channel_chunk || c >= p.channels) return;
  float total = 0.f;
  DYNOFA_UNROLL_8
  for (int i = 0; i < groups; ++i) total += sums[i * channel_chunk + thread_index()];
  from_float(total / static_cast<float>(pixels),
             static_cast<T*>(p.out)[static_cast<std::int64_t>(block_y()) * p.channels + c]);
}

} // namespace dynofa::backend::cuda_detail
