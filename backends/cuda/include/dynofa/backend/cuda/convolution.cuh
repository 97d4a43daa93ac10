#pragma once
#include "dynofa/backend/cuda/warp_tile.cuh"

namespace dynofa::backend::cuda_detail {

/// Everything that follows the sums of a convolution, for outputs (m, n) … (m, n + 7).
template <class T>
DYNOFA_DEVICE void finish_eight(const convolution_args& p, int m, int n, const float* from) {
  float sums[8];
  DYNOFA_UNROLL
  for (int j = 0; j < 8; j += 4) {
    const packet_view<float> sum{load_packet(from + j)};
    const packet_view<float> scale{load_packet(p.scale + n + j)}, shift{load_packet(p.shift + n + j)};
    DYNOFA_UNROLL
    for (int i = 0; i < 4; ++i) sums[j + i] = activate(p.act, sum.values[i] * scale.values[i] + shift.values[i]);
  }
  const std::int64_t at = static_cast<std::int64_t>(m) * p.n + n;
  if (p.residual != nullptr) {
    DYNOFA_UNROLL
    for (int j = 0; j < 8; j += packet_values<T>) {
      const packet_view<T> before{load_packet(static_cast<const T*>(p.residual) + at + j)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i)
        sums[j + i] = activate(p.out_act, sums[j + i] + to_float(before.values[i]));
    }
  }
  store_floats(sums, static_cast<T*>(p.out) + at);
}

/// A convolution of all its input channels as a matrix product whose left operand nobody writes: the thread blocks
/// gather the pixels under each tap, zeros beyond the border, straight into shared memory. Grid: (tiles of outputs,
/// those of n first), of `shape_of(Id)`. The inner dimension runs over the taps and, within each, the channels; a
/// packet belongs to one tap, a step may hold several. `stages` steps of the operands are in shared memory or on their
/// way: a product of one image has few thread blocks, so that nothing else hides how far memory is. Warps that share
/// the inner dimension add up in the end, in a fixed order.
template <class T, kernel_id Id>
DYNOFA_KERNEL convolution(convolution_args p) {
  DYNOFA_SHARED(shared);
  constexpr pointwise_shape shape = shape_of(Id);
  constexpr int threads = shape.threads(), tile_m = shape.tile_m(), tile_n = shape.tile_n();
  constexpr int depth = shape.depth(precision_of<T>), warp_depth = depth / shape.warps_k;
  constexpr int pitch = operand_pitch(precision_of<T>, depth), packets = depth / packet_values<T>;
  constexpr int rows_at_once = threads / packets, a_loads = tile_m / rows_at_once, w_loads = tile_n / rows_at_once;
  constexpr int stage_values = (tile_m + tile_n) * pitch;
  T* operands = reinterpret_cast<T*>(shared); // [stages][tile_m + tile_n][pitch]
  const int warp = thread_index() / 32;
  const int m0 = block_x() / p.tiles_across * tile_m, n0 = block_x() % p.tiles_across * tile_n;
  const int own_row = thread_index() / packets, own_k = thread_index() % packets * packet_values<T>;
  const int taps = p.kernel * p.kernel, steps = (taps * p.in_channels + depth - 1) / depth;
  const int last_stage = p.stages - 1;
  const small_division by_kernel(p.kernel);

  // Where the thread's own packet of a step lies: under which tap, from which channel on.
  struct place {
    int tap, channel;
  };
  const place begin{own_k / p.in_channels, own_k % p.in_channels};
  const place forward{depth / p.in_channels, depth % p.in_channels};
  auto advance = [&](place& at) {
    at.tap += forward.tap, at.channel += forward.channel;
    if (at.channel >= p.in_channels) at.channel -= p.in_channels, ++at.tap;
  };
  auto fetch_weights = [&](const place& at, int stage) {
    const T* from = static_cast<const T*>(p.w) + static_cast<std::int64_t>(n0 + own_row) * p.pitch +
                    at.tap * p.tap_pitch + at.channel;
    T* to = operands + stage * stage_values + (tile_m + own_row) * pitch + own_k;
    DYNOFA_UNROLL
    for (int i = 0; i < w_loads; ++i) {
      const bool inside = at.tap < taps && n0 + own_row + i * rows_at_once < p.n;
      start_copy(to + i * rows_at_once * pitch, inside ? from + i * rows_at_once * p.pitch : p.w, inside);
    }
  };

  let_next_start();
  place weights_at = begin;
  for (int stage = 0; stage < last_stage; ++stage) fetch_weights(weights_at, stage), advance(weights_at);

  // The corner of each row's window: which pixel, and where in the image, which tells what lies beyond the border.
  int corner[a_loads], top[a_loads], left[a_loads];
  DYNOFA_UNROLL
  for (int i = 0; i < a_loads; ++i) {
    const int m = m0 + own_row + i * rows_at_once, row = m / p.out_size, image = row / p.out_size;
    top[i] = m < p.m ? (row - image * p.out_size) * p.stride - p.kernel / 2 : -p.kernel; // no tap reaches the image
    left[i] = (m - row * p.out_size) * p.stride - p.kernel / 2;
    corner[i] = (image * p.in_size + top[i]) * p.in_size + left[i];
  }
  auto fetch_activations = [&](const place& at, int stage) {
    const int down = by_kernel(at.tap), across = at.tap - down * p.kernel;
    const T* from = static_cast<const T*>(p.in) + at.channel;
    T* to = operands + stage * stage_values + own_row * pitch + own_k;
    DYNOFA_UNROLL
    for (int i = 0; i < a_loads; ++i) {
      const bool inside = at.tap < taps && static_cast<unsigned>(top[i] + down) < static_cast<unsigned>(p.in_size) &&
                          static_cast<unsigned>(left[i] + across) < static_cast<unsigned>(p.in_size);
      const std::int64_t pixel = corner[i] + down * p.in_size + across;
      start_copy_again(to + i * rows_at_once * pitch, inside ? from + pixel * p.in_channels : p.in, inside);
    }
    end_copies();
  };

  wait_for_activations();
  place activations_at = begin;
  for (int stage = 0; stage < last_stage; ++stage) fetch_activations(activations_at, stage), advance(activations_at);

  warp_tile<T> sums;
  const int warp_k = warp % shape.warps_k, warp_n = warp / shape.warps_k % shape.warps_n,
            warp_m = warp / shape.warps_k / shape.warps_n;
  int stage = 0, free_stage = last_stage;
  for (int step = 0; step < steps; ++step) {
    await_copies(p.stages - 2);
    block_barrier(); // everybody's copies are there, and the stage before this one has been multiplied
    fetch_weights(weights_at, free_stage), advance(weights_at);
    fetch_activations(activations_at, free_stage), advance(activations_at);
    const T* a = operands + stage * stage_values + warp_m * 32 * pitch + warp_k * warp_depth;
    const T* w = operands + stage * stage_values + (tile_m + warp_n * 32) * pitch + warp_k * warp_depth;
    sums.multiply(a, pitch, w, pitch, warp_depth);
    free_stage = stage;
    stage = stage == last_stage ? 0 : stage + 1;
  }
  await_copies(0);
  block_barrier();

  // The sums pass through shared memory so that a thread writes eight neighbouring channels.
  constexpr int sum_pitch = tile_n + 4;
  float* totals = reinterpret_cast<float*>(shared); // [warps_k][tile_m][sum_pitch]
  DYNOFA_UNROLL
  for (int r = 0; r < warp_tile<T>::rows; ++r) {
    float values[warp_tile<T>::columns];
    DYNOFA_UNROLL
    for (int c = 0; c < warp_tile<T>::columns; ++c) values[c] = sums.value(r, c);
    warp_tile<T>::store(totals + (warp_k * tile_m + warp_m * 32 + warp_tile<T>::row(r)) * sum_pitch + warp_n * 32,
                        values);
  }
  block_barrier();
  for (int i = thread_index(); i < tile_m * tile_n / 8; i += threads) {
    const int m = i / (tile_n / 8), n = i % (tile_n / 8) * 8;
    if (m0 + m >= p.m || n0 + n >= p.n) continue;
    float* total = totals + m * sum_pitch + n;
    DYNOFA_UNROLL
    for (int j = 0; j < 8 && shape.warps_k > 1; j += 4) {
      packet_view<float> sum{load_packet(total + j)};
      DYNOFA_UNROLL
      for (int other = 1; other < shape.warps_k; ++other) {
        const packet_view<float> more{load_packet(total + other * tile_m * sum_pitch + j)};
        DYNOFA_UNROLL
        for (int c = 0; c < 4; ++c) sum.values[c] += more.values[c];
      }
      store_packet(total + j, sum.bits);
    }
    finish_eight<T>(p, m0 + m, n0 + n, total);
  }
}

} // namespace dynofa::backend::cuda_detail
