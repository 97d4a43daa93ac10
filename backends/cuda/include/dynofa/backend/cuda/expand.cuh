#pragma once
#include "dynofa/backend/cuda/warp_tile.cuh"

namespace dynofa::backend::cuda_detail {

/// The 1×1 expansion inside a thread block: 32 output channels of any number of pixels, 32 pixels per warp at a time.
/// The weights of the channels stay in shared memory; pixels pass through a strip of the warp's own, the next slice of
/// them waiting in registers while one is multiplied.
template <class T>
class expansion {
  static constexpr int slice = slice_of(precision_of<T>);

public:
  DYNOFA_DEVICE expansion(unsigned char* shared, const void* weights, int pitch, int first_channel, int channels, int k)
      : k_{k}
      , weight_pitch_{operand_pitch(precision_of<T>, padded_depth(precision_of<T>, k))}
      , weights_{reinterpret_cast<T*>(shared)}
      , strip_{weights_ + channel_chunk * weight_pitch_ +
               thread_index() / 32 * 32 * operand_pitch(precision_of<T>, slice)} {
    const int packets = padded_depth(precision_of<T>, k) / packet_values<T>;
    const small_division by_packets(packets);
    copy_packets(
        channel_chunk * packets,
        [&](int i) -> const void* {
          const int c = by_packets(i), at = (i - c * packets) * packet_values<T>;
          const bool inside = first_channel + c < channels && at < k;
          return inside ? static_cast<const T*>(weights) + (first_channel + c) * pitch + at : nullptr;
        },
        [&](int i) -> void* {
          const int c = by_packets(i);
          return weights_ + c * weight_pitch_ + (i - c * packets) * packet_values<T>;
        });
  }

  /// `pixel(i)`: where pixel i of the warp's 32 lies, or null. The caller has passed a barrier since construction.
  template <class Pixel>
  DYNOFA_DEVICE warp_tile<T> of(Pixel pixel) const {
    constexpr int strip_pitch = operand_pitch(precision_of<T>, slice), packets = slice / packet_values<T>;
    constexpr int rows_at_once = 32 / packets;
    warp_tile<T> tile;
    const int lane = thread_index() % 32, at = lane % packets * packet_values<T>;
    const T* from[packets];
    packet next[packets];
    DYNOFA_UNROLL
    for (int i = 0; i < packets; ++i) from[i] = pixel(i * rows_at_once + lane / packets);
    auto fetch = [&](int k) {
      DYNOFA_UNROLL
      for (int i = 0; i < packets; ++i)
        next[i] = from[i] != nullptr && k < k_ ? load_packet(from[i] + k) : zero_packet();
    };
    fetch(at);
    for (int k0 = 0; k0 < k_; k0 += slice) {
      DYNOFA_UNROLL
      for (int i = 0; i < packets; ++i)
        store_packet(strip_ + (i * rows_at_once + lane / packets) * strip_pitch + at, next[i]);
      warp_barrier();
      if (k0 + slice < k_) fetch(k0 + slice + at);
      tile.multiply(strip_, strip_pitch, weights_ + k0, weight_pitch_, slice);
      warp_barrier();
    }
    return tile;
  }

private:
  int k_, weight_pitch_;
  T* weights_;
  T* strip_;
};

} // namespace dynofa::backend::cuda_detail
