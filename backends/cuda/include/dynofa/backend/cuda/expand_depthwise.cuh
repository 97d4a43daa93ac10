#pragma once
#include "dynofa/backend/cuda/expand.cuh"

namespace dynofa::backend::cuda_detail {

/// The first two thirds of an inverted residual. Grid: (chunks of 32 mid channels, tiles of outputs, images).
///
/// A thread block expands the pixels its tile of outputs looks at (tile and halo) into shared memory, so the expanded
/// tensor, six times the input, never reaches memory; then each lane takes one channel and slides along rows of four
/// outputs. Neighbouring tiles expand their common halo twice, which tensor cores do for less than the traffic costs.
template <class T, int Kernel, int Stride>
DYNOFA_KERNEL expand_depthwise(expand_depthwise_args p) {
  DYNOFA_SHARED(shared);
  constexpr int run = 4; ///< outputs of one slide
  const int lane = thread_index() % 32, warp = thread_index() / 32, warps = threads_per_block / 32;
  const int channel = block_x() * channel_chunk + lane, image = block_z();
  const int tile_y = block_y() / p.tiles_across * p.tile_height, tile_x = block_y() % p.tiles_across * p.tile_width;
  const halo span = halo_of(Kernel, Stride, p.tile_height, p.tile_width);
  const int top = tile_y * Stride - Kernel / 2, left = tile_x * Stride - Kernel / 2;

  T* expanded = reinterpret_cast<T*>(shared + expand_operands_bytes(precision_of<T>, p.in_channels));
  float* sums = reinterpret_cast<float*>(expanded + span.height * span.width * channel_chunk); // [warps + 1][32]

  const expansion<T> expand(shared, p.expand, p.expand_pitch, block_x() * channel_chunk, p.mid_channels, p.in_channels);
  // The depthwise convolution pads *its* input with zeros, which a batch norm would not leave zero: so, outside first.
  const int packets = span.height * span.width * channel_chunk / packet_values<T>;
  for (int i = thread_index(); i < packets; i += threads_per_block)
    store_packet(expanded + i * packet_values<T>, zero_packet());
  block_barrier();

  const int y0 = top > 0 ? top : 0, x0 = left > 0 ? left : 0;
  const int y1 = top + span.height < p.in_size ? top + span.height : p.in_size;
  const int x1 = left + span.width < p.in_size ? left + span.width : p.in_size;
  const int across = x1 - x0, pixels = across * (y1 - y0);
  for (int first = warp * 32; first < pixels; first += warps * 32) {
    const T* in = static_cast<const T*>(p.in);
    const warp_tile<T> tile = expand.of([&](int i) -> const T* {
      const int pixel = first + i;
      if (pixel >= pixels) return nullptr;
      const int y = y0 + pixel / across, x = x0 + pixel % across;
      return in + (static_cast<std::int64_t>(image) * p.in_size * p.in_size + y * p.in_size + x) * p.in_channels;
    });
    DYNOFA_UNROLL
    for (int i = 0; i < 32; ++i) {
      const int pixel = first + tile.row(i), c = block_x() * channel_chunk + tile.column(i);
      if (pixel >= pixels || c >= p.mid_channels) continue;
      const int y = y0 + pixel / across - top, x = x0 + pixel % across - left;
      from_float(activate(p.act, tile.value(i) * p.scale[0][c] + p.shift[0][c]),
                 expanded[(y * span.width + x) * channel_chunk + tile.column(i)]);
    }
  }
  block_barrier();

  const bool active = channel < p.mid_channels;
  float weights[Kernel * Kernel];
  DYNOFA_UNROLL
  for (int i = 0; i < Kernel * Kernel; ++i) weights[i] = active ? p.depthwise[i * p.depthwise_pitch + channel] : 0.f;
  const float scale = active ? p.scale[1][channel] : 0.f, shift = active ? p.shift[1][channel] : 0.f;
  float pooled = 0.f;
  const int runs_across = p.tile_width / run;
  for (int r = warp; r < p.tile_height * runs_across; r += warps) {
    const int y = r / runs_across, x = r % runs_across * run;
    if (tile_y + y >= p.out_size || tile_x + x >= p.out_size) continue;
    float out[run] = {};
    DYNOFA_UNROLL
    for (int ky = 0; ky < Kernel; ++ky) {
      constexpr int needed = (run - 1) * Stride + Kernel;
      float row[needed];
      DYNOFA_UNROLL
      for (int i = 0; i < needed; ++i)
        row[i] = to_float(expanded[((y * Stride + ky) * span.width + x * Stride + i) * channel_chunk + lane]);
      DYNOFA_UNROLL
      for (int o = 0; o < run; ++o) DYNOFA_UNROLL
      for (int kx = 0; kx < Kernel; ++kx) out[o] += row[o * Stride + kx] * weights[ky * Kernel + kx];
    }
    DYNOFA_UNROLL
    for (int o = 0; o < run; ++o) {
      if (tile_x + x + o >= p.out_size || !active) continue;
      const float value = activate(p.act, out[o] * scale + shift);
      pooled += value;
      const std::int64_t at =
          (static_cast<std::int64_t>(image) * p.out_size + tile_y + y) * p.out_size + tile_x + x + o;
      from_float(value, static_cast<T*>(p.out)[at * p.mid_channels + channel]);
    }
  }
  if (p.hidden == 0) return;

  // The mean and the first matrix of squeeze-excite are linear: every tile and chunk adds its own share of the hidden
  // layer, in a fixed order later, so results repeat bit for bit.
  sums[warp * 32 + lane] = pooled;
  block_barrier();
  float* mean = sums + warps * 32;
  if (warp == 0) {
    float total = 0.f;
    for (int w = 0; w < warps; ++w) total += sums[w * 32 + lane];
    mean[lane] = total / static_cast<float>(p.out_size * p.out_size);
  }
  block_barrier();
  const int first_channel = block_x() * channel_chunk;
  const int channels = p.mid_channels - first_channel < channel_chunk ? p.mid_channels - first_channel : channel_chunk;
  float* share =
      p.partials + ((static_cast<std::int64_t>(image) * blocks_y() + block_y()) * blocks_x() + block_x()) * p.hidden;
  for (int h = thread_index(); h < p.hidden; h += threads_per_block) {
    const T* row =
        static_cast<const T*>(p.se_reduce) + static_cast<std::int64_t>(h) * p.se_reduce_pitch + first_channel;
    float total = 0.f;
    for (int c = 0; c < channels; c += packet_values<T>) {
      const packet_view<T> w{load_packet(row + c)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i) total += to_float(w.values[i]) * mean[c + i];
    }
    share[h] = total;
  }
}

} // namespace dynofa::backend::cuda_detail
