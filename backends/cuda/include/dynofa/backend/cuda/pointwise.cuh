#pragma once
#include "dynofa/backend/cuda/warp_tile.cuh"

namespace dynofa::backend::cuda_detail {

/// Everything that follows the sum of a pointwise product, for output (m, n).
template <class T>
DYNOFA_DEVICE void finish(const pointwise_args& p, int m, int n, float sum) {
  const std::int64_t at = static_cast<std::int64_t>(m) * p.n + n;
  if (p.scale != nullptr) sum *= p.scale[n];
  if (p.shift != nullptr) sum += p.shift[n];
  sum = activate(p.act, sum);
  if (p.residual != nullptr) sum += to_float(static_cast<const T*>(p.residual)[at]);
  if (p.float_out)
    static_cast<float*>(p.out)[at] = sum;
  else
    from_float(sum, static_cast<T*>(p.out)[at]);
}

/// A matrix product with a batch norm, an activation and a residual in its epilogue and squeeze-excite gates on its
/// input. Grid: (tiles of n, tiles of m).
///
/// Deep = false: 64×64 outputs, each warp 32×32. Deep = true, for the few pixels and many channels of the last stages:
/// 32×32 outputs, four warps share the inner dimension and add up in the end, in a fixed order. The next slice of the
/// operands waits in registers while the current one is multiplied.
template <class T, bool Deep>
DYNOFA_KERNEL pointwise(pointwise_args p) {
  DYNOFA_SHARED(shared);
  constexpr int tile = Deep ? 32 : 64, depth = Deep ? 4 * slice : slice;
  constexpr int pitch = operand_pitch(precision_of<T>, depth), packets = depth / packet_values<T>;
  constexpr int loads = tile * packets / threads_per_block;
  T* left = reinterpret_cast<T*>(shared);
  T* right = left + tile * pitch;
  const int warp = thread_index() / 32;
  const int m0 = block_y() * tile, n0 = block_x() * tile;

  packet a[loads], w[loads];
  auto fetch = [&](int k0) {
    DYNOFA_UNROLL
    for (int i = 0; i < loads; ++i) {
      const int index = i * threads_per_block + thread_index();
      const int row = index / packets, k = k0 + index % packets * packet_values<T>;
      a[i] = m0 + row < p.m && k < p.k
                 ? load_packet(static_cast<const T*>(p.a) + static_cast<std::int64_t>(m0 + row) * p.k + k)
                 : zero_packet();
      w[i] = n0 + row < p.n && k < p.k
                 ? load_packet(static_cast<const T*>(p.w) + static_cast<std::int64_t>(n0 + row) * p.pitch + k)
                 : zero_packet();
      if (p.gates != nullptr && m0 + row < p.m && k < p.k) {
        packet_view<T> gated{a[i]};
        const float* gate = p.gates + static_cast<std::int64_t>((m0 + row) / p.pixels) * p.k + k;
        DYNOFA_UNROLL
        for (int j = 0; j < packet_values<T>; ++j) from_float(to_float(gated.values[j]) * gate[j], gated.values[j]);
        a[i] = gated.bits;
      }
    }
  };

  warp_tile<T> sums;
  const int warp_m = Deep ? 0 : warp / 2 * 32, warp_n = Deep ? 0 : warp % 2 * 32, warp_k = Deep ? warp * slice : 0;
  fetch(0);
  for (int k0 = 0; k0 < p.k; k0 += depth) {
    DYNOFA_UNROLL
    for (int i = 0; i < loads; ++i) {
      const int index = i * threads_per_block + thread_index();
      const int at = index / packets * pitch + index % packets * packet_values<T>;
      store_packet(left + at, a[i]);
      store_packet(right + at, w[i]);
    }
    block_barrier();
    if (k0 + depth < p.k) fetch(k0 + depth);
    sums.multiply(left + warp_m * pitch + warp_k, pitch, right + warp_n * pitch + warp_k, pitch, slice);
    block_barrier();
  }

  // The sums pass through shared memory so that neighbouring threads write neighbouring channels.
  float* totals = reinterpret_cast<float*>(shared); // Deep: [warp][32][32], else [64][64]
  float* mine = Deep ? totals + warp * 32 * 32 : totals + warp_m * tile + warp_n;
  DYNOFA_UNROLL
  for (int i = 0; i < 32; ++i) mine[sums.row(i) * tile + sums.column(i)] = sums.value(i);
  block_barrier();
  for (int i = thread_index(); i < tile * tile; i += threads_per_block) {
    const int m = m0 + i / tile, n = n0 + i % tile;
    if (m >= p.m || n >= p.n) continue;
    float total = totals[i];
    if (Deep)
      for (int other = 1; other < 4; ++other) total += totals[other * tile * tile + i];
    finish<T>(p, m, n, total);
  }
}

/// The same for a few rows (m ≤ 4, without gates): the feature mix and the classifier of one image, bound by reading
/// their weights once. Grid: (groups of four outputs); each warp makes one output of every row.
template <class T>
DYNOFA_KERNEL vector_product(pointwise_args p) {
  const int lane = thread_index() % 32, n = block_x() * (threads_per_block / 32) + thread_index() / 32;
  if (n >= p.n) return;
  const T* weights = static_cast<const T*>(p.w) + static_cast<std::int64_t>(n) * p.pitch;
  float sums[4] = {};
  for (int k = lane * packet_values<T>; k < p.k; k += 32 * packet_values<T>) {
    const packet_view<T> w{load_packet(weights + k)};
    DYNOFA_UNROLL
    for (int m = 0; m < 4; ++m) {
      if (m >= p.m) break;
      const packet_view<T> a{load_packet(static_cast<const T*>(p.a) + static_cast<std::int64_t>(m) * p.k + k)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i) sums[m] += to_float(w.values[i]) * to_float(a.values[i]);
    }
  }
  DYNOFA_UNROLL
  for (int m = 0; m < 4; ++m) {
    if (m >= p.m) break;
    const float total = sum_over_warp(sums[m]);
    if (lane == 0) finish<T>(p, m, n, total);
  }
}

} // namespace dynofa::backend::cuda_detail
