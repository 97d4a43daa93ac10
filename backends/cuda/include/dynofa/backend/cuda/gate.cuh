#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

/// The gates of squeeze-excite from the shares of the hidden layer that `expand_depthwise` left. Grid: (chunks of 32
/// mid channels, images). Every thread block sums the shares anew: a few ten KB from L2, less than one more launch.
template <class T>
DYNOFA_KERNEL gate(gate_args p) {
  DYNOFA_SHARED(shared);
  const gate_room room{precision_of<T>, p.hidden};
  float* hidden = reinterpret_cast<float*>(shared);                 // [hidden]
  float* sums = hidden + p.hidden;                                  // [groups][hidden]
  T* weights = reinterpret_cast<T*>(sums + room.groups * p.hidden); // [32][pitch]
  let_next_start();
  const int packets = p.hidden / packet_values<T>, first_channel = block_x() * channel_chunk;
  const small_division by_packets(packets);
  copy_packets(
      channel_chunk * packets,
      [&](int i) -> const void* {
        const int c = by_packets(i), at = (i - c * packets) * packet_values<T>;
        return first_channel + c < p.mid_channels
                   ? static_cast<const T*>(p.se_expand) + (first_channel + c) * p.pitch + at
                   : nullptr;
      },
      [&](int i) -> void* {
        const int c = by_packets(i);
        return weights + c * room.pitch + (i - c * packets) * packet_values<T>;
      });
  wait_for_activations();

  // Groups of threads take every `groups`-th share, four hidden values each, and add up in a fixed order.
  const int quads = p.hidden / 4;
  const float* shares = p.partials + static_cast<std::int64_t>(block_y()) * p.parts * p.hidden;
  for (int i = thread_index(); i < room.groups * quads; i += gate_room::threads) {
    const int group = i / quads, at = i % quads * 4;
    float total[4] = {};
    DYNOFA_UNROLL_8
    for (int part = group; part < p.parts; part += room.groups) {
      const packet_view<float> share{load_packet(shares + static_cast<std::int64_t>(part) * p.hidden + at)};
      DYNOFA_UNROLL
      for (int j = 0; j < 4; ++j) total[j] += share.values[j];
    }
    DYNOFA_UNROLL
    for (int j = 0; j < 4; ++j) sums[group * p.hidden + at + j] = total[j];
  }
  block_barrier();
  for (int h = thread_index(); h < p.hidden; h += gate_room::threads) {
    float total = p.reduce_bias[h];
    for (int group = 0; group < room.groups; ++group) total += sums[group * p.hidden + h];
    hidden[h] = activate(activation::relu, total);
  }
  block_barrier();

  constexpr int lanes = gate_room::threads / channel_chunk; // that share a channel
  const int row = thread_index() / lanes, c = first_channel + row;
  float total = 0.f;
  if (c < p.mid_channels)
    for (int i = thread_index() % lanes; i < packets; i += lanes) {
      const packet_view<T> w{load_packet(weights + row * room.pitch + i * packet_values<T>)};
      DYNOFA_UNROLL
      for (int j = 0; j < packet_values<T>; ++j) total += to_float(w.values[j]) * hidden[i * packet_values<T> + j];
    }
  total = sum_over_lanes<lanes>(total);
  if (thread_index() % lanes == 0 && c < p.mid_channels)
    from_float(h_sigmoid(total + p.expand_bias[c]),
               static_cast<T*>(p.gates)[static_cast<std::int64_t>(block_y()) * p.mid_channels + c]);
}

} // namespace dynofa::backend::cuda_detail
