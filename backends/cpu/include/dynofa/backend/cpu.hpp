#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/executor.hpp"
#include "dynofa/backend/cpu/packed.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <memory>
#include <span>
#include <string>

namespace dynofa::backend {

namespace cpu_detail {
class execution;
}

/// Sub-networks on the CPU, one image at a time, by hand-written kernels. No compiler flags are needed: the kernels of
/// every instruction set are in the program and the machine's best is taken at construction. Link dynofa::cpu_compiled:
/// your program then compiles in seconds, and a Debug build runs networks at full speed.
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
                                ///< the memory), and on AArch64 with arithmetic of halves everything between stem and
                                ///< pooling is computed in them with half the instructions (logits differ by 0.003 of
                                ///< their standard deviation, and a value beyond 65504 becomes infinity); or
                                ///< "lossless": as "fp16" where each of these weights is a half
                                ///< already, as in families and super-networks that were saved in fp16, else as "fp32":
                                ///< the answers are those of "fp32" to the bit; or "bf16": that, and all 1×1
                                ///< convolutions multiply bf16 weights and activations (relative error of each 2^-8)
                                ///< and add in fp32, half the memory and, with AVX512-BF16, twice the rate; or "int8":
                                ///< a quarter of the memory and about 2.5 times the rate of fp32 with AVX512-VNNI, for
                                ///< levels with activation ranges (calibrate/record_ranges.hpp); weights and
                                ///< activations of inverted residuals are bytes
  executor threads_of = {};     ///< run on these threads instead of a pool of our own
  std::shared_ptr<const cpu_detail::execution> execution = start(isa, threads, threads_of, weights); ///< leave it out

  ///@{
  /// Of the kernels: `bytes()` tells how large one is, and nothing else of it is for callers.
  using packed = cpu_detail::packed_supernet;
  using bound = cpu_detail::bound_level;
  using workspace = cpu_detail::arena;
  ///@}

  /// "cpu avx512, 2 threads", and "not optimised" where the headers alone were compiled at -O0: thirty times as slow.
  std::string name() const;
  std::string isa_name() const;       ///< the one in use
  int thread_count() const;           ///< of `threads_of` where that is given, else `threads`
  std::string format_name() const;    ///< of the number format that `pack(net)` gives: `weights`
  byte_weight_rule byte_rule() const; ///< by which int8 weights are packed
  /// The super-network in panels. Cost: one pass over the weights.
  std::shared_ptr<const packed> pack(const supernet_ptr& net) const;
  /// The same in another number format: "fp32", "fp16", "lossless", "bf16" or "int8".
  std::shared_ptr<const packed> pack(const supernet_ptr& net, const std::string& format) const;
  /// Of the super-network only what these plans read: `bind` throws errc::mismatch for a plan that reads more.
  std::shared_ptr<const packed> pack(const supernet_ptr& net, std::span<const plan> plans) const;
  /// Both: only what these plans read, in this number format.
  std::shared_ptr<const packed> pack(const supernet_ptr& net, std::span<const plan> plans,
                                     const std::string& format) const;
  /// One level: 82–185 KB of scale and shift for w = 1.2, no weights.
  bound bind(const std::shared_ptr<const packed>& weights_of, const plan& p, const scale_shift& norms) const;
  /// Activations for one stream of images, any of the plans.
  workspace make_workspace(std::span<const plan> plans) const;
  /// Whether the plan runs in this workspace without its growing.
  bool fits(const workspace& space, const plan& p) const;

  /// image [N,r,r,3] → logits [N,classes]
  void run(const bound& level, workspace& space, std::span<const float> image, std::span<float> logits) const;

  /// Block b alone: in [N,in,in,C] → out [N,out,out,C'].
  void run_block(const bound& level, workspace& space, std::size_t b, std::span<const float> in,
                 std::span<float> out) const;

  /// Map i of image n of the last run: blocks of 16 channels, [C/16][H·W][16] of float, of bf16 levels of bf16, of
  /// levels computed in half precision of halves.
  feature_map map(const bound& level, const workspace& space, std::size_t i, std::size_t n) const;

  /// Milliseconds per run of block b (one image) on whatever the workspace holds.
  double time_block(const bound& level, workspace& space, std::size_t b, int repeats) const;
  /// Milliseconds per run of the level on a grey image.
  double time_run(const bound& level, workspace& space, int repeats) const;

private:
  static std::shared_ptr<const cpu_detail::execution> start(const std::string& isa, int threads, const executor& given,
                                                            const std::string& weights);
};

} // namespace dynofa::backend

// A program that links dynofa::cpu_compiled has all of this compiled, and optimised in a Debug build as well.
#ifndef DYNOFA_CPU_KERNELS_LINKED
#include "dynofa/backend/cpu/cpu.inl"
#endif
