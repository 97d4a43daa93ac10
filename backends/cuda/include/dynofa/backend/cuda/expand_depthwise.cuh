#pragma once
#include "dynofa/backend/cuda/expand.cuh"

namespace dynofa::backend::cuda_detail {

/// The first two thirds of an inverted residual. Grid: (chunks of 32 mid channels, tiles of outputs, images).
///
/// A thread block expands the pixels its tile of outputs looks at (tile and halo) into shared memory, so the expanded
/// tensor, six times the input, never reaches memory; then each lane takes two channels, half a warp all 32, and slides
/// along rows of four outputs. Neighbouring tiles expand their common halo twice, which tensor cores do for less than
/// the traffic costs.
template <class T, int Kernel, int Stride>
DYNOFA_KERNEL expand_depthwise(expand_depthwise_args p) {
  DYNOFA_SHARED(shared);
  constexpr int pixel_pitch = expanded_pitch(precision_of<T>, Stride);
  constexpr int run = 4, needed = (run - 1) * Stride + Kernel; // outputs of one slide, and inputs
  const int threads = block_threads(), warp = thread_index() / 32, warps = threads / 32;
  const int first_channel = block_x() * channel_chunk, image = block_z();
  const int tile_y = block_y() / p.tiles_across * p.tile_height, tile_x = block_y() % p.tiles_across * p.tile_width;
  const halo span = halo_of(Kernel, Stride, p.tile_height, p.tile_width);
  const int top = tile_y * Stride - Kernel / 2, left = tile_x * Stride - Kernel / 2;

  const expand_depthwise_room room{precision_of<T>, p.in_channels, Kernel, Stride, span, warps};
  T* expanded = reinterpret_cast<T*>(shared + room.expanded);
  float* taps = reinterpret_cast<float*>(shared + room.taps); // [k·k][32]
  float* sums = reinterpret_cast<float*>(shared + room.sums); // [2 · warps + 1][32]

  let_next_start();
  const expansion<T> expand(shared, p.expand, p.expand_pitch, first_channel, p.mid_channels, p.in_channels);
  copy_packets(
      Kernel * Kernel * channel_chunk / 4,
      [&](int i) -> const void* {
        const int c = first_channel + i % (channel_chunk / 4) * 4;
        return c < p.mid_channels ? p.depthwise + i / (channel_chunk / 4) * p.depthwise_pitch + c : nullptr;
      },
      [&](int i) -> void* { return taps + i * 4; });
  const int y0 = top > 0 ? top : 0, x0 = left > 0 ? left : 0;
  const int y1 = top + span.height < p.in_size ? top + span.height : p.in_size;
  const int x1 = left + span.width < p.in_size ? left + span.width : p.in_size;
  const int across = x1 - x0, pixels = across * (y1 - y0);
  // The depthwise convolution pads *its* input with zeros, which a batch norm would not leave zero.
  if (pixels < span.height * span.width)
    for (int i = thread_index(); i < ceil_div(span.height * span.width * pixel_pitch, packet_values<T>); i += threads)
      store_packet(expanded + i * packet_values<T>, zero_packet());
  const column_norms<T> norm(p.scale[0], p.shift[0], first_channel, p.mid_channels);
  wait_for_activations();
  block_barrier();

  const T* in = static_cast<const T*>(p.in) + static_cast<std::int64_t>(image) * p.in_size * p.in_size * p.in_channels;
  const small_division by_across(across);
  with_activation(p.act, [&](auto act) {
    for (int first = warp * 32; first < pixels; first += warps * 32) {
      const warp_tile<T> tile = expand.of([&](int i) -> const T* {
        const int pixel = first + i, y = by_across(pixel), x = pixel - y * across;
        return pixel < pixels ? in + ((y0 + y) * p.in_size + x0 + x) * p.in_channels : nullptr;
      });
      DYNOFA_UNROLL
      for (int r = 0; r < warp_tile<T>::rows; ++r) {
        const int pixel = first + warp_tile<T>::row(r), y = by_across(pixel), x = pixel - y * across;
        if (pixel >= pixels) continue;
        float values[warp_tile<T>::columns];
        DYNOFA_UNROLL
        for (int c = 0; c < warp_tile<T>::columns; ++c) values[c] = act(norm(c, tile.value(r, c)));
        warp_tile<T>::store(expanded + ((y0 - top + y) * span.width + x0 - left + x) * pixel_pitch, values);
      }
    }
  });
  block_barrier();

  const int pair = thread_index() % 16 * 2, channel = first_channel + pair;
  const bool active = channel < p.mid_channels;
  const float scale[2] = {active ? p.scale[1][channel] : 0.f, active ? p.scale[1][channel + 1] : 0.f};
  const float shift[2] = {active ? p.shift[1][channel] : 0.f, active ? p.shift[1][channel + 1] : 0.f};
  float pooled[2] = {};
  T* plane = static_cast<T*>(p.out) + static_cast<std::int64_t>(image) * p.out_size * p.out_size * p.mid_channels;
  const int runs_across = p.tile_width / run;
  const small_division by_runs_across(runs_across);
  with_activation(p.act, [&](auto act) {
    for (int r = thread_index() / 16; r < p.tile_height * runs_across; r += threads / 16) {
      const int y = by_runs_across(r), x = (r - y * runs_across) * run;
      if (tile_y + y >= p.out_size || tile_x + x >= p.out_size) continue;
      const T* corner = expanded + (y * Stride * span.width + x * Stride) * pixel_pitch + pair;
      float out[run][2] = {};
      DYNOFA_UNROLL
      for (int ky = 0; ky < Kernel; ++ky) {
        float row[needed][2], weights[Kernel][2];
        DYNOFA_UNROLL
        for (int i = 0; i < needed; ++i) load_pair(corner + (ky * span.width + i) * pixel_pitch, row[i][0], row[i][1]);
        DYNOFA_UNROLL
        for (int kx = 0; kx < Kernel; ++kx)
          load_pair(taps + (ky * Kernel + kx) * channel_chunk + pair, weights[kx][0], weights[kx][1]);
        DYNOFA_UNROLL
        for (int o = 0; o < run; ++o) DYNOFA_UNROLL
        for (int kx = 0; kx < Kernel; ++kx) DYNOFA_UNROLL
        for (int c = 0; c < 2; ++c) out[o][c] += row[o * Stride + kx][c] * weights[kx][c];
      }
      DYNOFA_UNROLL
      for (int o = 0; o < run; ++o) {
        if (tile_x + x + o >= p.out_size || !active) continue;
        const float a = act(out[o][0] * scale[0] + shift[0]), b = act(out[o][1] * scale[1] + shift[1]);
        pooled[0] += a, pooled[1] += b;
        store_pair(plane + ((tile_y + y) * p.out_size + tile_x + x + o) * p.mid_channels + channel, a, b);
      }
    }
  });
  if (p.hidden == 0) return;

  // The mean and the first matrix of squeeze-excite are linear: every tile and chunk adds its own share of the hidden
  // layer, in a fixed order later, so results repeat bit for bit.
  store_pair(sums + thread_index() / 16 * channel_chunk + pair, pooled[0], pooled[1]);
  block_barrier();
  float* mean = sums + threads / 16 * channel_chunk;
  if (thread_index() < channel_chunk) {
    float total = 0.f;
    for (int i = 0; i < threads / 16; ++i) total += sums[i * channel_chunk + thread_index()];
    mean[thread_index()] = total / static_cast<float>(p.out_size * p.out_size);
  }
  block_barrier();
  const int channels = p.mid_channels - first_channel < channel_chunk ? p.mid_channels - first_channel : channel_chunk;
  float* share =
      p.partials + ((static_cast<std::int64_t>(image) * blocks_y() + block_y()) * blocks_x() + block_x()) * p.hidden;
  for (int h = thread_index(); h < p.hidden; h += threads) {
    const T* row =
        static_cast<const T*>(p.se_reduce) + static_cast<std::int64_t>(h) * p.se_reduce_pitch + first_channel;
    float total = 0.f;
    DYNOFA_UNROLL
    for (int c = 0; c < channel_chunk; c += packet_values<T>) {
      if (c >= channels) break;
      const packet_view<T> w{load_packet(row + c)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i) total += to_float(w.values[i]) * mean[c + i];
    }
    share[h] = total;
  }
}

} // namespace dynofa::backend::cuda_detail
