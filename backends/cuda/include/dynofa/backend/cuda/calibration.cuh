#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

// What batch-norm calibration needs besides the products: fp32, one pass through memory each. Channels are multiples of
// four; a thread works on a packet of them. Sums are added up in a fixed order, so they repeat bit for bit.

/// A depthwise convolution alone. Grid: (groups of 256 packets of outputs).
DYNOFA_KERNEL depthwise_alone(depthwise_args p) {
  let_next_start();
  wait_for_activations();
  const std::int64_t at = static_cast<std::int64_t>(block_x()) * block_threads() + thread_index();
  const int packets = p.channels / 4, area = p.out_size * p.out_size;
  if (at >= static_cast<std::int64_t>(p.images) * area * packets) return;
  const int c = static_cast<int>(at % packets) * 4, pixel = static_cast<int>(at / packets);
  const int image = pixel / area, y = pixel % area / p.out_size, x = pixel % p.out_size;
  const float* plane = p.in + static_cast<std::int64_t>(image) * p.in_size * p.in_size * p.channels + c;
  packet_view<float> sum{zero_packet()};
  for (int ky = 0; ky < p.kernel; ++ky)
    for (int kx = 0; kx < p.kernel; ++kx) {
      const int iy = y * p.stride + ky - p.kernel / 2, ix = x * p.stride + kx - p.kernel / 2;
      if (iy < 0 || iy >= p.in_size || ix < 0 || ix >= p.in_size) continue;
      const packet_view<float> value{load_packet(plane + (iy * p.in_size + ix) * p.channels)};
      const packet_view<float> tap{load_packet(p.taps + (ky * p.kernel + kx) * p.pitch + c)};
      DYNOFA_UNROLL
      for (int j = 0; j < 4; ++j) sum.values[j] += value.values[j] * tap.values[j];
    }
  store_packet(p.out + at * 4, sum.bits);
}

/// Batch norm, activation and residual, in place. Grid: (groups of 256 packets).
DYNOFA_KERNEL normalise(normalise_args p) {
  let_next_start();
  wait_for_activations();
  const std::int64_t at = static_cast<std::int64_t>(block_x()) * block_threads() + thread_index();
  const int packets = p.channels / 4;
  if (at >= p.rows * packets) return;
  const int c = static_cast<int>(at % packets) * 4;
  packet_view<float> x{load_packet(p.x + at * 4)};
  const packet_view<float> scale{load_packet(p.scale + c)}, shift{load_packet(p.shift + c)};
  const packet_view<float> before{p.residual != nullptr ? load_packet(p.residual + at * 4) : zero_packet()};
  DYNOFA_UNROLL
  for (int j = 0; j < 4; ++j)
    x.values[j] =
        activate(p.out_act, activate(p.act, x.values[j] * scale.values[j] + shift.values[j]) + before.values[j]);
  store_packet(p.x + at * 4, x.bits);
}

/// The sum and the sum of squares of every channel over `rows_of_part` rows. Grid: (chunks of 32 channels, parts), 256
/// threads, of which eight share a channel.
DYNOFA_KERNEL sum_channels(sum_channels_args p) {
  DYNOFA_SHARED(shared);
  double* sums = reinterpret_cast<double*>(shared); // [8][2][32]
  let_next_start();
  wait_for_activations();
  const int lane = thread_index() % channel_chunk, group = thread_index() / channel_chunk;
  const int groups = block_threads() / channel_chunk, c = block_x() * channel_chunk + lane;
  const std::int64_t first = static_cast<std::int64_t>(block_y()) * p.rows_of_part;
  const std::int64_t end = first + p.rows_of_part < p.rows ? first + p.rows_of_part : p.rows;
  double sum = 0, square = 0;
  if (c < p.channels)
    for (std::int64_t row = first + group; row < end; row += groups) {
      const double x = p.in[row * p.channels + c];
      sum += x, square += x * x;
    }
  sums[(group * 2 + 0) * channel_chunk + lane] = sum;
  sums[(group * 2 + 1) * channel_chunk + lane] = square;
  block_barrier();
  if (group >= 2 || c >= p.channels) return; // the first 32 threads add the sums, the next the squares
  double total = 0;
  for (int g = 0; g < groups; ++g) total += sums[(g * 2 + group) * channel_chunk + lane];
  p.parts[(static_cast<std::int64_t>(block_y()) * 2 + group) * p.channels + c] = total;
}

/// The sums of all parts. Grid: (groups of 256 of the 2 · channels values).
DYNOFA_KERNEL sum_parts(sum_parts_args p) {
  let_next_start();
  wait_for_activations();
  const int at = block_x() * block_threads() + thread_index();
  if (at >= p.values) return;
  double total = 0;
  for (int part = 0; part < p.count; ++part) total += p.parts[static_cast<std::int64_t>(part) * p.values + at];
  p.out[at] = total;
}

/// The mean over each image. Grid: (chunks of 32 channels, images), 256 threads, of which eight share a channel.
DYNOFA_KERNEL mean_pool(mean_pool_args p) {
  DYNOFA_SHARED(shared);
  float* sums = reinterpret_cast<float*>(shared); // [8][32]
  let_next_start();
  wait_for_activations();
  const int lane = thread_index() % channel_chunk, group = thread_index() / channel_chunk;
  const int groups = block_threads() / channel_chunk, c = block_x() * channel_chunk + lane;
  const float* plane = p.in + static_cast<std::int64_t>(block_y()) * p.pixels * p.channels;
  float sum = 0.f;
  if (c < p.channels)
    for (int pixel = group; pixel < p.pixels; pixel += groups) sum += plane[pixel * p.channels + c];
  sums[group * channel_chunk + lane] = sum;
  block_barrier();
  if (group > 0 || c >= p.channels) return;
  float total = 0.f;
  for (int g = 0; g < groups; ++g) total += sums[g * channel_chunk + lane];
  p.out[static_cast<std::int64_t>(block_y()) * p.channels + c] = total / static_cast<float>(p.pixels);
}

} // namespace dynofa::backend::cuda_detail
