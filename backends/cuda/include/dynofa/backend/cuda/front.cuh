#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

/// Eight neighbouring floats in registers: the channels that a thread of `front` works on at a time.
struct octet {
  float values[8] = {};

  DYNOFA_DEVICE static octet at(const float* from) {
    const packet_view<float> low{load_packet(from)}, high{load_packet(from + 4)};
    octet o;
    DYNOFA_UNROLL
    for (int i = 0; i < 4; ++i) o.values[i] = low.values[i], o.values[i + 4] = high.values[i];
    return o;
  }
  DYNOFA_DEVICE void add_product(float x, const octet& w) {
    DYNOFA_UNROLL
    for (int i = 0; i < 8; ++i) values[i] += x * w.values[i];
  }
  DYNOFA_DEVICE void add_product(const octet& x, const octet& w) {
    DYNOFA_UNROLL
    for (int i = 0; i < 8; ++i) values[i] += x.values[i] * w.values[i];
  }
  DYNOFA_DEVICE void normalise(const float* scale, const float* shift, activation act) {
    const octet a = at(scale), b = at(shift);
    DYNOFA_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = activate(act, values[i] * a.values[i] + b.values[i]);
  }
};

/// Stem (3×3, stride 2) and block 0 (depthwise 3×3, 1×1, residual) on tiles of 8×8 outputs, the stem's pixels around
/// the tile computed twice. Three input channels are nothing for tensor cores, so: plain multiply-adds, fp32 until the
/// result is stored, eight channels of a pixel per thread. Grid: (tiles, images). Either half can run alone.
template <class T>
DYNOFA_KERNEL front(front_args p) {
  DYNOFA_SHARED(shared);
  constexpr int side = front_tile + 2, pixels = side * side, outputs = front_tile * front_tile;
  const int image = block_y(), channels = p.channels, octets = channels / 8, pitch = front_pitch(channels);
  const int tile_y = block_x() / p.tiles_across * front_tile, tile_x = block_x() % p.tiles_across * front_tile;
  float* patch = reinterpret_cast<float*>(shared); // [21·21][3]: of the image
  float* stem = patch + front_patch;               // [10·10][C]: the tile and one pixel around it
  float* middle = stem + pixels * pitch;           // [8·8][C]
  float* stem_weights = middle + outputs * pitch;
  float* taps = stem_weights + 27 * channels;
  float* project = taps + 9 * channels;

  let_next_start();
  for (int i = thread_index(); i < 27 * channels / 4 && p.with_stem; i += block_threads())
    store_packet(stem_weights + i * 4, load_packet(p.stem + i * 4));
  for (int i = thread_index(); i < 9 * channels / 4 && p.with_separable; i += block_threads())
    store_packet(taps + i * 4, load_packet(p.depthwise + i * 4));
  for (int i = thread_index(); i < channels * channels / 4 && p.with_separable; i += block_threads())
    store_packet(project + i * 4, load_packet(p.project + i * 4));
  wait_for_activations();

  const std::int64_t plane = static_cast<std::int64_t>(image) * p.size * p.size;
  if (p.with_stem) {
    const float* picture = p.image + static_cast<std::int64_t>(image) * p.image_size * p.image_size * 3;
    const int top = (tile_y - 1) * 2 - 1, left = (tile_x - 1) * 2 - 1;
    for (int i = thread_index(); i < front_patch_side * front_patch_side * 3; i += block_threads()) {
      const int y = top + i / (front_patch_side * 3), x3 = left * 3 + i % (front_patch_side * 3);
      const bool inside = y >= 0 && y < p.image_size && x3 >= 0 && x3 < p.image_size * 3;
      patch[i] = inside ? picture[static_cast<std::int64_t>(y) * p.image_size * 3 + x3] : 0.f;
    }
    block_barrier();
  }
  for (int i = thread_index(); i < pixels * octets; i += block_threads()) {
    const int pixel = i % pixels, c = i / pixels * 8;
    const int y = tile_y + pixel / side - 1, x = tile_x + pixel % side - 1;
    octet value; // zeros around the image, where the depthwise convolution pads
    if (y >= 0 && y < p.size && x >= 0 && x < p.size) {
      if (p.with_stem) {
        const float* corner = patch + (pixel / side * 2 * front_patch_side + pixel % side * 2) * 3;
        DYNOFA_UNROLL
        for (int ky = 0; ky < 3; ++ky) DYNOFA_UNROLL
        for (int j = 0; j < 9; ++j) // (column, input)
          value.add_product(corner[ky * front_patch_side * 3 + j],
                            octet::at(stem_weights + (ky * 9 + j) * channels + c));
        value.normalise(p.scale[0] + c, p.shift[0] + c, p.stem_act);
      } else {
        const T* in = static_cast<const T*>(p.in) + (plane + y * p.size + x) * channels + c;
        DYNOFA_UNROLL
        for (int j = 0; j < 8; ++j) value.values[j] = to_float(in[j]);
      }
    }
    store_floats(value.values, stem + pixel * pitch + c);
  }
  block_barrier();

  for (int i = thread_index(); i < outputs * octets && p.with_separable; i += block_threads()) {
    const int pixel = i % outputs, c = i / outputs * 8;
    const float* corner = stem + (pixel / front_tile * side + pixel % front_tile) * pitch + c;
    octet value;
    DYNOFA_UNROLL
    for (int ky = 0; ky < 3; ++ky) DYNOFA_UNROLL
    for (int kx = 0; kx < 3; ++kx)
      value.add_product(octet::at(corner + (ky * side + kx) * pitch), octet::at(taps + (ky * 3 + kx) * channels + c));
    value.normalise(p.scale[1] + c, p.shift[1] + c, p.act);
    store_floats(value.values, middle + pixel * pitch + c);
  }
  block_barrier();

  for (int i = thread_index(); i < outputs * octets; i += block_threads()) {
    const int pixel = i / octets, c = i % octets * 8; // neighbouring threads write neighbouring channels
    const int y = pixel / front_tile, x = pixel % front_tile;
    if (tile_y + y >= p.size || tile_x + x >= p.size) continue;
    const octet before = octet::at(stem + ((y + 1) * side + x + 1) * pitch + c);
    octet value = before;
    if (p.with_separable) {
      value = {};
      for (int k = 0; k < channels; ++k)
        value.add_product(middle[pixel * pitch + k], octet::at(project + k * channels + c));
      value.normalise(p.scale[2] + c, p.shift[2] + c, activation::identity);
      DYNOFA_UNROLL
      for (int j = 0; j < 8; ++j) value.values[j] += before.values[j];
    }
    T* out = static_cast<T*>(p.out) + (plane + (tile_y + y) * p.size + tile_x + x) * channels + c;
    store_floats(value.values, out);
  }
}

} // namespace dynofa::backend::cuda_detail
