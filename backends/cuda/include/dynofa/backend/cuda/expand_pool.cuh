#pragma once
#include "dynofa/backend/cuda/expand.cuh"

namespace dynofa::backend::cuda_detail {

/// The final expansion and the mean over the image in one launch: the expanded tensor is never written. Grid: (chunks
/// of 32 outputs, images).
template <class T>
DYNOFA_KERNEL expand_pool(expand_pool_args p) {
  DYNOFA_SHARED(shared);
  const int warp = thread_index() / 32, warps = threads_per_block / 32, image = block_y();
  float* sums = reinterpret_cast<float*>(shared + expand_operands_bytes(precision_of<T>, p.k)); // [warps][8][32]
  const expansion<T> expand(shared, p.w, p.pitch, block_x() * channel_chunk, p.n, p.k);
  for (int i = thread_index(); i < warps * 8 * channel_chunk; i += threads_per_block) sums[i] = 0.f;
  block_barrier();
  const T* in = static_cast<const T*>(p.in) + static_cast<std::int64_t>(image) * p.pixels * p.k;
  float* mine = sums + (warp * 8 + warp_tile<T>::row_group()) * channel_chunk; // no two lanes share a cell
  for (int first = warp * 32; first < p.pixels; first += warps * 32) {
    const warp_tile<T> tile = expand.of([&](int i) -> const T* {
      return first + i < p.pixels ? in + static_cast<std::int64_t>(first + i) * p.k : nullptr;
    });
    DYNOFA_UNROLL
    for (int i = 0; i < 32; ++i) {
      const int c = block_x() * channel_chunk + tile.column(i);
      if (first + tile.row(i) >= p.pixels || c >= p.n) continue;
      mine[tile.column(i)] += activate(p.act, tile.value(i) * p.scale[c] + p.shift[c]);
    }
  }
  block_barrier();
  const int c = block_x() * channel_chunk + thread_index();
  if (thread_index() >= channel_chunk || c >= p.n) return;
  float total = 0.f;
  for (int i = 0; i < warps * 8; ++i) total += sums[i * channel_chunk + thread_index()];
  from_float(total / static_cast<float>(p.pixels), static_cast<T*>(p.out)[static_cast<std::int64_t>(image) * p.n + c]);
}

} // namespace dynofa::backend::cuda_detail
