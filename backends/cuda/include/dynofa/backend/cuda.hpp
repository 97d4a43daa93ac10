#pragma once
#include "dynofa/backend/concept.hpp"
#include "dynofa/backend/cuda/device.hpp"
#include "dynofa/backend/cuda/schedule.hpp"
#include "dynofa/backend/cuda/traffic.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynofa::backend {

namespace cuda_detail {

/// The super-network in device memory, shared by all levels.
struct packed_supernet {
  packed_layout layout; ///< without the bytes, which have gone to the device
  int device = 0;
  std::shared_ptr<void> memory;
  std::size_t size = 0;
  std::uint64_t fingerprint = 0; ///< of the super-network
  std::size_t bytes() const { return size; }
  std::uint64_t source() const { return fingerprint; }
};

/// Activations of one stream of images: one arena for all levels, and pinned memory of the host for images and logits.
/// Copies to and from the arena go through it; where CPU and GPU share their memory, the kernels reach it themselves.
struct workspace {
  arena_layout layout;
  std::shared_ptr<void> arena = nullptr, image = nullptr, logits = nullptr;
  std::byte *image_on_device = nullptr, *logits_on_device = nullptr;
  bool copies = true;
  std::size_t bytes() const { return layout.bytes; }
};

/// One level: its scales and shifts on the device, and its launches as a CUDA graph. It owns no weights.
struct level {
  dynofa::plan plan;
  std::shared_ptr<const packed_supernet> weights;
  std::shared_ptr<void> norms;
  std::shared_ptr<void> graph;     ///< captured for the arena below
  std::weak_ptr<void> graph_arena; ///< whoever runs the level has a workspace that keeps it alive
  bool captured_for(const std::shared_ptr<void>& arena) const {
    return graph && !graph_arena.owner_before(arena) && !arena.owner_before(graph_arena);
  }
  std::size_t bytes() const { return 8 * static_cast<std::size_t>(plan.norm_values()) + sizeof(*this); }
};

} // namespace cuda_detail

/// Sub-networks on an NVIDIA GPU (compute capability 7.0 and newer), batches of any size. Link `dynofa::cuda`, the one
/// translation unit that nvcc compiles; this header needs no CUDA.
///
///     backend::cuda gpu;                             // device 0, fp16 values with fp32 sums
///     backend::cuda exact{.precision = "fp32"};      // throws dynofa::error where there is no device
///
/// Weights, fp16 or fp32, lie on the device once. A level is its scales and shifts and a CUDA graph, captured when it
/// first meets a workspace (`prepare`, or its first run): a switch chooses another graph. Copies share one stream;
/// calls from several threads take turns. Where two networks share the GPU give each its own backend object and the
/// more important one `.urgent = true`.
struct cuda {
  int device = 0;                 ///< as CUDA numbers them, from 0
  std::string precision = "fp16"; ///< or "fp32"
  bool urgent = false;            ///< its work goes before that of others on the same GPU

  ///@{
  /// Of the kernels: `bytes()` tells how much of the device's memory one holds.
  using packed = cuda_detail::packed_supernet;
  using bound = cuda_detail::level;
  using workspace = cuda_detail::workspace;
  ///@}

  /// An open device, shared by all copies of a backend.
  struct state {
    cuda_detail::device_info info; ///< what the driver says of it
    cuda_detail::precision values; ///< of weights and of what lies between the kernels
    std::shared_ptr<void> stream;  ///< a CUDA stream
    std::mutex turn;               ///< whose holder alone may launch
  };
  std::shared_ptr<state> open = start(device, precision, urgent); ///< leave it out

  /// "cuda NVIDIA H200, fp16"
  std::string name() const {
    return text("cuda ", open->info.name, open->values == cuda_detail::precision::fp16 ? ", fp16" : ", fp32");
  }

  /// Throws `error` if the device has too little memory. Cost: one pass over the weights and their transfer.
  std::shared_ptr<const packed> pack(const supernet_ptr& net) const {
    const std::lock_guard turn(open->turn);
    auto made =
        std::make_shared<packed>(packed{{*net, open->values}, open->info.index, nullptr, 0, net->fingerprint()});
    made->size = made->layout.bytes.size();
    made->memory = cuda_detail::device_memory(open->info.index, made->size, "the super-network");
    cuda_detail::upload(made->memory.get(), made->layout.bytes.data(), made->size, open->stream.get());
    cuda_detail::synchronize(open->stream.get());
    made->layout.bytes = {};
    return made;
  }

  /// A level's scales and shifts go to the device; its graph is captured later. Throws errc::mismatch for weights
  /// packed for another device or precision.
  bound bind(const std::shared_ptr<const packed>& weights, const plan& p, const scale_shift& norms) const {
    const std::lock_guard turn(open->turn);
    if (weights->device != open->info.index || weights->layout.values != open->values)
      throw error(errc::mismatch, "cuda backend bind", "weights packed for its device and precision",
                  "those of another backend");
    check_bind("cuda backend bind", weights->layout.space, p, norms);
    cuda_detail::require_runnable(weights->layout, p, p.batch);
    const std::vector<float> values = cuda_detail::interleave_norms(p, norms.scale, norms.shift);
    bound made{p, weights, cuda_detail::device_memory(open->info.index, values.size() * 4, "a level"), nullptr, {}};
    cuda_detail::upload(made.norms.get(), values.data(), values.size() * 4, open->stream.get());
    cuda_detail::synchronize(open->stream.get());
    return made;
  }

  /// Activations on the device for any of the plans; throws errc::device where its memory does not suffice.
  workspace make_workspace(std::span<const plan> plans) const {
    workspace made{{plans, open->values, open->info.limits()}};
    const int device = open->info.index;
    const cuda_detail::arena_layout& layout = made.layout;
    made.copies = !open->info.integrated;
    made.arena = cuda_detail::device_memory(device, made.copies ? layout.bytes : layout.image, "activations");
    made.image = cuda_detail::pinned_memory(device, layout.logits - layout.image, "images");
    made.logits = cuda_detail::pinned_memory(device, layout.bytes - layout.logits, "logits");
    const auto on_device = [&](const std::shared_ptr<void>& pinned, std::size_t place) {
      return made.copies ? arena(made) + place : cuda_detail::device_address(device, pinned.get());
    };
    made.image_on_device = on_device(made.image, layout.image);
    made.logits_on_device = on_device(made.logits, layout.logits);
    if (const std::vector<std::byte> zeros(layout.gates - layout.counters); !zeros.empty()) {
      const std::lock_guard turn(open->turn);
      cuda_detail::upload(arena(made) + layout.counters, zeros.data(), zeros.size(), open->stream.get());
      cuda_detail::synchronize(open->stream.get());
    }
    return made;
  }

  /// Whether the plan runs in this workspace without its growing.
  bool fits(const workspace& space, const plan& p) const {
    return space.layout.holds({std::span(&p, 1), open->values, open->info.limits()});
  }

  /// Captures the level's graph, so that its first image is as quick as the next.
  void prepare(bound& level, const workspace& space) const {
    const std::lock_guard turn(open->turn);
    prepare_in_turn(level, space);
  }

  /// image [N,r,r,3] → logits [N,classes]; returns when the logits are there.
  void run(bound& level, workspace& space, std::span<const float> image, std::span<float> logits) const {
    check_size("image", image.size(), level.plan.image_values());
    run_on(level, space, logits, [&](std::byte* input, void* stream) {
      std::memcpy(space.image.get(), image.data(), image.size_bytes());
      if (space.copies) cuda_detail::upload(input, space.image.get(), image.size_bytes(), stream);
    });
  }
  /// The same where the input is made on the device: `put(input, stream)` has the stream write image [N,r,r,3] to
  /// `input`. All in one turn, so that no other thread binds the level's graph to a workspace of its own in between.
  template <class Put>
  void run_on(bound& level, workspace& space, std::span<float> logits, Put&& put) const {
    check_size("logits", logits.size(), level.plan.logit_values());
    const std::lock_guard turn(open->turn);
    prepare_in_turn(level, space);
    void* stream = open->stream.get();
    std::forward<Put>(put)(space.image_on_device, stream);
    cuda_detail::replay(level.graph.get(), stream);
    if (space.copies) cuda_detail::download(space.logits.get(), space.logits_on_device, logits.size_bytes(), stream);
    cuda_detail::synchronize(stream);
    std::memcpy(logits.data(), space.logits.get(), logits.size_bytes());
  }

  /// Map i of image n of the last run: its address on the device, for heads that run there. Launch them on a stream
  /// that waits for this one, or after `run` has returned. Valid until the workspace runs again.
  feature_map map(const bound& level, const workspace& space, std::size_t i, std::size_t n) const {
    const std::size_t b = level.plan.block_of_map(i);
    const block& named = level.plan.blocks.at(b);
    const auto channels = static_cast<std::size_t>(named.out_channels);
    const bool half = open->values == cuda_detail::precision::fp16;
    return {.data = arena(space) + space.layout.maps + cuda_detail::map_offset(level.plan, b, open->values) +
                    n * static_cast<std::size_t>(named.out_values()) * cuda_detail::value_bytes(open->values),
            .type = half ? feature_map::element::f16 : feature_map::element::f32,
            .on_device = true,
            .size = named.out_size,
            .channels = named.out_channels,
            .group = named.out_channels,
            .pixel = channels,
            .plane = 0};
  }
  /// A map of `map` → out [size,size,channels] on the host. Waits for the device.
  void download(const feature_map& from, std::span<float> out) const {
    check_size("map", out.size(), from.values());
    const std::lock_guard turn(open->turn);
    const bool half = from.type == feature_map::element::f16;
    std::vector<std::uint16_t> halves(half ? out.size() : 0);
    void* const to = half ? static_cast<void*>(halves.data()) : out.data();
    cuda_detail::download(to, static_cast<const std::byte*>(from.data), out.size() * (half ? 2 : 4),
                          open->stream.get());
    cuda_detail::synchronize(open->stream.get());
    std::transform(halves.begin(), halves.end(), out.begin(), half_to_float);
  }

  /// The parts of `run` for callers who keep images on the device: starts the level on what the arena holds, and waits.
  void enqueue(bound& level, const workspace& space) const {
    const std::lock_guard turn(open->turn);
    prepare_in_turn(level, space);
    cuda_detail::replay(level.graph.get(), open->stream.get());
  }
  /// Until everything that was enqueued on the stream is done.
  void wait() const { cuda_detail::synchronize(open->stream.get()); }

  /// Block b alone: in [N,in,in,C] → out [N,out,out,C'], for tests.
  void run_block(bound& level, workspace& space, std::size_t b, std::span<const float> in, std::span<float> out) const {
    const auto batch = static_cast<std::size_t>(level.plan.batch);
    const block& of = level.plan.blocks.at(b);
    check_size("input", in.size(), batch * static_cast<std::size_t>(of.in_values()));
    check_size("output", out.size(), batch * static_cast<std::size_t>(of.out_values()));
    const std::lock_guard turn(open->turn);
    void* stream = open->stream.get();
    const bool first = b == 0, last = b + 1 == level.plan.blocks.size();
    const bool half = open->values == cuda_detail::precision::fp16;
    std::vector<std::uint16_t> halves(std::max(in.size(), out.size()));
    const bool half_in = half && !first, half_out = half && !last;
    if (half_in) std::transform(in.begin(), in.end(), halves.begin(), float_to_half);
    cuda_detail::upload(first ? space.image_on_device : arena(space) + space.layout.ping,
                        half_in ? static_cast<const void*>(halves.data()) : in.data(), in.size() * (half_in ? 2 : 4),
                        stream);
    cuda_detail::launch(schedule_of(level, space).block_alone(b), stream);
    cuda_detail::download(half_out ? static_cast<void*>(halves.data()) : out.data(),
                          last ? space.logits_on_device : arena(space) + space.layout.pong,
                          out.size() * (half_out ? 2 : 4), stream);
    cuda_detail::synchronize(stream);
    if (half_out)
      std::transform(halves.begin(), halves.begin() + std::ptrdiff_t(out.size()), out.begin(), half_to_float);
  }

  /// Milliseconds of device time per run of block b, by events around one graph of at least twenty runs: launched one
  /// by one, a short block would wait for the host, and the events themselves take some microseconds.
  double time_block(bound& level, workspace& space, std::size_t b, int repeats) const {
    const std::lock_guard turn(open->turn);
    return time_in_turn(schedule_of(level, space).block_alone(b), std::max(repeats, 20));
  }
  /// Milliseconds of device time per run of the whole level, without the transfers of image and logits.
  double time_run(bound& level, workspace& space, int repeats) const {
    const std::lock_guard turn(open->turn);
    prepare_in_turn(level, space);
    return cuda_detail::time_replays(level.graph.get(), open->stream.get(), repeats);
  }
  /// Kernel launches of one run.
  std::size_t launches(const bound& level, const workspace& space) const {
    return schedule_of(level, space).network().size();
  }

  /// One launch of a level: which kernel for which block of the plan, how many thread blocks, the bytes it cannot avoid
  /// moving, and its device time within a graph.
  struct launch_profile {
    ///@{
    /// Which kernel, for which block of the plan.
    std::string_view kernel;
    std::size_t block;
    ///@}
    std::int64_t thread_blocks, least_bytes; ///< how many there are, and the bytes that must be moved
    double ms;                               ///< device time within a graph
  };
  /// Every launch of a level, timed `repeats` times; in the order in which they run.
  std::vector<launch_profile> profile(bound& level, workspace& space, int repeats) const {
    const std::lock_guard turn(open->turn);
    const auto steps = schedule_of(level, space).network();
    const auto ms = cuda_detail::time_steps(open->info.index, steps, open->stream.get(), repeats);
    std::vector<launch_profile> all;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto& s = steps[i];
      all.push_back({cuda_detail::kernel_name(s.kernel), static_cast<std::size_t>(s.block),
                     std::int64_t(s.grid[0]) * s.grid[1] * s.grid[2], cuda_detail::least_bytes(s), ms[i]});
    }
    return all;
  }

  /// An inverted residual cut in the `most` ways with the least estimated time: what the estimate is fitted to.
  struct tiling_profile {
    cuda_detail::tiles cut;      ///< the way it is cut
    double estimated_cycles, ms; ///< expected and measured; ms: of the whole block
  };
  /// The `most` most promising ways for block `b`, each timed 20 times.
  std::vector<tiling_profile> profile_tilings(bound& level, workspace& space, std::size_t b, std::size_t most) const {
    const std::lock_guard turn(open->turn);
    const cuda_detail::schedule steps = schedule_of(level, space);
    std::vector<tiling_profile> all;
    cuda_detail::for_each_tiling(level.plan.blocks[b], open->values, level.plan.batch, open->info.limits(),
                                 [&](const cuda_detail::tiles& cut, double cycles) {
                                   if (!steps.block_alone(b, cut).empty()) all.push_back({cut, cycles, 0});
                                 });
    std::sort(all.begin(), all.end(),
              [](const auto& x, const auto& y) { return x.estimated_cycles < y.estimated_cycles; });
    all.resize(std::min(most, all.size()));
    for (tiling_profile& one : all) one.ms = time_in_turn(steps.block_alone(b, one.cut), 20);
    return all;
  }

  /// A launch of convolutions cut in every way: what the estimate is fitted to.
  struct convolution_profile {
    std::string_view kernel; ///< which kernel
    int splits;              ///< parts into which the sum over input channels is cut
    double estimated_us, ms; ///< what the model expects, in µs, and the measured time in ms
  };
  /// Of each launch of convolutions of block b, in order.
  std::vector<std::vector<convolution_profile>> profile_convolutions(bound& level, workspace& space,
                                                                     std::size_t b) const {
    const std::lock_guard turn(open->turn);
    const cuda_detail::schedule steps = schedule_of(level, space);
    std::vector<std::vector<convolution_profile>> all;
    for (const cuda_detail::step& one : steps.block_alone(b)) {
      if (!cuda_detail::is_convolution(one.kernel)) continue;
      auto& cuts = all.emplace_back();
      steps.for_each_cut(one.convolution, [&](const auto& how) {
        cuts.push_back({cuda_detail::kernel_name(how.kernel), how.splits, how.us,
                        time_in_turn({steps.cut(b, one.convolution, how)}, 20)});
      });
    }
    return all;
  }

private:
  static std::shared_ptr<state> start(int device, const std::string& precision, bool urgent) {
    if (precision != "fp16" && precision != "fp32")
      throw error(errc::invalid_argument, "cuda backend precision", "fp16 or fp32", precision);
    auto made = std::make_shared<state>();
    made->values = precision == "fp16" ? cuda_detail::precision::fp16 : cuda_detail::precision::fp32;
    made->info = cuda_detail::open_device(device);
    made->stream = cuda_detail::make_stream(device, urgent);
    return made;
  }
  static std::byte* arena(const workspace& space) { return static_cast<std::byte*>(space.arena.get()); }

  static void check_size(const char* what, std::size_t found, std::size_t wanted) {
    if (found != wanted)
      throw error(errc::invalid_argument, text("cuda backend, ", what), text(wanted, " values"), text(found));
  }

  /// Throws errc::mismatch for a workspace that was made for smaller levels.
  cuda_detail::schedule schedule_of(const bound& level, const workspace& space) const {
    if (!fits(space, level.plan))
      throw error(errc::mismatch, "cuda backend", text("a workspace that holds ", level.plan.arch), "a smaller one");
    return {level.weights->layout,
            level.plan,
            space.layout,
            {static_cast<const std::byte*>(level.weights->memory.get()), static_cast<const float*>(level.norms.get()),
             arena(space), space.image_on_device, space.logits_on_device},
            open->info.limits()};
  }
  double time_in_turn(const std::vector<cuda_detail::step>& once, int repeats) const {
    std::vector<cuda_detail::step> all;
    for (int i = 0; i < repeats; ++i) all.insert(all.end(), once.begin(), once.end());
    const auto graph = cuda_detail::capture(open->info.index, all, open->stream.get());
    return cuda_detail::time_replays(graph.get(), open->stream.get(), 1) / repeats;
  }
  void prepare_in_turn(bound& level, const workspace& space) const {
    if (level.captured_for(space.arena)) return;
    level.graph = cuda_detail::capture(open->info.index, schedule_of(level, space).network(), open->stream.get());
    level.graph_arena = space.arena;
  }
};

} // namespace dynofa::backend
