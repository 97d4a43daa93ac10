#pragma once
#include "dynofa/backend/cuda/warp_tile.cuh"

namespace dynofa::backend::cuda_detail {

/// Stem (3×3, stride 2) and block 0 (depthwise 3×3, 1×1, residual) on tiles of 8×8 outputs, the stem's pixels around
/// the tile computed twice. The stem is a matrix product of the 27 values under each pixel's window, laid out in rows;
/// the depthwise convolution slides as in `expand_depthwise`. Grid: (tiles, images, chunks of 32 channels), 128
/// threads. Either half can run alone, and block 0 without its projection; together they need one chunk.
template <class T>
DYNOFA_KERNEL front(front_args p) {
  DYNOFA_SHARED(shared);
  using tile_type = warp_tile<T>;
  constexpr int side = front_tile + 2, pixels = side * side, outputs = front_tile * front_tile, run = 4;
  constexpr int pixel_pitch = expanded_pitch(precision_of<T>, 1);
  constexpr int pitch = operand_pitch(precision_of<T>, front_depth), packets = front_depth / packet_values<T>;
  const int image = block_y(), first = block_z() * channel_chunk, threads = block_threads(), warp = thread_index() / 32;
  const int tile_y = block_x() / p.tiles_across * front_tile, tile_x = block_x() % p.tiles_across * front_tile;
  const int channels = p.channels - first < channel_chunk ? p.channels - first : channel_chunk;
  constexpr front_room room{precision_of<T>};
  float* patch = reinterpret_cast<float*>(shared);                  // [21][21][3]: of the image
  float* taps = reinterpret_cast<float*>(shared + room.taps);       // [9][32]
  T* windows = reinterpret_cast<T*>(shared + room.windows);         // [128][pitch]: what the stem sees, pixel by pixel
  T* middle = windows;                                              // [64][pitch]: afterwards what the depthwise gives
  T* stem_weights = reinterpret_cast<T*>(shared + room.stem);       // [32][pitch]
  T* project_weights = reinterpret_cast<T*>(shared + room.project); // [32][pitch]
  T* stem = reinterpret_cast<T*>(shared + room.pixels);             // [10][10][pixel_pitch]

  let_next_start();
  auto rows_from = [&](const void* weights, int from_pitch, int depth) {
    return [=](int i) -> const void* {
      const int c = i / packets, k = i % packets * packet_values<T>;
      return c < channels && k < depth ? static_cast<const T*>(weights) + (first + c) * from_pitch + k : nullptr;
    };
  };
  auto rows_to = [&](T* rows) {
    return [=](int i) -> void* { return rows + i / packets * pitch + i % packets * packet_values<T>; };
  };
  copy_packets(channel_chunk * packets, rows_from(p.stem, front_depth, p.with_stem ? front_depth : 0),
               rows_to(stem_weights));
  copy_packets(channel_chunk * packets, rows_from(p.project, p.project_pitch, p.project != nullptr ? channels : 0),
               rows_to(project_weights));
  copy_packets(
      9 * channel_chunk / 4,
      [&](int i) -> const void* {
        const int c = i % (channel_chunk / 4) * 4;
        return c < channels && p.with_separable ? p.depthwise + i / (channel_chunk / 4) * p.depthwise_pitch + first + c
                                                : nullptr;
      },
      [&](int i) -> void* { return taps + i * 4; });
  wait_for_activations();

  const std::int64_t plane = static_cast<std::int64_t>(image) * p.size * p.size;
  if (p.with_stem) {
    const float* picture = p.image + static_cast<std::int64_t>(image) * p.image_size * p.image_size * 3;
    const int top = (tile_y - 1) * 2 - 1, left = ((tile_x - 1) * 2 - 1) * 3;
    for (int i = thread_index(); i < front_patch_side * front_patch_side * 3; i += threads) {
      const int y = top + i / (front_patch_side * 3), x = left + i % (front_patch_side * 3);
      const bool inside = y >= 0 && y < p.image_size && x >= 0 && x < p.image_size * 3;
      patch[i] = inside ? picture[y * p.image_size * 3 + x] : 0.f;
    }
    block_barrier();
    if (thread_index() < pixels) {
      const float* corner = patch + (thread_index() / side * 2 * front_patch_side + thread_index() % side * 2) * 3;
      DYNOFA_UNROLL
      for (int k = 0; k < front_depth; k += 8) {
        float values[8];
        DYNOFA_UNROLL
        for (int j = 0; j < 8; ++j)
          values[j] = k + j < 27 ? corner[(k + j) / 9 * front_patch_side * 3 + (k + j) % 9] : 0.f;
        store_floats(values, windows + thread_index() * pitch + k);
      }
    }
    block_barrier();
    const column_norms<T> norm(p.scale[0], p.shift[0], first, p.channels);
    tile_type tile;
    tile.multiply(windows + warp * 32 * pitch, pitch, stem_weights, pitch, front_depth);
    DYNOFA_UNROLL
    for (int r = 0; r < tile_type::rows; ++r) {
      const int pixel = warp * 32 + tile_type::row(r), y = tile_y + pixel / side - 1, x = tile_x + pixel % side - 1;
      if (pixel >= pixels) continue;
      const bool inside = y >= 0 && y < p.size && x >= 0 && x < p.size; // around it the depthwise convolution pads
      float values[tile_type::columns];
      DYNOFA_UNROLL
      for (int c = 0; c < tile_type::columns; ++c)
        values[c] = inside ? activate(p.stem_act, norm(c, tile.value(r, c))) : 0.f;
      tile_type::store(stem + pixel * pixel_pitch, values);
    }
  } else {
    copy_packets(
        pixels * packets,
        [&](int i) -> const void* {
          const int pixel = i / packets, c = i % packets * packet_values<T>;
          const int y = tile_y + pixel / side - 1, x = tile_x + pixel % side - 1;
          const bool inside = y >= 0 && y < p.size && x >= 0 && x < p.size && c < channels;
          return inside ? static_cast<const T*>(p.in) + (plane + y * p.size + x) * p.channels + first + c : nullptr;
        },
        [&](int i) -> void* { return stem + i / packets * pixel_pitch + i % packets * packet_values<T>; });
  }
  block_barrier();

  auto centre = [&](int pixel) {
    return stem + ((pixel / front_tile + 1) * side + pixel % front_tile + 1) * pixel_pitch;
  };
  const int pair = thread_index() % 16 * 2;
  const bool active = pair < channels;
  if (p.with_separable) {
    const float* const scales = p.scale[1] + first + pair;
    const float* const shifts = p.shift[1] + first + pair;
    const float scale[2] = {active ? scales[0] : 0.f, active ? scales[1] : 0.f};
    const float shift[2] = {active ? shifts[0] : 0.f, active ? shifts[1] : 0.f};
    for (int r = thread_index() / 16; r < outputs / run; r += threads / 16) {
      const int y = r / (front_tile / run), x = r % (front_tile / run) * run;
      float out[run][2] = {};
      DYNOFA_UNROLL
      for (int ky = 0; ky < 3; ++ky) {
        float row[run + 2][2], weights[3][2];
        DYNOFA_UNROLL
        for (int i = 0; i < run + 2; ++i)
          load_pair(stem + ((y + ky) * side + x + i) * pixel_pitch + pair, row[i][0], row[i][1]);
        DYNOFA_UNROLL
        for (int kx = 0; kx < 3; ++kx)
          load_pair(taps + (ky * 3 + kx) * channel_chunk + pair, weights[kx][0], weights[kx][1]);
        DYNOFA_UNROLL
        for (int o = 0; o < run; ++o) DYNOFA_UNROLL
        for (int kx = 0; kx < 3; ++kx) DYNOFA_UNROLL
        for (int c = 0; c < 2; ++c) out[o][c] += row[o + kx][c] * weights[kx][c];
      }
      DYNOFA_UNROLL
      for (int o = 0; o < run; ++o)
        store_pair(middle + (y * front_tile + x + o) * pitch + pair, activate(p.act, out[o][0] * scale[0] + shift[0]),
                   activate(p.act, out[o][1] * scale[1] + shift[1]));
    }
    block_barrier();
    if (p.project != nullptr && warp < outputs / 32) {
      const column_norms<T> norm(p.scale[2], p.shift[2], 0, channels);
      T* rows = middle + warp * 32 * pitch;
      tile_type tile;
      tile.multiply(rows, pitch, project_weights, pitch, front_depth);
      warp_barrier();
      DYNOFA_UNROLL
      for (int r = 0; r < tile_type::rows; ++r) {
        float values[tile_type::columns];
        DYNOFA_UNROLL
        for (int c = 0; c < tile_type::columns; ++c)
          values[c] = norm(c, tile.value(r, c)) + to_float(centre(warp * 32 + tile_type::row(r))[tile_type::column(c)]);
        tile_type::store(rows + tile_type::row(r) * pitch, values);
      }
    }
    block_barrier();
  }
  const int out_packets = channels / packet_values<T>;
  for (int i = thread_index(); i < outputs * out_packets; i += threads) {
    const int pixel = i / out_packets, c = i % out_packets * packet_values<T>;
    const int y = tile_y + pixel / front_tile, x = tile_x + pixel % front_tile;
    if (y >= p.size || x >= p.size) continue;
    store_packet(static_cast<T*>(p.out) + (plane + y * p.size + x) * p.channels + first + c,
                 load_packet((p.with_separable ? middle + pixel * pitch : centre(pixel)) + c));
  }
}

} // namespace dynofa::backend::cuda_detail
