#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/backend/cpu/blocks.hpp"
#include "dynofa/backend/cpu/engine.hpp"
#include "dynofa/backend/cpu/head.hpp"
#include "dynofa/backend/cpu/level.hpp"
#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/backend/cpu/thread_pool.hpp"
#include "dynofa/backend/cpu/workspace.hpp"
#include "dynofa/backend/host_clock.hpp"
#include "dynofa/core/half.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dynofa::backend {

/// Sub-networks on the CPU, one image at a time, by hand-written kernels. No compiler flags are needed: the kernels of
/// every instruction set are in the program and the machine's best is taken at construction.
///
///     backend::cpu plain;                                  // best instruction set, one thread, no pool
///     backend::cpu forced{.isa = "avx2", .threads = 2};    // throws dynofa::error if this machine cannot
///
/// Copies share the threads. With one thread any number of user threads may run, each with a workspace of its own; with
/// more they take turns, one image after the other. Answers repeat bit for bit with the same number of threads; with
/// another they agree but for rounding. The fields say what was asked for and are not read again.
///
/// A level has the number format of the weights it is bound to. Levels of several formats run on one backend and one
/// workspace, each bound to its own packed copy:
///
///     const auto exact = b.pack(net), half = b.pack(net, "bf16");
///     auto careful = b.bind(exact, plan, norms), brisk = b.bind(half, plan, norms);
struct cpu {
  std::string isa = "";         ///< "avx512", "avx2", "neon", "portable", or "" for the best one here
  int threads = 1;              ///< the caller's included
  std::string weights = "fp32"; ///< of `pack`; or "fp16": all but stem and depthwise kernels are stored in half
                                ///< precision and widened when read (relative error of a weight 2^-11; about half
                                ///< the memory); or "lossless": as "fp16" where each of these weights is a half
                                ///< already, as in families and super-networks that were saved in fp16, else as "fp32":
                                ///< the answers are those of "fp32" to the bit; or "bf16": that, and all 1×1
                                ///< convolutions multiply bf16 weights and activations (relative error of each 2^-8)
                                ///< and add in fp32, half the memory and, with AVX512-BF16, twice the rate
  executor threads_of = {};     ///< run on these threads instead of a pool of our own
  std::shared_ptr<const cpu_detail::engine> engine = start(isa, threads, threads_of, weights); ///< leave it out

  using packed = cpu_detail::packed_supernet;
  using bound = cpu_detail::level;
  using workspace = cpu_detail::arena;

  /// "cpu avx512, 2 threads"
  std::string name() const {
    return text("cpu ", engine->isa_name(), format_suffix(engine->format()), ", ", engine->threads(),
                engine->threads() == 1 ? " thread" : " threads");
  }
  std::string isa_name() const { return std::string(engine->isa_name()); } ///< the one in use
  int thread_count() const { return engine->threads(); }
  /// The super-network in panels. Cost: one pass over the weights.
  std::shared_ptr<const packed> pack(const supernet_ptr& net) const {
    return std::make_shared<const packed>(*net, engine->format());
  }
  /// The same in another number format: "fp32", "fp16", "lossless" or "bf16".
  std::shared_ptr<const packed> pack(const supernet_ptr& net, const std::string& format) const {
    return std::make_shared<const packed>(*net, number_format_of(format));
  }
  /// Of the super-network only what these plans read: `bind` throws errc::mismatch for a plan that reads more.
  std::shared_ptr<const packed> pack(const supernet_ptr& net, std::span<const plan> plans) const {
    return std::make_shared<const packed>(*net, engine->format(), supernet_part::of(*net, plans));
  }
  /// One level: 82–185 KB of scale and shift for w = 1.2, no weights.
  bound bind(const std::shared_ptr<const packed>& weights_of, const plan& p, const scale_shift& norms) const {
    return bound{weights_of, p, norms, engine->cache_sizes()};
  }
  /// Activations for one stream of images, any of the plans.
  workspace make_workspace(std::span<const plan> plans) const {
    return workspace{plans, engine->threads(), engine->cache_sizes()};
  }
  bool fits(const workspace& space, const plan& p) const {
    cpu_detail::arena_sizes wanted = space.sizes;
    wanted.cover(p, engine->cache_sizes());
    return wanted == space.sizes;
  }

  /// image [N,r,r,3] → logits [N,classes]
  void run(const bound& level, workspace& space, std::span<const float> image, std::span<float> logits) const {
    const auto turn = engine->turn();
    with_runner(level, space, [&](const auto& runner) { run_by(runner, level, space, image, logits); });
  }

  /// Block b alone: in [N,in,in,C] → out [N,out,out,C'].
  void run_block(const bound& level, workspace& space, std::size_t b, std::span<const float> in,
                 std::span<float> out) const {
    const auto turn = engine->turn();
    with_runner(level, space, [&](const auto& runner) { run_block_by(runner, level, space, b, in, out); });
  }

  /// Milliseconds per run of block b (one image) on whatever the workspace holds.
  double time_block(const bound& level, workspace& space, std::size_t b, int repeats) const {
    const auto turn = engine->turn();
    double ms = 0;
    with_runner(level, space, [&](const auto& runner) {
      ms = milliseconds_per_run(repeats, [&] { runner.run(level.steps[b], space.image[0], space.image[1]); });
    });
    return ms;
  }
  /// Milliseconds per run of the level on a grey image.
  double time_run(const bound& level, workspace& space, int repeats) const {
    const std::vector<float> image(level.plan.image_values(), 0.5f);
    std::vector<float> logits(level.plan.logit_values());
    return milliseconds_per_run(repeats, [&] { run(level, space, image, logits); });
  }

private:
  /// do_it(runner of the level's number format)
  template <class DoIt>
  void with_runner(const bound& level, workspace& space, DoIt&& do_it) const {
    using namespace cpu_detail;
    switch (level.weights->format) {
    case number_format::bf16: return do_it(block_runner<bfloat16>{*engine, level, space});
    case number_format::fp16: return do_it(block_runner<float, float16>{*engine, level, space});
    default: return do_it(block_runner<float>{*engine, level, space});
    }
  }

  template <class Runner>
  void run_by(const Runner& runner, const bound& level, workspace& space, std::span<const float> image,
              std::span<float> logits) const {
    const cpu_detail::batched_head head{*engine, level, space};
    const bool together = head.serves();
    const std::size_t alone = level.steps.size() - (together ? head.steps : 0); // steps that each image runs
    const std::size_t pixels = image.size() / static_cast<std::size_t>(level.plan.batch);
    const std::size_t classes = logits.size() / static_cast<std::size_t>(level.plan.batch);
    for (std::size_t n = 0; n < static_cast<std::size_t>(level.plan.batch); ++n) {
      const float* in = image.data() + n * pixels;
      int to = 0;
      std::size_t first = 0;
      if (level.fused_front) {
        runner.run_front(level.steps[0], level.steps[1], level.steps[2], in, space.image[to]);
        in = space.image[to];
        to ^= 1;
        first = 3;
      }
      for (std::size_t i = first; i < alone; ++i) {
        runner.run(level.steps[i], in, space.image[to]);
        in = space.image[to];
        to ^= 1;
      }
      if (together)
        head.keep(n, in);
      else
        std::copy_n(in, classes, logits.data() + n * classes);
    }
    if (together) head.run(logits);
  }

  template <class Runner>
  void run_block_by(const Runner& runner, const bound& level, workspace& space, std::size_t b,
                    std::span<const float> in, std::span<float> out) const {
    using value = typename Runner::value;
    const cpu_detail::step& s = level.steps[b];
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

  static std::shared_ptr<const cpu_detail::engine> start(const std::string& isa, int threads, const executor& brought,
                                                         const std::string& weights) {
    return std::make_shared<const cpu_detail::engine>(isa, threads, brought, number_format_of(weights));
  }
  static cpu_detail::number_format number_format_of(const std::string& name) {
    if (name == "fp32") return cpu_detail::number_format::fp32;
    if (name == "fp16") return cpu_detail::number_format::fp16;
    if (name == "lossless") return cpu_detail::number_format::lossless;
    if (name == "bf16") return cpu_detail::number_format::bf16;
    throw error(errc::invalid_argument, "cpu backend weights", "fp32, fp16, lossless or bf16", name);
  }
  static const char* format_suffix(cpu_detail::number_format f) {
    switch (f) {
    case cpu_detail::number_format::fp16: return " fp16 weights";
    case cpu_detail::number_format::lossless: return " lossless weights";
    case cpu_detail::number_format::bf16: return " bf16";
    default: return "";
    }
  }

  static void assign(float& to, float value) { to = value; }
  static void assign(cpu_detail::bfloat16& to, float value) { to = cpu_detail::bfloat16{float_to_bfloat16(value)}; }
  static float widened(float value) { return value; }
  static float widened(cpu_detail::bfloat16 value) { return bfloat16_to_float(static_cast<std::uint16_t>(value)); }

  template <class Value>
  static void to_blocked(const float* in, std::size_t pixels, std::size_t channels, Value* out) {
    constexpr std::size_t width = cpu_detail::lane_block;
    for (std::size_t c = 0; c < (channels + width - 1) / width * width; ++c)
      for (std::size_t p = 0; p < pixels; ++p)
        assign(out[(c / width * pixels + p) * width + c % width], c < channels ? in[p * channels + c] : 0.f);
  }
  template <class Value>
  static void to_interleaved(const Value* in, std::size_t pixels, std::size_t channels, float* out) {
    constexpr std::size_t width = cpu_detail::lane_block;
    for (std::size_t p = 0; p < pixels; ++p)
      for (std::size_t c = 0; c < channels; ++c)
        out[p * channels + c] = widened(in[(c / width * pixels + p) * width + c % width]);
  }
};

} // namespace dynofa::backend
