#pragma once
#include "dynofa/backend/cuda/pooling.cuh"
#include "dynofa/backend/cuda/warp_tile.cuh"

namespace dynofa::backend::cuda_detail {

/// Whether this thread block is the last of `count` to come here; `shared`: of 4 bytes. It sees what the others wrote.
DYNOFA_DEVICE bool is_last_of(std::uint32_t* counter, int count, unsigned char* shared) {
  auto* before = reinterpret_cast<std::uint32_t*>(shared);
  device_fence();
  block_barrier();
  if (thread_index() == 0) {
    *before = count_one(counter);
    if (*before + 1 == static_cast<std::uint32_t>(count)) *counter = 0; // for the next launch
  }
  block_barrier();
  const bool last = *before + 1 == static_cast<std::uint32_t>(count);
  if (last) device_fence();
  return last;
}

/// A convolution of all its input channels as a matrix product whose left operand nobody writes: the thread blocks
/// gather the pixels under each tap, zeros beyond the border, straight into shared memory. `block` of
/// `shape_of(Id)`, splits of a tile first, then tiles of n. The inner dimension runs over the taps and, within each,
/// the channels; a packet belongs to one tap, a step may hold several. `stages` steps of the operands are in shared
/// memory or on their way: a product of one image has few thread blocks, so that nothing else hides how far memory is.
/// What the epilogue reads is on its way from the start too. Warps that share the inner dimension add up in the end, in
/// a fixed order; so do the `splits` thread blocks that share it where tiles are few: the last of them to arrive adds
/// their shares and finishes the tile.
template <class T, kernel_id Id>
DYNOFA_DEVICE void convolve(const convolution_args& p, int block, unsigned char* shared) {
  constexpr pointwise_shape shape = shape_of(Id);
  constexpr int threads = shape.threads(), tile_m = shape.tile_m(), tile_n = shape.tile_n();
  constexpr int depth = shape.depth(precision_of<T>), warp_depth = depth / shape.warps_k;
  constexpr int pitch = operand_pitch(precision_of<T>, depth), packets = depth / packet_values<T>;
  constexpr int rows_at_once = threads / packets, a_loads = tile_m / rows_at_once, w_loads = tile_n / rows_at_once;
  constexpr int stage_values = (tile_m + tile_n) * pitch;
  T* operands = reinterpret_cast<T*>(shared); // [stages][tile_m + tile_n][pitch]
  const int warp = thread_index() / 32;
  const int tile = block / p.splits, split = block - tile * p.splits;
  const int m0 = tile / p.tiles_across * tile_m, n0 = tile % p.tiles_across * tile_n;
  const int own_row = thread_index() / packets, own_k = thread_index() % packets * packet_values<T>;
  const int taps = p.kernel * p.kernel, all_steps = (taps * p.in_channels + depth - 1) / depth;
  const int own_steps = (all_steps + p.splits - 1) / p.splits, first_step = split * own_steps;
  const int steps = all_steps - first_step < own_steps ? all_steps - first_step : own_steps;
  const int last_stage = p.stages - 1;
  const small_division by_kernel(p.kernel);

  // Where the thread's own packet of a step lies: under which tap, from which channel on.
  struct place {
    int tap, channel;
  };
  const int first_k = first_step * depth + own_k;
  const place begin{first_k / p.in_channels, first_k % p.in_channels};
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

  // A thread writes eights of outputs, all of the same channels, `rows_apart`.
  constexpr int eights = tile_n / 8, rows_apart = threads / eights, own_rows = (tile_m + rows_apart - 1) / rows_apart;
  const int first_m = thread_index() / eights, own_n = thread_index() % eights * 8, n = n0 + own_n;
  auto is_mine = [&](int i) {
    const int m = first_m + i * rows_apart;
    return m < tile_m && m0 + m < p.m && n < p.n;
  };
  auto output = [&](int i) { return static_cast<std::int64_t>(m0 + first_m + i * rows_apart) * p.n + n; };
  float scale[8], shift[8];
  DYNOFA_UNROLL
  for (int j = 0; j < 8; j += 4) {
    const packet_view<float> scales{n < p.n ? load_packet(p.scale + n + j) : zero_packet()};
    const packet_view<float> shifts{n < p.n ? load_packet(p.shift + n + j) : zero_packet()};
    DYNOFA_UNROLL
    for (int i = 0; i < 4; ++i) scale[j + i] = scales.values[i], shift[j + i] = shifts.values[i];
  }

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
  };

  wait_for_activations();
  place activations_at = begin;
  for (int stage = 0; stage < last_stage; ++stage)
    fetch_activations(activations_at, stage), advance(activations_at), end_copies();

  constexpr int of_eight = 8 / packet_values<T>;
  packet before[own_rows][of_eight];
  DYNOFA_UNROLL
  for (int i = 0; i < own_rows; ++i) DYNOFA_UNROLL
  for (int j = 0; j < of_eight; ++j)
    before[i][j] = p.residual != nullptr && is_mine(i)
                       ? load_packet(static_cast<const T*>(p.residual) + output(i) + j * packet_values<T>)
                       : zero_packet();

  warp_tile<T> sums;
  const int warp_k = warp % shape.warps_k, warp_n = warp / shape.warps_k % shape.warps_n,
            warp_m = warp / shape.warps_k / shape.warps_n;
  int stage = 0, free_stage = last_stage;
  for (int step = 0; step < steps; ++step) {
    await_copies(p.stages - 2);
    block_barrier(); // everybody's copies are there, and the stage before this one has been multiplied
    if (step + last_stage < steps) {
      fetch_weights(weights_at, free_stage), advance(weights_at);
      fetch_activations(activations_at, free_stage), advance(activations_at);
    }
    end_copies();
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
  float results[own_rows][8] = {};
  auto add_four = [](float* to, const packet_view<float>& more) {
    DYNOFA_UNROLL
    for (int c = 0; c < 4; ++c) to[c] += more.values[c];
  };
  DYNOFA_UNROLL
  for (int i = 0; i < own_rows; ++i) DYNOFA_UNROLL
  for (int other = 0; other < shape.warps_k; ++other) DYNOFA_UNROLL
  for (int j = 0; j < 8; j += 4) {
    const int row = other * tile_m + first_m + i * rows_apart;
    if (is_mine(i)) add_four(results[i] + j, packet_view<float>{load_packet(totals + row * sum_pitch + own_n + j)});
  }
  if (p.splits > 1) {
    float* const shares = p.shares + static_cast<std::int64_t>(tile) * p.splits * (tile_m * tile_n);
    auto place_of = [&](int i) { return (first_m + i * rows_apart) * tile_n + own_n; };
    DYNOFA_UNROLL
    for (int i = 0; i < own_rows; ++i)
      if (is_mine(i)) store_floats(results[i], shares + split * (tile_m * tile_n) + place_of(i));
    if (!is_last_of(p.counters + tile, p.splits, shared)) return;
    DYNOFA_UNROLL
    for (int i = 0; i < own_rows; ++i) {
      if (!is_mine(i)) continue;
      float4 all[most_splits][2]; // asked for together
      DYNOFA_UNROLL
      for (int other = 0; other < most_splits; ++other) DYNOFA_UNROLL
      for (int j = 0; j < 2; ++j)
        if (other < p.splits)
          all[other][j] = load_from_others(shares + other * (tile_m * tile_n) + place_of(i) + 4 * j);
        else
          all[other][j] = {0.f, 0.f, 0.f, 0.f};
      DYNOFA_UNROLL
      for (int j = 0; j < 2; ++j) {
        float4 sum = all[0][j];
        DYNOFA_UNROLL
        for (int other = 1; other < most_splits; ++other)
          sum.x += all[other][j].x, sum.y += all[other][j].y, sum.z += all[other][j].z, sum.w += all[other][j].w;
        float* const to = results[i] + 4 * j;
        to[0] = sum.x, to[1] = sum.y, to[2] = sum.z, to[3] = sum.w;
      }
    }
  }
  DYNOFA_UNROLL
  for (int i = 0; i < own_rows; ++i) {
    if (!is_mine(i)) continue;
    DYNOFA_UNROLL
    for (int j = 0; j < 8; ++j) results[i][j] = activate(p.act, results[i][j] * scale[j] + shift[j]);
    if (p.residual != nullptr) {
      DYNOFA_UNROLL
      for (int j = 0; j < 8; ++j) {
        const packet_view<T> added{before[i][j / packet_values<T>]};
        results[i][j] = activate(p.out_act, results[i][j] + to_float(added.values[j % packet_values<T>]));
      }
    }
    store_floats(results[i], static_cast<T*>(p.out) + output(i));
  }
}

/// Grid: (the tiles of the first layer, then those of the second or groups of packets of the windows).
template <class T, kernel_id Id>
DYNOFA_KERNEL convolution(DYNOFA_GRID_CONSTANT const convolution_launch launch) {
  DYNOFA_SHARED(shared);
  if (block_x() >= launch.windows_from) return average_own_windows<T>(launch.windows, block_x() - launch.windows_from);
  const bool second = block_x() >= launch.second_from;
  convolve<T, Id>(launch.of[second ? 1 : 0], block_x() - (second ? launch.second_from : 0), shared);
}

} // namespace dynofa::backend::cuda_detail
