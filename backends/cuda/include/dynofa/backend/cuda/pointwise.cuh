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

/// The same for outputs (m, n) … (m, n + 7).
template <class T>
DYNOFA_DEVICE void finish_eight(const pointwise_args& p, int m, int n, const float* from) {
  if (p.float_out) { // the logits: as many as there are classes, perhaps no multiple of eight
    for (int j = 0; j < 8 && n + j < p.n; ++j) finish<T>(p, m, n + j, from[j]);
    return;
  }
  float sums[8];
  DYNOFA_UNROLL
  for (int j = 0; j < 8; j += 4) {
    const packet_view<float> sum{load_packet(from + j)};
    const packet_view<float> scale{p.scale != nullptr ? load_packet(p.scale + n + j) : zero_packet()};
    const packet_view<float> shift{p.shift != nullptr ? load_packet(p.shift + n + j) : zero_packet()};
    DYNOFA_UNROLL
    for (int i = 0; i < 4; ++i)
      sums[j + i] = activate(p.act, sum.values[i] * (p.scale != nullptr ? scale.values[i] : 1.f) + shift.values[i]);
  }
  const std::int64_t at = static_cast<std::int64_t>(m) * p.n + n;
  if (p.residual != nullptr) {
    DYNOFA_UNROLL
    for (int j = 0; j < 8; j += packet_values<T>) {
      const packet_view<T> before{load_packet(static_cast<const T*>(p.residual) + at + j)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i) sums[j + i] += to_float(before.values[i]);
    }
  }
  store_floats(sums, static_cast<T*>(p.out) + at);
}

/// A matrix product with a batch norm, an activation and a residual in its epilogue and squeeze-excite gates on its
/// input. Grid: (tiles of n, tiles of m), of `shape_of(Id)`. Warps that share the inner dimension add up in the end, in
/// a fixed order. The next step of the operands waits in registers while the current one is multiplied; gates lie in
/// shared memory from the start, a row for each image of the tile.
template <class T, kernel_id Id>
DYNOFA_KERNEL pointwise(pointwise_args p) {
  DYNOFA_SHARED(shared);
  constexpr pointwise_shape shape = shape_of(Id);
  constexpr int threads = shape.threads(), tile_m = shape.tile_m(), tile_n = shape.tile_n();
  constexpr int depth = shape.depth(precision_of<T>), warp_depth = depth / shape.warps_k;
  constexpr int pitch = operand_pitch(precision_of<T>, depth), packets = depth / packet_values<T>;
  constexpr int rows_at_once = threads / packets, a_loads = tile_m / rows_at_once, w_loads = tile_n / rows_at_once;
  T* left = reinterpret_cast<T*>(shared);
  T* right = left + tile_m * pitch;
  const int warp = thread_index() / 32;
  const int m0 = block_y() * tile_m, n0 = block_x() * tile_n;
  const int own_row = thread_index() / packets, own_k = thread_index() % packets * packet_values<T>;

  T* gates = reinterpret_cast<T*>(shared + shape.bytes(precision_of<T>)); // [images of the tile][k]

  packet a[a_loads], w[w_loads];
  auto fetch_weights = [&](int k) {
    const T* from = static_cast<const T*>(p.w) + static_cast<std::int64_t>(n0 + own_row) * p.pitch + k;
    DYNOFA_UNROLL
    for (int i = 0; i < w_loads; ++i)
      w[i] = n0 + own_row + i * rows_at_once < p.n && k < p.k ? load_packet(from + i * rows_at_once * p.pitch)
                                                              : zero_packet();
  };
  auto fetch_activations = [&](int k) {
    const T* from = static_cast<const T*>(p.a) + static_cast<std::int64_t>(m0 + own_row) * p.k + k;
    DYNOFA_UNROLL
    for (int i = 0; i < a_loads; ++i) {
      const int m = m0 + own_row + i * rows_at_once;
      a[i] = m < p.m && k < p.k ? load_packet(from + i * rows_at_once * p.k) : zero_packet();
    }
  };

  let_next_start();
  fetch_weights(own_k);
  wait_for_activations();
  fetch_activations(own_k);
  int gate_row[a_loads] = {};
  if (p.gates != nullptr) {
    const int first_image = m0 / p.pixels, last_row = (m0 + tile_m < p.m ? m0 + tile_m : p.m) - 1;
    const T* from = static_cast<const T*>(p.gates) + static_cast<std::int64_t>(first_image) * p.k;
    copy_packets((last_row / p.pixels - first_image + 1) * p.k / packet_values<T>,
                 [&](int i) -> const void* { return from + i * packet_values<T>; },
                 [&](int i) -> void* { return gates + i * packet_values<T>; });
    DYNOFA_UNROLL
    for (int i = 0; i < a_loads; ++i) {
      const int m = m0 + own_row + i * rows_at_once;
      gate_row[i] = m < p.m ? (m / p.pixels - first_image) * p.k : 0;
    }
    block_barrier();
  }
  warp_tile<T> sums;
  const int warp_k = warp % shape.warps_k, warp_n = warp / shape.warps_k % shape.warps_n,
            warp_m = warp / shape.warps_k / shape.warps_n;
  for (int k0 = 0; k0 < p.k; k0 += depth) {
    const bool gated = p.gates != nullptr && k0 + own_k < p.k;
    DYNOFA_UNROLL
    for (int i = 0; i < a_loads; ++i)
      store_packet(left + (own_row + i * rows_at_once) * pitch + own_k,
                   gated ? product_of<T>(a[i], load_packet(gates + gate_row[i] + k0 + own_k)) : a[i]);
    DYNOFA_UNROLL
    for (int i = 0; i < w_loads; ++i) store_packet(right + (own_row + i * rows_at_once) * pitch + own_k, w[i]);
    block_barrier();
    if (k0 + depth < p.k) fetch_activations(k0 + depth + own_k), fetch_weights(k0 + depth + own_k);
    sums.multiply(left + warp_m * 32 * pitch + warp_k * warp_depth, pitch,
                  right + warp_n * 32 * pitch + warp_k * warp_depth, pitch, warp_depth);
    block_barrier();
  }

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

/// The same for a few rows (m ≤ 4, without gates): the feature mix and the classifier of one image, bound by reading
/// their weights once. Grid: (groups of four outputs); each warp makes one output of every row. The first packets of
/// weights are on their way before the activations are there.
template <class T>
DYNOFA_KERNEL vector_product(pointwise_args p) {
  let_next_start();
  constexpr int ahead = 6, step = 32 * packet_values<T>;
  const int lane = thread_index() % 32, n = block_x() * (block_threads() / 32) + thread_index() / 32;
  const T* weights = static_cast<const T*>(p.w) + static_cast<std::int64_t>(n < p.n ? n : 0) * p.pitch;
  const int first = lane * packet_values<T>;
  packet early[ahead];
  DYNOFA_UNROLL
  for (int i = 0; i < ahead; ++i)
    early[i] = first + i * step < p.k ? load_packet(weights + first + i * step) : zero_packet();
  wait_for_activations();
  if (n >= p.n) return;
  float sums[4] = {};
  auto add = [&](int k, const packet& bits) {
    const packet_view<T> w{bits};
    DYNOFA_UNROLL
    for (int m = 0; m < 4; ++m) {
      if (m >= p.m) break;
      const packet_view<T> a{load_packet(static_cast<const T*>(p.a) + static_cast<std::int64_t>(m) * p.k + k)};
      DYNOFA_UNROLL
      for (int i = 0; i < packet_values<T>; ++i) sums[m] += to_float(w.values[i]) * to_float(a.values[i]);
    }
  };
  DYNOFA_UNROLL
  for (int i = 0; i < ahead; ++i)
    if (first + i * step < p.k) add(first + i * step, early[i]);
  for (int k = first + ahead * step; k < p.k; k += step) add(k, load_packet(weights + k));
  DYNOFA_UNROLL
  for (int m = 0; m < 4; ++m) {
    if (m >= p.m) break;
    const float total = sum_over_lanes(sums[m]);
    if (lane == 0) finish<T>(p, m, n, total);
  }
}

} // namespace dynofa::backend::cuda_detail
