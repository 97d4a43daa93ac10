#pragma once
#include "dynofa/backend/cuda/packed.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace dynofa::backend::cuda_detail {

/// How the fused kernel cuts the outputs of one block, and with how many threads.
struct tiles {
  std::int32_t height, width, across, count, threads;
  std::uint32_t shared_bytes;
};

/// Every way to cut that fits, `visit(tiles, cycles)`, with an estimate of its time. Large tiles compute less twice
/// (halos), small ones fill a large GPU with one image. The estimate counts instructions per warp: 32 pixels expanded,
/// a run of four outputs slid over. A thread block alone on a multiprocessor waits some cycles per instruction; many
/// share its four schedulers, and those that do not all fit come one by one as others end. On an H100 and in fp16 what
/// it chooses takes 0.7 % longer than the best of 40 measured for batches of 64 (sum of 70 blocks), 5 % for single
/// images.
template <class Visit>
void for_each_tiling(const block& b, precision p, int batch, device_limits device, Visit&& visit) {
  const bool half = p == precision::fp16;
  const int slices = padded_depth(p, b.in_channels) / slice_of(p), chunks = ceil_div(b.mid_channels, channel_chunk);
  // fp16: fitted to the times of 5000 cuts of 140 blocks (gpu_figures tilings); fp32: as read
  const double per_strip = half ? 145 + slices * 53 : 250 + slices * 590, setup = 290;
  const double per_row = half ? (3 * b.stride + b.kernel) * 2.0 + 5.5 * b.kernel // of the window
                              : (3 * b.stride + b.kernel) + 9.0 * b.kernel;
  const double per_run = b.kernel * per_row + (half ? 45 : 60);
  const double alone = half ? 3.8 : 6.0, crowded = half ? 1.13 : 1.2, per_share = half ? 0.11 : 0.075; // cycles
  for (const int threads : {256, 128})
    for (int height = 1; height <= std::min(b.out_size, 16); ++height)
      for (int width = 4; width < std::min(b.out_size + 4, 32); width += 4) {
        const int warps = threads / 32;
        const halo span = halo_of(b.kernel, b.stride, height, width);
        if (span.height * span.width * span.width >= 1 << 20) continue; // see small_division
        const std::uint32_t bytes = expand_depthwise_room(p, b.in_channels, b.kernel, b.stride, span, warps).bytes;
        if (bytes > device.shared_bytes) continue;
        const int across = ceil_div(b.out_size, width), count = across * ceil_div(b.out_size, height);
        const int pixels = std::min(span.height, b.in_size) * std::min(span.width, b.in_size);
        const double instructions = setup + ceil_div(ceil_div(pixels, 32), warps) * per_strip +
                                    ceil_div(height * width / 4, threads / 16) * per_run;
        const int resident = std::max(1, std::min(static_cast<int>(device.shared_bytes / bytes), 512 / threads));
        const double share = double(chunks) * count * batch / device.multiprocessors;
        const double together = std::min(std::ceil(share), double(resident));
        const double cycles =
            std::max(1.0, share / resident) * std::max(alone, crowded * together * warps / 4) * instructions +
            per_share * chunks * count * b.se_channels; // the gate kernel adds up as many
        visit(tiles{height, width, across, count, threads, bytes}, cycles);
      }
}

/// The tiles with the least estimated time.
inline tiles tiles_of(const block& b, precision p, int batch, device_limits device) {
  tiles best{};
  double least = 0;
  for_each_tiling(b, p, batch, device, [&](const tiles& t, double cycles) {
    if (least > 0 && cycles >= least) return;
    least = cycles;
    best = t;
  });
  if (least == 0)
    throw error(errc::unsupported, "cuda backend",
                text("a block that fits ", device.shared_bytes, " bytes of shared memory"),
                text("kernel ", int(b.kernel), " on ", b.in_channels, " channels"));
  return best;
}

/// Where the activations of one stream lie: offsets into one allocation that serves every level.
struct arena_layout {
  std::size_t image = 0, ping = 0, pong = 0, middle = 0, partials = 0, gates = 0, logits = 0, bytes = 0;

  arena_layout() = default;
  arena_layout(std::span<const plan> plans, precision p, device_limits device) {
    std::size_t image_size = 0, activation = 0, mid = 0, shares = 0, gate = 0, classes = 0;
    for (const plan& q : plans) {
      const auto batch = static_cast<std::size_t>(q.batch);
      for (const block& b : q.blocks) {
        if (b.kind == block_kind::stem) image_size = std::max(image_size, batch * std::size_t(b.in_values()) * 4);
        for (const auto values : {b.kind == block_kind::stem ? 0 : b.in_values(), b.out_values()})
          activation = std::max(activation, batch * std::size_t(values) * value_bytes(p));
        if (b.kind != block_kind::inverted_residual) continue;
        const auto channels = static_cast<std::size_t>(b.mid_channels);
        mid = std::max(mid, batch * std::size_t(b.out_size) * std::size_t(b.out_size) * channels * value_bytes(p));
        if (b.se_channels == 0) continue;
        const tiles t = tiles_of(b, p, q.batch, device);
        shares = std::max(shares, batch * std::size_t(t.count) * std::size_t(ceil_div(b.mid_channels, channel_chunk)) *
                                      std::size_t(b.se_channels) * 4);
        gate = std::max(gate, batch * channels * 4);
      }
      classes = std::max(classes, batch * static_cast<std::size_t>(q.space.classes) * 4);
    }
    auto place = [&](std::size_t size) {
      const std::size_t at = bytes;
      bytes += (size + 255) / 256 * 256;
      return at;
    };
    image = place(image_size), ping = place(activation), pong = place(activation), middle = place(mid);
    partials = place(shares), gates = place(gate), logits = place(classes);
  }
};

/// Start addresses on the device (or, in the tests, on the host).
struct addresses {
  const std::byte* weights = nullptr;
  const float* norms = nullptr; ///< per batch norm of the plan: its scales, then its shifts
  std::byte* arena = nullptr;
};

/// The launches of a level. Blocks read one of two activation buffers and write the other; stem and block 0 are one
/// launch, an inverted residual two, or three with squeeze-excite, the head three.
class schedule {
public:
  schedule(const packed_layout& weights, const plan& p, const arena_layout& arena, addresses at, device_limits device)
      : weights_{weights}
      , plan_{p}
      , arena_{arena}
      , at_{at}
      , device_{device} {
    if (!(p.space == weights.space))
      throw error(errc::mismatch, "cuda backend bind", "a plan of the packed super-network's space",
                  text("a plan of another space, ", p.arch));
  }

  /// The whole network: image → logits, both in the arena.
  std::vector<step> network() const {
    std::vector<step> steps;
    steps.push_back(front(0, true, true, nullptr, buffer(0)));
    int from = 0;
    for (std::size_t b = 2; b < plan_.blocks.size(); ++b, from ^= 1) {
      const bool last = b + 1 == plan_.blocks.size();
      add_block(steps, b, buffer(from), last ? at_.arena + arena_.logits : buffer(from ^ 1));
    }
    return steps;
  }

  /// Block b alone: reads `ping` (the stem: `image`), writes `pong` (the classifier: `logits`).
  std::vector<step> block_alone(std::size_t b) const {
    std::vector<step> steps;
    const bool last = b + 1 == plan_.blocks.size();
    add_block(steps, b, buffer(0), last ? at_.arena + arena_.logits : buffer(1));
    return steps;
  }
  /// An inverted residual alone, cut as given; nothing if its shares of the hidden layer do not fit the arena.
  std::vector<step> block_alone(std::size_t b, const tiles& cut) const {
    std::vector<step> steps;
    const block& of = plan_.blocks[b];
    const auto shares = static_cast<std::size_t>(plan_.batch * cut.count * ceil_div(of.mid_channels, channel_chunk)) *
                        static_cast<std::size_t>(of.se_channels) * sizeof(float);
    if (shares <= arena_.gates - arena_.partials) add_inverted_residual(steps, b, buffer(0), buffer(1), cut);
    return steps;
  }

protected: // calibration makes its launches of the same parts
  const packed_layout& weights_;
  const plan& plan_;
  const arena_layout& arena_;
  addresses at_;
  device_limits device_;

  std::byte* buffer(int which) const { return at_.arena + (which == 0 ? arena_.ping : arena_.pong); }
  const float* floats(const packed_layout::matrix& m) const {
    return reinterpret_cast<const float*>(at_.weights + m.offset);
  }
  const float* scale(std::size_t b, int i) const {
    return at_.norms + 2 * plan_.norms[static_cast<std::size_t>(plan_.first_norm(b) + i)].offset;
  }
  const float* shift(std::size_t b, int i) const {
    return scale(b, i) + plan_.norms[static_cast<std::size_t>(plan_.first_norm(b) + i)].channels;
  }
  static std::uint32_t grid(std::int32_t n) { return static_cast<std::uint32_t>(n); }
  step new_step(kernel_id kernel, std::size_t b) const {
    step s{};
    s.kernel = kernel;
    s.values = weights_.values;
    s.block = static_cast<std::int16_t>(b);
    return s;
  }

  void add_block(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out) const {
    const block& b = plan_.blocks[index];
    switch (b.kind) {
    case block_kind::stem: steps.push_back(front(index, true, false, nullptr, out)); break;
    case block_kind::separable: steps.push_back(front(index, false, true, in, out)); break;
    case block_kind::inverted_residual:
      add_inverted_residual(steps, index, in, out, tiles_of(b, weights_.values, plan_.batch, device_));
      break;
    case block_kind::final_expand: {
      step s = new_step(kernel_id::expand_pool, index);
      const auto& w = weights_.final_expand;
      s.expand_pool = {in,
                       at_.weights + w.offset,
                       scale(index, 0),
                       shift(index, 0),
                       out,
                       b.in_size * b.in_size,
                       b.in_channels,
                       b.out_channels,
                       w.pitch,
                       b.act};
      s.threads = 32 * std::min(4, ceil_div(b.in_size * b.in_size, 32));
      s.grid[0] = grid(ceil_div(b.out_channels, channel_chunk)), s.grid[1] = grid(plan_.batch);
      s.shared_bytes = expand_pool_bytes(weights_.values, b.in_channels, s.threads / 32);
      steps.push_back(s);
      break;
    }
    case block_kind::feature_mix: steps.push_back(dense(index, weights_.feature_mix, nullptr, in, out)); break;
    case block_kind::classifier:
      steps.push_back(dense(index, weights_.classifier, floats(weights_.classifier_bias), in, out));
      break;
    }
  }

  /// Stem, block 0 or both; `index` is the first of them.
  step front(std::size_t index, bool with_stem, bool with_separable, const std::byte* in, std::byte* out) const {
    step s = new_step(kernel_id::front, index);
    const std::size_t separable = with_stem ? index + 1 : index;
    const block& b = plan_.blocks[index];
    front_args& a = s.front;
    a = {};
    a.image = reinterpret_cast<const float*>(at_.arena + arena_.image);
    a.in = in;
    a.out = out;
    a.stem = at_.weights + weights_.stem.offset;
    if (with_stem) a.scale[0] = scale(index, 0), a.shift[0] = shift(index, 0), a.stem_act = b.act;
    if (with_separable) {
      const block& second = plan_.blocks[separable];
      a.depthwise = floats(weights_.blocks[0].depthwise[static_cast<std::size_t>(second.kernel / 2 - 1)]);
      a.project = at_.weights + weights_.blocks[0].project.offset;
      a.project_pitch = weights_.blocks[0].project.pitch;
      for (int i = 0; i < 2; ++i) a.scale[i + 1] = scale(separable, i), a.shift[i + 1] = shift(separable, i);
      a.act = second.act;
    }
    a.image_size = b.in_size;
    a.size = b.out_size;
    a.channels = b.out_channels;
    a.tiles_across = ceil_div(b.out_size, front_tile);
    a.with_stem = with_stem, a.with_separable = with_separable;
    s.grid[0] = grid(a.tiles_across * a.tiles_across), s.grid[1] = grid(plan_.batch);
    s.shared_bytes = front_room(weights_.values).bytes;
    return s;
  }

  void add_inverted_residual(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out,
                             const tiles& cut) const {
    const block& b = plan_.blocks[index];
    const auto& w = weights_.blocks[static_cast<std::size_t>(b.supernet_index)];
    const int chunks = ceil_div(b.mid_channels, channel_chunk);
    auto* middle = at_.arena + arena_.middle;
    auto* partials = reinterpret_cast<float*>(at_.arena + arena_.partials);
    auto* gates = at_.arena + arena_.gates;
    const auto& taps = w.depthwise[static_cast<std::size_t>(b.kernel / 2 - 1)];

    step first = new_step(kernel_id::expand_depthwise, index);
    first.depthwise_size = b.kernel, first.stride = b.stride;
    first.expand_depthwise = {in,
                              at_.weights + w.expand.offset,
                              floats(taps),
                              b.se_channels > 0 ? at_.weights + w.se_reduce.offset : nullptr,
                              {scale(index, 0), scale(index, 1)},
                              {shift(index, 0), shift(index, 1)},
                              middle,
                              partials,
                              b.in_size,
                              b.out_size,
                              b.in_channels,
                              b.mid_channels,
                              b.se_channels,
                              w.expand.pitch,
                              taps.pitch,
                              w.se_reduce.pitch,
                              cut.height,
                              cut.width,
                              cut.across,
                              b.act};
    first.grid[0] = grid(chunks), first.grid[1] = grid(cut.count), first.grid[2] = grid(plan_.batch);
    first.threads = cut.threads;
    first.shared_bytes = cut.shared_bytes;
    steps.push_back(first);

    if (b.se_channels > 0) {
      step gate = new_step(kernel_id::gate, index);
      gate.gate = {partials,
                   floats(w.se_reduce_bias),
                   floats(w.se_expand_bias),
                   at_.weights + w.se_expand.offset,
                   gates,
                   chunks * cut.count,
                   b.se_channels,
                   b.mid_channels,
                   w.se_expand.pitch};
      gate.grid[0] = grid(chunks), gate.grid[1] = grid(plan_.batch);
      gate.threads = gate_room::threads;
      gate.shared_bytes = gate_room(weights_.values, b.se_channels).bytes;
      steps.push_back(gate);
    }

    const int pixels = b.out_size * b.out_size;
    steps.push_back(
        product(index, {middle, at_.weights + w.project.offset, b.se_channels > 0 ? gates : nullptr, scale(index, 2),
                        shift(index, 2), b.residual ? in : nullptr, out, plan_.batch * pixels, b.mid_channels,
                        b.out_channels, w.project.pitch, pixels, activation::identity, false}));
  }

  /// A fully connected layer on one vector per image.
  step dense(std::size_t index, const packed_layout::matrix& w, const float* bias, const std::byte* in,
             std::byte* out) const {
    const block& b = plan_.blocks[index];
    return product(index, {in, at_.weights + w.offset, nullptr, nullptr, bias, nullptr, out, plan_.batch, b.in_channels,
                           b.out_channels, w.pitch, 1, b.act, b.kind == block_kind::classifier});
  }

  /// Which kernel a matrix product takes: rows one by one for a few; else wide or narrow tiles, whichever leaves fewer
  /// channels idle, if they fill the device; else small ones whose warps share the inner dimension.
  step product(std::size_t index, const pointwise_args& a) const {
    const bool narrow = ceil_div(a.n, 32) % 2 == 1;
    auto blocks = [&](kernel_id id) {
      return ceil_div(a.m, shape_of(id).tile_m()) * ceil_div(a.n, shape_of(id).tile_n());
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
    step s = new_step(kernel, index);
    s.pointwise = a;
    if (kernel == kernel_id::vector) {
      s.grid[0] = grid(ceil_div(a.n, s.threads / 32));
      return s;
    }
    const pointwise_shape shape = shape_of(kernel);
    s.threads = shape.threads();
    s.grid[0] = grid(ceil_div(a.n, shape.tile_n())), s.grid[1] = grid(ceil_div(a.m, shape.tile_m()));
    s.shared_bytes = bytes(kernel);
    return s;
  }
};

/// The scales and shifts of a level as the kernels want them: per batch norm first its scales, then its shifts.
inline std::vector<float> interleave_norms(const plan& p, std::span<const float> scale, std::span<const float> shift) {
  std::vector<float> out(2 * static_cast<std::size_t>(p.norm_values()));
  for (const plan::norm& n : p.norms) {
    const auto at = static_cast<std::size_t>(n.offset), count = static_cast<std::size_t>(n.channels);
    std::copy_n(scale.begin() + n.offset, count, out.begin() + static_cast<std::ptrdiff_t>(2 * at));
    std::copy_n(shift.begin() + n.offset, count, out.begin() + static_cast<std::ptrdiff_t>(2 * at + count));
  }
  return out;
}

} // namespace dynofa::backend::cuda_detail
