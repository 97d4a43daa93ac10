#pragma once
#include "dynofa/backend/cuda/expand.cuh"

namespace dynofa::backend::cuda_detail {

/// The final expansion and the mean over the image in one launch: the expanded tensor is never written. Grid: (chunks
/// of 32 outputs, images).
template <class T>
DYNOFA_KERNEL expand_pool(expand_pool_args p) {
  DYNOFA_SHARED(shared);
  using tile_type = warp_tile<T>;
  const int threads = block_threads(), warp = thread_index() / 32, warps = threads / 32;
  const int first_channel = block_x() * channel_chunk, image = block_y();
  float* sums = reinterpret_cast<float*>(shared + expand_operands_bytes(precision_of<T>, p.k, warps)); // [groups][32]
  let_next_start();
  const expansion<T> expand(shared, p.w, p.pitch, first_channel, p.n, p.k);
  const column_norms<T> norm(p.scale, p.shift, first_channel, p.n);
  wait_for_activations();
  block_barrier();
  const T* in = static_cast<const T*>(p.in) + static_cast<std::int64_t>(image) * p.pixels * p.k;
  float totals[tile_type::columns] = {};
  with_activation(p.act, [&](auto act) {
    for (int first = warp * 32; first < p.pixels; first += warps * 32) {
      const tile_type tile =
          expand.of([&](int i) -> const T* { return first + i < p.pixels ? in + (first + i) * p.k : nullptr; });
      DYNOFA_UNROLL
      for (int r = 0; r < tile_type::rows; ++r) {
        if (first + tile_type::row(r) >= p.pixels) continue;
        DYNOFA_UNROLL
        for (int c = 0; c < tile_type::columns; ++c) totals[c] += act(norm(c, tile.value(r, c)));
      }
    }
  });
  const int groups = warps * tile_type::row_groups;
  tile_type::store(sums + (warp * tile_type::row_groups + tile_type::row_group()) * channel_chunk, totals);
  block_barrier();
  const int c = first_channel + thread_index();
  if (thread_index() >= channel_chunk || c >= p.n) return;
  float total = 0.f;
  for (int i = 0; i < groups; ++i) total += sums[i * channel_chunk + thread_index()];
  from_float(total / static_cast<float>(p.pixels), static_cast<T*>(p.out)[static_cast<std::int64_t>(image) * p.n + c]);
}

} // namespace dynofa::backend::cuda_detail
