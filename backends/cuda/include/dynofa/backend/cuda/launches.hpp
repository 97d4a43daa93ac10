#pragma once
#include "dynofa/backend/cuda/arena.hpp"
#include "dynofa/backend/cuda/packed.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace dynofa::backend::cuda_detail {

/// A convolution of all its input channels, as a block says it: images of `in_size` → of `out_size`.
struct dense_layer {
  weight_role role;
  int norm; ///< of the block's
  const std::byte* in;
  std::byte* out;
  int in_size, out_size, in_channels;
  int kernel = 1, stride = 1;
  const std::byte* residual = nullptr; ///< or a shortcut
  activation out_act = activation::identity;
  int images = 0; ///< 0: as many as the plan says
};

/// What the launches of all blocks are made of, for levels and for calibration: addresses, and the kernel of a product.
class launches {
protected:
  launches(const packed_layout& weights, const plan& p, const arena_layout& arena, addresses at, device_limits device)
      : weights_{weights}
      , plan_{p}
      , arena_{arena}
      , at_{at}
      , device_{device} {}

  const packed_layout& weights_;
  const plan& plan_;
  const arena_layout& arena_;
  addresses at_;
  device_limits device_;

  const std::byte* image_place() const { return at_.image != nullptr ? at_.image : at_.arena + arena_.image; }
  std::byte* logits_place() const { return at_.logits != nullptr ? at_.logits : at_.arena + arena_.logits; }
  std::byte* buffer(int which) const { return at_.arena + (which == 0 ? arena_.ping : arena_.pong); }
  const float* floats(const packed_layout::matrix& m) const {
    return reinterpret_cast<const float*>(at_.weights + m.offset);
  }
  const float* bias_of(const block& b) const {
    const auto found = weights_.layout.find(b, weight_role::output_bias);
    return found ? floats(weights_.arrays[*found]) : nullptr;
  }
  const float* scale(std::size_t b, int i) const {
    return at_.norms + 2 * plan_.norms[static_cast<std::size_t>(plan_.first_norm(b) + i)].offset;
  }
  const float* shift(std::size_t b, int i) const {
    return scale(b, i) + plan_.norms[static_cast<std::size_t>(plan_.first_norm(b) + i)].channels;
  }
  static std::uint32_t grid(std::int32_t n) { return static_cast<std::uint32_t>(n); }
  /// Of a grid of `across` × `down` thread blocks; its arguments are still to come.
  step new_step(kernel_id kernel, std::size_t b, std::int32_t threads, std::int32_t across,
                std::int32_t down = 1) const {
    step s{};
    s.kernel = kernel;
    s.values = weights_.values;
    s.block = static_cast<std::int16_t>(b);
    s.threads = threads;
    if (down > device_.down)
      throw error(errc::unsupported, "cuda backend", text("grids of at most ", device_.down, " rows of thread blocks"),
                  text(down, " for block ", b));
    s.grid[0] = grid(across), s.grid[1] = grid(down);
    return s;
  }

  /// Which kernel a matrix product takes: rows one by one for a few; else wide or narrow tiles, whichever leaves fewer
  /// channels idle, if they fill the device; else small ones whose warps share the inner dimension. More tiles of rows
  /// than a grid has (5 million rows, 669 images of 112×112 pixels in narrow ones) are several launches.
  void add_product(std::vector<step>& steps, std::size_t index, pointwise_args a) const {
    const bool narrow = ceil_div(a.n, 32) % 2 == 1;
    auto blocks = [&](kernel_id id) {
      return std::int64_t(ceil_div(a.m, shape_of(id).tile_m())) * ceil_div(a.n, shape_of(id).tile_n());
    };
    auto bytes = [&](kernel_id id) {
      return shape_of(id).bytes(weights_.values) + gate_rows_bytes(weights_.values, shape_of(id), a);
    };
    auto fits = [&](kernel_id id) { return bytes(id) <= device_.shared_bytes; }; // gates of many small images may not
    const kernel_id large = narrow ? kernel_id::pointwise_narrow : kernel_id::pointwise_wide;
    const kernel_id kernel = a.m <= 4 && a.gates == nullptr                            ? kernel_id::vector
                             : blocks(large) >= device_.multiprocessors && fits(large) ? large
                             : a.k <= 192 || !fits(kernel_id::pointwise_deepest)       ? kernel_id::pointwise_deep
                                                                                       : kernel_id::pointwise_deepest;
    if (kernel == kernel_id::vector) {
      step s = new_step(kernel, index, 128, ceil_div(a.n, 4)); // a warp per output
      s.pointwise = a;
      steps.push_back(s);
      return;
    }
    const pointwise_shape shape = shape_of(kernel);
    std::int64_t at_once = std::int64_t(device_.down) * shape.tile_m();
    if (a.gates != nullptr) at_once -= at_once % a.pixels; // whole images: a row's number tells its gates
    const std::uint32_t shared = bytes(kernel);
    while (a.m > 0) {
      const auto rows = static_cast<std::int32_t>(at_once == 0 ? a.m : std::min<std::int64_t>(a.m, at_once));
      step s = new_step(kernel, index, shape.threads(), ceil_div(a.n, shape.tile_n()), ceil_div(rows, shape.tile_m()));
      s.pointwise = a;
      s.pointwise.m = rows;
      s.shared_bytes = shared;
      steps.push_back(s);
      const auto size = static_cast<std::int64_t>(value_bytes(weights_.values));
      const auto after = [](auto*& p, std::int64_t bytes) {
        if (p != nullptr) p = as_bytes(p) + bytes;
      };
      after(a.a, rows * std::int64_t(a.k) * size);
      after(a.residual, rows * std::int64_t(a.n) * size);
      after(a.out, rows * std::int64_t(a.n) * (a.float_out ? 4 : size));
      after(a.gates, rows / a.pixels * std::int64_t(a.k) * size);
      a.m -= rows;
    }
  }
  static const std::byte* as_bytes(const void* p) { return static_cast<const std::byte*>(p); }
  static std::byte* as_bytes(void* p) { return static_cast<std::byte*>(p); }

  /// One layer, or two that do not wait for each other, in one launch; `beside`: windows whose means are made
  /// meanwhile, if it has any images. All take the kernel with the least estimated time.
  step convolutions(std::size_t index, std::span<const dense_layer> layers, const window_args& beside = {}) const {
    convolution_launch made{};
    for (std::size_t i = 0; i < layers.size(); ++i) made.of[i] = arguments_of(index, layers[i]);
    made.windows = beside;
    convolution_cut best{};
    for_each_cut(made, [&](const convolution_cut& c) {
      if (best.us == 0 || c.us < best.us) best = c;
    });
    if (best.us == 0)
      throw error(errc::unsupported, "cuda backend", "a convolution that a grid and shared memory hold",
                  text(made.of[0].n, " outputs of ", made.of[0].m, " pixels in ", device_.shared_bytes, " bytes"));
    return cut(index, made, best);
  }

public:
  /// How a launch of convolutions is cut into thread blocks.
  struct convolution_cut {
    kernel_id kernel;
    int splits; ///< thread blocks that share a tile's inner dimension; of the first layer
    double us;  ///< estimated
  };

  /// Every cut that fits shared memory twice, so that one step of the operands arrives while another is multiplied.
  template <class Visit>
  void for_each_cut(const convolution_launch& made, Visit visit) const {
    for (const kernel_id id : convolution_kernels) {
      const pointwise_shape shape = shape_of(id);
      if (shape.bytes(weights_.values, 2) > device_.shared_bytes) continue;
      const int all_steps = steps_of(made.of[0], shape.depth(weights_.values));
      const int most = arena_.counters > arena_.partials ? most_splits : 1; // a calibration has no room for shares
      for (int wanted = 1; wanted <= most; ++wanted) {
        const int splits = ceil_div(all_steps, ceil_div(all_steps, wanted));
        const std::int64_t tiles = tiles_in(made.of[0], shape);
        if (splits != wanted ||
            (splits > 1 && (tiles > split_tiles || tiles * splits * shape.outputs() * 4 > std::int64_t(split_bytes))))
          continue;
        if (thread_blocks(made, shape, splits) <= std::numeric_limits<std::int32_t>::max())
          visit(convolution_cut{id, splits, estimate(made, shape, splits)});
      }
    }
  }

  step cut(std::size_t index, convolution_launch made, const convolution_cut& how) const {
    const pointwise_shape shape = shape_of(how.kernel);
    std::uint32_t shared = 0;
    made.of[0].splits = how.splits;
    for (convolution_args& a : made.of) {
      if (a.m == 0) continue;
      // No more stages than leave room for a thread block of the next launch, which fetches its weights early.
      const auto room = (device_.shared_bytes / 2 - 1024) / shape.operand_bytes(weights_.values);
      const int steps = ceil_div(steps_of(a, shape.depth(weights_.values)), a.splits);
      a.stages = std::min({4, steps + 1, std::max(2, static_cast<int>(room))});
      a.tiles_across = ceil_div(a.n, shape.tile_n());
      shared = std::max(shared, shape.bytes(weights_.values, a.stages));
    }
    step s =
        new_step(how.kernel, index, shape.threads(), static_cast<std::int32_t>(thread_blocks(made, shape, how.splits)));
    made.second_from = static_cast<std::int32_t>(tiles_in(made.of[0], shape) * how.splits);
    made.windows_from = made.second_from + static_cast<std::int32_t>(tiles_in(made.of[1], shape));
    s.convolution = made;
    s.shared_bytes = shared;
    return s;
  }

protected:
  /// µs of a launch: a thread block begins and writes its outputs; between, either its own steps one after the other
  /// take longest, or what all of them together fetch from the cache or multiply. The numbers are fitted to 16 742
  /// launches of ResNet-50D on an H200, each of 720 in every cut, which `gpu_figures convolutions` prints: what they
  /// choose takes longer than the best cut by 4 % for one image in fp16, 3 % for 64 and 6 % for one in fp32.
  double estimate(const convolution_launch& made, const pointwise_shape& shape, int splits) const {
    const bool half = weights_.values == precision::fp16;
    const int depth = shape.depth(weights_.values);
    const double outputs = shape.outputs(), bytes = shape.operand_bytes(weights_.values), products = outputs * depth;
    // Bytes and products per µs of a multiprocessor; products of one thread block alone.
    constexpr double fetch_rate = 52'000, fp32_rate = 210'000, fp32_alone = 98'000, fp16_alone = 1'700'000;
    // A step waits for its operands, the longer the more they are, or multiplies.
    const double one_step = std::max(0.25 + 3.0e-5 * bytes, products / (half ? fp16_alone : fp32_alone));
    const double throughput = half ? bytes : std::max(bytes, products / fp32_rate * fetch_rate);
    double alone = 0, all = 0; // µs, and bytes or what takes as long
    for (int i = 0; i < 2; ++i) {
      if (made.of[i].m == 0) continue;
      const int parts = i == 0 ? splits : 1, steps = ceil_div(steps_of(made.of[i], depth), parts);
      const bool shares = parts > 1; // two ways to the cache and back
      alone = std::max(alone, steps * one_step + (shares ? 1.55 + 0.06 * parts : 0));
      all += double(parts * tiles_in(made.of[i], shape)) *
             (steps * throughput + 9'800 + (4.8 * shape.warps_k + (shares ? 10.6 : 0)) * outputs);
    }
    const double together = all / device_.multiprocessors / fetch_rate;
    return 0.0024 * shape.threads() + 0.147 * outputs / shape.threads() + std::max(alone, together) +
           0.4 * std::min(alone, together);
  }
  std::int64_t thread_blocks(const convolution_launch& made, const pointwise_shape& shape, int splits) const {
    const std::int64_t of_windows =
        made.windows.images > 0 ? (packets_of(made.windows) + shape.threads() - 1) / shape.threads() : 0;
    return tiles_in(made.of[0], shape) * splits + tiles_in(made.of[1], shape) + of_windows;
  }

  step max_pool(std::size_t index, const void* in, void* out, int images) const {
    const block& b = plan_.blocks[index];
    const window_args a{in, out, images, b.in_size, b.out_size, b.in_channels, b.stride};
    const auto groups = (packets_of(a) + most_threads - 1) / most_threads;
    step s = new_step(kernel_id::max_pool, index, most_threads, static_cast<std::int32_t>(groups));
    s.window = a;
    return s;
  }

  static int steps_of(const convolution_args& a, int depth) {
    return ceil_div(a.kernel * a.kernel * a.in_channels, depth);
  }
  static std::int64_t tiles_in(const convolution_args& a, const pointwise_shape& shape) {
    return std::int64_t(ceil_div(a.m, shape.tile_m())) * ceil_div(a.n, shape.tile_n());
  }
  std::int64_t packets_of(const window_args& a) const {
    return std::int64_t(a.images) * a.out_size * a.out_size * a.channels /
           (16 / static_cast<std::int64_t>(value_bytes(weights_.values)));
  }

  /// All but how the kernel cuts it.
  convolution_args arguments_of(std::size_t index, const dense_layer& layer) const {
    const block& b = plan_.blocks[index];
    const auto& w = weights_.of(b, layer.role);
    return {.in = layer.in,
            .w = at_.weights + w.offset,
            .scale = scale(index, layer.norm),
            .shift = shift(index, layer.norm),
            .residual = layer.residual,
            .out = layer.out,
            .m = (layer.images > 0 ? layer.images : plan_.batch) * layer.out_size * layer.out_size,
            .n = b.norm_channels(layer.norm),
            .in_size = layer.in_size,
            .out_size = layer.out_size,
            .in_channels = layer.in_channels,
            .kernel = layer.kernel,
            .stride = layer.stride,
            .pitch = w.pitch,
            .tap_pitch = w.pitch / (layer.kernel * layer.kernel),
            .shares = reinterpret_cast<float*>(at_.arena + arena_.partials),
            .counters = reinterpret_cast<std::uint32_t*>(at_.arena + arena_.counters),
            .tiles_across = 0,
            .stages = 0,
            .splits = 1,
            .act = b.norm_act(layer.norm),
            .out_act = layer.out_act};
  }
};

} // namespace dynofa::backend::cuda_detail
