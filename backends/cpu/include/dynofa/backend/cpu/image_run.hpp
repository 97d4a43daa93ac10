#pragma once
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/execution.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

// What the blocks of an image have in common.

namespace dynofa::backend::cpu_detail {

/// The pointwise kernel for these types.
inline void pointwise(const kernel_table& k, const pointwise_of<float, float>& g, int panels, int pixels) {
  k.pointwise(g, panels, pixels);
}
inline void pointwise(const kernel_table& k, const pointwise_half_args& g, int panels, int pixels) {
  k.pointwise_half(g, panels, pixels);
}
inline void pointwise(const kernel_table& k, const pointwise_of<bfloat16, float>& g, int panels, int pixels) {
  k.expand_bf16(g, panels, pixels);
}
inline void pointwise(const kernel_table& k, const pointwise_of<bfloat16, bfloat16>& g, int panels, int pixels) {
  k.project_bf16(g, panels, pixels);
}
inline void pointwise(const kernel_table& k, const pointwise_of<float16, float16>& g, int panels, int pixels) {
  k.pointwise_in_half(g, panels, pixels);
}

/// Rows `ys` of windows of block b: in [blocks][in_size²][16] → out [blocks][out_size²][16].
inline void pool_windows(void (*of)(const window_args&), const block& b, int blocks, const float* in, float* out,
                         share ys) {
  for (int c = 0; c < blocks; ++c)
    of({.in = in + static_cast<std::size_t>(c) * floats_of(b.in_size * b.in_size),
        .out =
            out + static_cast<std::size_t>(c) * floats_of(b.out_size * b.out_size) + floats_of(ys.begin * b.out_size),
        .size = b.in_size,
        .out_size = b.out_size,
        .y0 = ys.begin,
        .y1 = ys.end,
        .stride = b.stride});
}

/// What a depthwise convolution reads and a final expansion gives: floats, unless all is computed in half precision.
template <class Value>
using row_value = std::conditional_t<is_float16<Value>, float16, float>;

/// Panels of weights: the first, and values from one to the next.
template <class Weight>
struct weight_panels {
  const Weight* data = nullptr;
  std::size_t step = 0;
  weight_panels from(int panel) const { return {data + static_cast<std::size_t>(panel) * step, step}; }
};

/// Where the blocks of one image run: on which threads, of which level, in which buffers.
class image_run {
public:
  image_run(const execution& e, const bound_level& l, arena& a)
      : execution_{e}
      , kernels_{e.kernels()}
      , level_{l}
      , arena_{a} {}

protected:
  /// Whether weights are of another type than what they multiply.
  template <class Value, class Weight>
  static constexpr bool widens = is_float16<Weight> && !is_float16<Value>;

  static std::size_t at(int i) { return static_cast<std::size_t>(i) * lane_block; }
  static std::size_t area(int size) { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }

  const arena::per_thread& own(int thread) const { return arena_.own[static_cast<std::size_t>(thread)]; }

  /// do_it(panels [0, count) of `stored`). Half precision that multiplies floats is widened to `room` before if the
  /// panels will be read at least three times: widened in the tile it costs 4 to 7 % (9 × 3 sums, Zen 5), more with
  /// fewer pixels.
  template <class Value, class Weight, class DoIt>
  void with_panels(weight_panels<Weight> stored, int count, int k, int times, float* room, DoIt do_it) const {
    if constexpr (widens<Value, Weight>)
      if (times >= 3) {
        for (int c = 0; c < count; ++c)
          kernels_.widen_half(stored.from(c).data, room + static_cast<std::size_t>(c) * floats_of(k), k);
        return do_it(weight_panels<float>{room, floats_of(k)});
      }
    do_it(stored);
  }

  /// Panels `of` of out [C] = weights × in [k] + bias, which may be null. The weights are halves if the level's are,
  /// and bytes if there are `steps`.
  void matvec(const float* in, int k, const void* weights, std::size_t panel, const float* steps, const float* bias,
              float* out, share of, epilogue act) const {
    const bool half = level_.weights->half;
    const std::size_t size = steps ? sizeof(std::int8_t) : half ? sizeof(float16) : sizeof(float);
    const std::size_t start = static_cast<std::size_t>(of.begin) * panel * size;
    (steps  ? kernels_.matvec_bytes
     : half ? kernels_.matvec_half
            : kernels_.matvec)({in, k, static_cast<const std::byte*>(weights) + start, panel,
                                bias ? bias + at(of.begin) : nullptr, out + at(of.begin), of.end - of.begin, act,
                                steps ? steps + at(of.begin) : nullptr});
  }

  const execution& execution_;
  const kernel_table& kernels_;
  const bound_level& level_;
  arena& arena_;
};

} // namespace dynofa::backend::cpu_detail
