#pragma once
#include "dynofa/backend/cpu/bottleneck.hpp"
#include "dynofa/backend/cpu/byte_residual.hpp"
#include "dynofa/backend/cpu/front.hpp"
#include "dynofa/backend/cpu/head.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/inverted_residual.hpp"

#include <cstddef>
#include <type_traits>

namespace dynofa::backend::cpu_detail {

/// Runs blocks of one image. Value: of the 1×1 convolutions' inputs and outputs, blocked by 16 channels; Weight: of
/// their weights.
template <class Value, class Weight = Value>
class block_runner : image_run {
public:
  using value = Value;
  using image_run::image_run;

  /// `in`: interleaved float pixels for the stem, float vectors for feature mix and classifier, else blocked Values.
  /// `out`: float vectors from final expand on, else blocked Values.
  void run(const step& s, const void* in, void* out) const {
    if constexpr (std::is_same_v<Value, float>)
      if (s.bytes) {
        const byte_residual in_bytes{*this};
        return s.b.kind == block_kind::final_expand ? in_bytes.final_expand(s, floats(in), floats(out))
                                                    : in_bytes.run(s, floats(in), floats(out));
      }
    switch (s.b.kind) {
    case block_kind::stem: return stem(s, floats(in), values(out));
    case block_kind::separable:
    case block_kind::inverted_residual: return inverted_residual<Value, Weight>{*this}.run(s, values(in), values(out));
    case block_kind::convolution:
    case block_kind::bottleneck:
      if constexpr (std::is_same_v<Value, float>) bottleneck<Weight>{*this}.run(s, floats(in), floats(out));
      return;
    case block_kind::max_pool:
      if constexpr (std::is_same_v<Value, float>) bottleneck<Weight>{*this}.max_pool(s, floats(in), floats(out));
      return;
    case block_kind::final_expand: return head().final_expand(s, values(in), floats(out));
    case block_kind::average_pool: return head().average_pool(s, values(in), floats(out));
    case block_kind::feature_mix:
    case block_kind::classifier: return head().product(s, floats(in), floats(out));
    }
  }
  static bool takes_values(block_kind k) {
    return gives_values(k) ? k != block_kind::stem : k == block_kind::final_expand || k == block_kind::average_pool;
  }
  static bool gives_values(block_kind k) {
    return k <= block_kind::bottleneck; // what follows gives vectors
  }

  /// Whether the first three blocks may run as one. In half precision they do not: their kernels know rows of floats.
  static constexpr bool joins_front = !is_float16<Value>;
  /// The first three blocks as one, image → output of the third.
  void run_front(const step& stem, const step& separable, const step& third, const float* image, void* out) const {
    if constexpr (std::is_same_v<Value, float>)
      if (third.bytes) return byte_residual{*this}.run_front(stem, separable, third, image, floats(out));
    inverted_residual<Value, Weight>{*this}.run_front(stem, separable, third, image, values(out));
  }

private:
  static const Value* values(const void* p) { return static_cast<const Value*>(p); }
  static Value* values(void* p) { return static_cast<Value*>(p); }
  static const float* floats(const void* p) { return static_cast<const float*>(p); }
  static float* floats(void* p) { return static_cast<float*>(p); }

  void narrow(const float* in, bfloat16* out, int blocks) const { kernels_.narrow(in, out, blocks); }
  void narrow(const float* in, float16* out, int blocks) const { kernels_.narrow_to_half(in, out, blocks); }

  image_head<Value, Weight> head() const { return image_head<Value, Weight>{*this}; }

  void stem(const step& s, const float* in, Value* out) const {
    execution_.parallel([&](int thread) {
      const share ys = share::of(s.b.out_size, thread, execution_.threads());
      float* const ring = own(thread).ring;
      stem_rows rows{kernels_, s, in, ring, ys.begin};
      const std::size_t plane = area(s.b.out_size) * lane_block, row_floats = at(s.b.out_size);
      float* const row = ring + 3 * arena_sizes::stem_row(s.b.in_size);
      for (int y = ys.begin; y < ys.end; ++y) {
        Value* const to = out + at(y * s.b.out_size);
        if constexpr (std::is_same_v<Value, float>) {
          rows.compute(y, to, plane);
        } else {
          rows.compute(y, row, row_floats);
          for (int c = 0; c < s.out_blocks; ++c)
            narrow(row + static_cast<std::size_t>(c) * row_floats, to + static_cast<std::size_t>(c) * plane,
                   s.b.out_size);
        }
      }
    });
  }
};

} // namespace dynofa::backend::cpu_detail
