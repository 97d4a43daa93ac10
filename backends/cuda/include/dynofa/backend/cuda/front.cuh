#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

/// Stem (3×3, stride 2) and block 0 (depthwise 3×3, 1×1, residual) on tiles of 8×8 outputs, the stem's pixels around
/// the tile computed twice. Three input channels are nothing for tensor cores, so: plain multiply-adds, fp32 until the
/// result is stored. Grid: (tiles, images). Either half can run alone.
template <class T>
DYNOFA_KERNEL front(front_args p) {
  DYNOFA_SHARED(shared);
  constexpr int side = front_tile + 2;
  float* stem = reinterpret_cast<float*>(shared);  // [10·10][C]: the tile and one pixel around it
  float* middle = stem + side * side * p.channels; // [8·8][C]
  const int image = block_y(), channels = p.channels;
  const int tile_y = block_x() / p.tiles_across * front_tile, tile_x = block_x() % p.tiles_across * front_tile;
  const std::int64_t plane = static_cast<std::int64_t>(image) * p.size * p.size;
  const float* picture = p.image + static_cast<std::int64_t>(image) * p.image_size * p.image_size * 3;

  for (int i = thread_index(); i < side * side * channels; i += threads_per_block) {
    const int c = i % channels, y = tile_y + i / channels / side - 1, x = tile_x + i / channels % side - 1;
    float value = 0.f; // around the image, where the depthwise convolution pads
    if (y >= 0 && y < p.size && x >= 0 && x < p.size) {
      if (p.with_stem) {
        for (int ky = 0; ky < 3; ++ky)
          for (int kx = 0; kx < 3; ++kx) {
            const int from_y = y * 2 + ky - 1, from_x = x * 2 + kx - 1;
            if (from_y < 0 || from_y >= p.image_size || from_x < 0 || from_x >= p.image_size) continue;
            const float* pixel = picture + (static_cast<std::int64_t>(from_y) * p.image_size + from_x) * 3;
            DYNOFA_UNROLL
            for (int j = 0; j < 3; ++j) value += pixel[j] * p.stem[((ky * 3 + kx) * 3 + j) * channels + c];
          }
        value = activate(p.stem_act, value * p.scale[0][c] + p.shift[0][c]);
      } else {
        value = to_float(static_cast<const T*>(p.in)[(plane + y * p.size + x) * channels + c]);
      }
    }
    stem[i] = value;
  }
  block_barrier();

  for (int i = thread_index(); i < front_tile * front_tile * channels; i += threads_per_block) {
    const int c = i % channels, y = i / channels / front_tile, x = i / channels % front_tile;
    if (!p.with_separable) {
      middle[i] = stem[((y + 1) * side + x + 1) * channels + c];
      continue;
    }
    float value = 0.f;
    DYNOFA_UNROLL
    for (int ky = 0; ky < 3; ++ky) DYNOFA_UNROLL
    for (int kx = 0; kx < 3; ++kx)
      value += stem[((y + ky) * side + x + kx) * channels + c] * p.depthwise[(ky * 3 + kx) * channels + c];
    middle[i] = activate(p.act, value * p.scale[1][c] + p.shift[1][c]);
  }
  block_barrier();

  for (int i = thread_index(); i < front_tile * front_tile * channels; i += threads_per_block) {
    const int c = i % channels, y = i / channels / front_tile, x = i / channels % front_tile;
    if (tile_y + y >= p.size || tile_x + x >= p.size) continue;
    float value = middle[i];
    if (p.with_separable) {
      value = 0.f;
      for (int k = 0; k < channels; ++k) value += middle[i - c + k] * p.project[k * channels + c];
      value = value * p.scale[2][c] + p.shift[2][c] + stem[((y + 1) * side + x + 1) * channels + c];
    }
    from_float(value, static_cast<T*>(p.out)[(plane + (tile_y + y) * p.size + tile_x + x) * channels + c]);
  }
}

} // namespace dynofa::backend::cuda_detail
