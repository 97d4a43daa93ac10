// The definitions of cpu.hpp: in each program that includes it, or once in dynofa::cpu_compiled (cpu.cpp).
#include "dynofa/backend/cpu/blocks.hpp"
#include "dynofa/backend/cpu/execution.hpp"
#include "dynofa/backend/cpu/head.hpp"
#include "dynofa/backend/host_clock.hpp"
#include "dynofa/core/half.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

namespace dynofa::backend {

namespace cpu_detail {

// Between [pixels][channels] of floats, as images are, and the kernels' blocks of 16 channels.
inline void assign(float& to, float value) { to = value; }
inline void assign(bfloat16& to, float value) { to = bfloat16{float_to_bfloat16(value)}; }
inline void assign(float16& to, float value) { to = float16{float_to_half(value)}; }
inline float widened(float value) { return value; }
inline float widened(bfloat16 value) { return bfloat16_to_float(static_cast<std::uint16_t>(value)); }
inline float widened(float16 value) { return half_to_float(static_cast<std::uint16_t>(value)); }

template <class Value>
void to_blocked(const float* in, std::size_t pixels, std::size_t channels, Value* out) {
  constexpr std::size_t width = lane_block;
  for (std::size_t c = 0; c < (channels + width - 1) / width * width; ++c)
    for (std::size_t p = 0; p < pixels; ++p)
      assign(out[(c / width * pixels + p) * width + c % width], c < channels ? in[p * channels + c] : 0.f);
}
template <class Value>
void to_interleaved(const Value* in, std::size_t pixels, std::size_t channels, float* out) {
  constexpr std::size_t width = lane_block;
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c)
      out[p * channels + c] = widened(in[(c / width * pixels + p) * width + c % width]);
}

/// Throws errc::mismatch for weights whose pairs of products overflow on these kernels.
inline void check_byte_rule(const execution& execution, const packed_supernet& weights) {
  if (weights.format == number_format::int8 && execution.kernels().adds_pairs &&
      weights.byte_rule != byte_weight_rule::pairs)
    throw error(errc::mismatch, "cpu backend, int8", text("weights packed by a backend of ", execution.isa_name()),
                "those of an instruction set with other dot products");
}

/// Whether a level is computed in half precision, and not only its weights stored so.
inline bool in_half(const execution& execution, const bound_level& level) {
  return level.fits_half && execution.kernels().computes_in_half();
}

/// do_it(runner of the level's number format)
template <class DoIt>
void with_runner(const execution& execution, const bound_level& level, arena& space, DoIt&& do_it) {
  check_byte_rule(execution, *level.weights);
  switch (level.weights->format) {
  case number_format::bf16: return do_it(block_runner<bfloat16>{execution, level, space});
  case number_format::fp16:
    if (in_half(execution, level)) return do_it(block_runner<float16>{execution, level, space});
    return do_it(block_runner<float, float16>{execution, level, space});
  default: return do_it(block_runner<float>{execution, level, space});
  }
}

template <class Runner>
void run_by(const execution& execution, const Runner& runner, const bound_level& level, arena& space,
            std::span<const float> image, std::span<float> logits) {
  const batched_head head{execution, level, space};
  const bool together = head.serves();
  const std::size_t alone = level.steps.size() - (together ? head.steps() : 0); // steps that each image runs
  const std::size_t pixels = image.size() / static_cast<std::size_t>(level.plan.batch);
  const std::size_t classes = logits.size() / static_cast<std::size_t>(level.plan.batch);
  for (std::size_t n = 0; n < static_cast<std::size_t>(level.plan.batch); ++n) {
    const float* in = image.data() + n * pixels;
    float* const maps = space.maps + n * level.map_floats;
    int turn = 0;
    const auto place_of = [&](const step& s) { return s.b.output > 0 ? maps + s.map : space.image[turn ^= 1]; };
    std::size_t first = 0;
    if constexpr (Runner::joins_front)
      if (level.fused_front) {
        float* const out = place_of(level.steps[2]);
        runner.run_front(level.steps[0], level.steps[1], level.steps[2], in, out);
        in = out;
        first = 3;
      }
    for (std::size_t i = first; i < alone; ++i) {
      float* const out = place_of(level.steps[i]);
      runner.run(level.steps[i], in, out);
      in = out;
    }
    if (together)
      head.keep(n, in);
    else
      std::copy_n(in, classes, logits.data() + n * classes);
  }
  if (together) head.run(logits);
}

template <class Runner>
void run_block_by(const Runner& runner, const bound_level& level, arena& space, std::size_t b,
                  std::span<const float> in, std::span<float> out) {
  using value = typename Runner::value;
  const step& s = level.steps[b];
  const auto in_pixels = static_cast<std::size_t>(s.b.in_size) * static_cast<std::size_t>(s.b.in_size);
  const auto out_pixels = static_cast<std::size_t>(s.b.out_size) * static_cast<std::size_t>(s.b.out_size);
  const auto in_channels = static_cast<std::size_t>(s.b.in_channels);
  const auto out_channels = static_cast<std::size_t>(s.b.out_channels);
  const auto batch = static_cast<std::size_t>(level.plan.batch);
  for (std::size_t n = 0; n < batch; ++n) {
    const float* image = in.data() + n * (in.size() / batch);
    if (Runner::takes_values(s.b.kind))
      to_blocked(image, in_pixels, in_channels, reinterpret_cast<value*>(space.image[0]));
    else if (s.b.kind != block_kind::stem)
      to_blocked(image, in_pixels, in_channels, space.image[0]);
    runner.run(s, s.b.kind == block_kind::stem ? image : space.image[0], space.image[1]);
    float* const to = out.data() + n * (out.size() / batch);
    if (Runner::gives_values(s.b.kind))
      to_interleaved(reinterpret_cast<const value*>(space.image[1]), out_pixels, out_channels, to);
    else
      to_interleaved(space.image[1], out_pixels, out_channels, to);
  }
}

/// In the order of the enumeration.
inline constexpr const char* format_names[] = {"fp32", "fp16", "lossless", "bf16", "int8"};
inline number_format number_format_of(const std::string& name) {
  const auto* const found = std::find(std::begin(format_names), std::end(format_names), name);
  if (found == std::end(format_names))
    throw error(errc::invalid_argument, "cpu backend weights", "fp32, fp16, lossless, bf16 or int8", name);
  return static_cast<number_format>(found - std::begin(format_names));
}
inline const char* format_suffix(number_format f, bool computes_in_half) {
  constexpr const char* suffixes[] = {"", " fp16 weights", " lossless weights", " bf16", " int8"};
  return f == number_format::fp16 && computes_in_half ? " fp16" : suffixes[static_cast<int>(f)];
}

} // namespace cpu_detail

DYNOFA_CPU_KERNELS_HERE std::string cpu::name() const {
#ifdef __OPTIMIZE__
  constexpr const char* built = "";
#else
  constexpr const char* built = ", not optimised";
#endif
  return text("cpu ", execution->isa_name(),
              cpu_detail::format_suffix(execution->format(), execution->kernels().computes_in_half()), ", ",
              execution->threads(), execution->threads() == 1 ? " thread" : " threads", built);
}
DYNOFA_CPU_KERNELS_HERE int cpu::thread_count() const { return execution->threads(); }
DYNOFA_CPU_KERNELS_HERE std::string cpu::format_name() const {
  return cpu_detail::format_names[static_cast<int>(execution->format())];
}
DYNOFA_CPU_KERNELS_HERE byte_weight_rule cpu::byte_rule() const {
  return execution->kernels().adds_pairs ? byte_weight_rule::pairs : byte_weight_rule::full;
}
DYNOFA_CPU_KERNELS_HERE std::string cpu::isa_name() const { return std::string(execution->isa_name()); }
DYNOFA_CPU_KERNELS_HERE std::shared_ptr<const cpu::packed> cpu::pack(const supernet_ptr& net) const {
  return std::make_shared<const packed>(*net, execution->format(), byte_rule());
}
DYNOFA_CPU_KERNELS_HERE std::shared_ptr<const cpu::packed> cpu::pack(const supernet_ptr& net,
                                                                     const std::string& format) const {
  return std::make_shared<const packed>(*net, cpu_detail::number_format_of(format), byte_rule());
}
DYNOFA_CPU_KERNELS_HERE std::shared_ptr<const cpu::packed> cpu::pack(const supernet_ptr& net,
                                                                     std::span<const plan> plans) const {
  return std::make_shared<const packed>(*net, execution->format(), supernet_part::of(*net, plans), byte_rule());
}
DYNOFA_CPU_KERNELS_HERE std::shared_ptr<const cpu::packed>
cpu::pack(const supernet_ptr& net, std::span<const plan> plans, const std::string& format) const {
  return std::make_shared<const packed>(*net, cpu_detail::number_format_of(format), supernet_part::of(*net, plans),
                                        byte_rule());
}
DYNOFA_CPU_KERNELS_HERE cpu::bound cpu::bind(const std::shared_ptr<const packed>& weights_of, const plan& p,
                                             const scale_shift& norms) const {
  cpu_detail::check_byte_rule(*execution, *weights_of);
  return bound{weights_of, p, norms, execution->cache_sizes()};
}
DYNOFA_CPU_KERNELS_HERE cpu::workspace cpu::make_workspace(std::span<const plan> plans) const {
  return workspace{plans, execution->threads(), execution->cache_sizes()};
}
DYNOFA_CPU_KERNELS_HERE bool cpu::fits(const workspace& space, const plan& p) const {
  cpu_detail::arena_sizes wanted = space.sizes;
  wanted.cover(p, execution->cache_sizes());
  return wanted == space.sizes;
}
DYNOFA_CPU_KERNELS_HERE void cpu::run(const bound& level, workspace& space, std::span<const float> image,
                                      std::span<float> logits) const {
  const auto turn = execution->turn();
  cpu_detail::with_runner(*execution, level, space, [&](const auto& runner) {
    cpu_detail::run_by(*execution, runner, level, space, image, logits);
  });
}
DYNOFA_CPU_KERNELS_HERE void cpu::run_block(const bound& level, workspace& space, std::size_t b,
                                            std::span<const float> in, std::span<float> out) const {
  const auto turn = execution->turn();
  cpu_detail::with_runner(*execution, level, space,
                          [&](const auto& runner) { cpu_detail::run_block_by(runner, level, space, b, in, out); });
}
DYNOFA_CPU_KERNELS_HERE feature_map cpu::map(const bound& level, const workspace& space, std::size_t i,
                                             std::size_t n) const {
  const cpu_detail::step& s = level.steps[level.plan.block_of_map(i)];
  using element = feature_map::element;
  return {.data = space.maps + n * level.map_floats + s.map,
          .type = level.weights->format == cpu_detail::number_format::bf16 ? element::bf16
                  : cpu_detail::in_half(*execution, level)                 ? element::f16
                                                                           : element::f32,
          .size = s.b.out_size,
          .channels = s.b.out_channels,
          .group = cpu_detail::lane_block,
          .pixel = cpu_detail::lane_block,
          .plane = cpu_detail::floats_of(s.b.out_size * s.b.out_size)};
}
DYNOFA_CPU_KERNELS_HERE double cpu::time_block(const bound& level, workspace& space, std::size_t b, int repeats) const {
  const auto turn = execution->turn();
  double ms = 0;
  cpu_detail::with_runner(*execution, level, space, [&](const auto& runner) {
    ms = milliseconds_per_run(repeats, [&] { runner.run(level.steps[b], space.image[0], space.image[1]); });
  });
  return ms;
}
DYNOFA_CPU_KERNELS_HERE double cpu::time_run(const bound& level, workspace& space, int repeats) const {
  const std::vector<float> image(level.plan.image_values(), 0.5f);
  std::vector<float> logits(level.plan.logit_values());
  return milliseconds_per_run(repeats, [&] { run(level, space, image, logits); });
}
DYNOFA_CPU_KERNELS_HERE std::shared_ptr<const cpu_detail::execution>
cpu::start(const std::string& isa, int threads, const executor& given, const std::string& weights) {
  return std::make_shared<const cpu_detail::execution>(isa, threads, given, cpu_detail::number_format_of(weights));
}

} // namespace dynofa::backend
