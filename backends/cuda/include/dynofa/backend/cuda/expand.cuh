#pragma once
#include "dynofa/backend/cuda/warp_tile.cuh"

namespace dynofa::backend::cuda_detail {

/// The 1×1 expansion inside a thread block: 32 output channels of any number of pixels, 32 pixels per warp at a time.
/// The weights of the channels stay in shared memory; pixels pass through a strip of the warp's own.
template <class T>
class expansion {
public:
  DYNOFA_DEVICE expansion(unsigned char* shared, const void* weights, int pitch, int first_channel, int channels, int k)
      : k_{k}
      , weight_pitch_{operand_pitch(precision_of<T>, padded_depth(k))}
      , weights_{reinterpret_cast<T*>(shared)}
      , strip_{weights_ + channel_chunk * weight_pitch_ +
               thread_index() / 32 * 32 * operand_pitch(precision_of<T>, slice)} {
    const int packets = padded_depth(k) / packet_values<T>;
    for (int i = thread_index(); i < channel_chunk * packets; i += threads_per_block) {
      const int c = i / packets, at = i % packets * packet_values<T>;
      const bool inside = first_channel + c < channels && at < k;
      store_packet(weights_ + c * weight_pitch_ + at,
                   inside ? load_packet(static_cast<const T*>(weights) + (first_channel + c) * pitch + at)
                          : zero_packet());
    }
  }

  /// `pixel(i)`: where pixel i of the warp's 32 lies, or null. The caller has passed a barrier since construction.
  template <class Pixel>
  DYNOFA_DEVICE warp_tile<T> of(Pixel pixel) const {
    constexpr int strip_pitch = operand_pitch(precision_of<T>, slice), packets = slice / packet_values<T>;
    warp_tile<T> tile;
    const int lane = thread_index() % 32;
    for (int k0 = 0; k0 < k_; k0 += slice) {
      DYNOFA_UNROLL
      for (int i = 0; i < packets; ++i) {
        const int row = (i * 32 + lane) / packets, at = (i * 32 + lane) % packets * packet_values<T>;
        const T* from = pixel(row);
        store_packet(strip_ + row * strip_pitch + at,
                     from != nullptr && k0 + at < k_ ? load_packet(from + k0 + at) : zero_packet());
      }
      warp_barrier();
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
