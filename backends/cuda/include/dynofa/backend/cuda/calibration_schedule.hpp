#pragma once
#include "dynofa/backend/cuda/schedule.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dynofa::backend::cuda_detail {

/// Where a batch under calibration lies on the device: offsets into one allocation. All values are fp32 and raw outputs
/// are kept whole, so an image takes about 5 MB at 128 pixels and 15 MB at 224.
struct calibration_layout {
  std::size_t identity = 0, norms = 0; ///< a scale of ones, then a shift of zeros, of `most_channels`; the last norm's
  std::size_t outs[2] = {}, expanded = 0, filtered = 0; ///< of blocks in turn; after the expansion; after the depthwise
  std::size_t branch = 0, averaged = 0; ///< of a bottleneck whose shortcut is convolved: the other sum; its input
  std::size_t means = 0, hidden = 0, gates = 0, mixed = 0;
  std::size_t parts = 0, sums = 0, logits = 0, bytes = 0;
  std::int32_t most_channels = 0; ///< of one batch norm
  arena_layout arena;             ///< only its image, for the front kernel

  static constexpr std::int64_t most_parts = 128; ///< that a convolution's rows are summed in

  calibration_layout(const plan& p, int capacity) {
    const auto images = static_cast<std::size_t>(capacity);
    std::size_t image = 0, out = 0, expand = 0, filter = 0, other = 0, average = 0, widest = 0;
    auto area = [](int size) { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); };
    for (const block& b : p.blocks) {
      const auto mid = static_cast<std::size_t>(b.mid_channels);
      if (b.kind == block_kind::stem) image = static_cast<std::size_t>(b.in_values());
      if (b.kind == block_kind::final_expand)
        expand = std::max(expand, area(b.in_size) * static_cast<std::size_t>(b.out_channels));
      else
        out = std::max(out, static_cast<std::size_t>(b.out_values()));
      expand = std::max(expand, area(b.in_size) * mid), filter = std::max(filter, area(b.out_size) * mid);
      if (b.projects_shortcut()) {
        other = std::max(other, static_cast<std::size_t>(b.out_values()));
        average = std::max(average, area(b.out_size) * static_cast<std::size_t>(b.in_channels));
      }
      widest = std::max({widest, mid, static_cast<std::size_t>(b.out_channels)});
    }
    most_channels = static_cast<std::int32_t>(widest);
    auto place = [&](std::size_t values) {
      const std::size_t at = bytes;
      bytes += (values * 4 + 255) / 256 * 256;
      return at;
    };
    identity = place(2 * widest), norms = place(2 * widest);
    arena.image = place(images * image);
    for (std::size_t& o : outs) o = place(images * out);
    expanded = place(images * expand), filtered = place(images * filter);
    branch = place(images * other), averaged = place(images * average);
    for (std::size_t* vectors : {&means, &hidden, &gates}) *vectors = place(images * widest);
    mixed = place(widest), logits = place(widest);
    parts = place(most_parts * 2 * widest * 2), sums = place(2 * widest * 2); // doubles
  }
};

/// The launches of a calibration: each convolution's raw output and its sums, then what follows it. `count` images.
class calibration_schedule : schedule {
public:
  /// `at.norms`: the identity.
  calibration_schedule(const packed_layout& weights, const plan& p, const calibration_layout& layout, addresses at,
                       device_limits device, int count)
      : schedule{weights, p, layout.arena, at, device}
      , layout_{layout}
      , count_{count} {
    require_runnable(weights, p, count, device.down);
  }

  /// Convolution i of block b → its output in memory, and in `sums` Σ x, then Σ x² of its channels.
  std::vector<step> convolve(std::size_t b, int i) const {
    std::vector<step> steps;
    const target to = target_of(b, i);
    const block& block = plan_.blocks[b];
    const bool expands = block.kind == block_kind::final_expand;
    if (i == 0 && b > 0 && plan_.blocks[b - 1].kind == block_kind::max_pool)
      steps.push_back(max_pool(b - 1, at(before(b - 1)), at(before(b)), count_));
    if (block.kind == block_kind::stem) {
      step s = front(b, true, false, nullptr, at_.arena + to.offset);
      s.front.scale[0] = ones(), s.front.shift[0] = zeros(), s.front.stem_act = activation::identity;
      s.grid[1] = grid(count_);
      steps.push_back(s);
    } else if (block.has_dense()) {
      steps.push_back(dense_convolution(b, i, to));
    } else if (expands || block.norm_count() - i == 3) {
      const auto role = expands ? weight_role::output : weight_role::expand;
      add_plain_product(steps, b, before(b), role, to.offset, rows(to), block.in_channels, to.channels);
    } else if (block.norm_count() - i == 2) {
      const auto& taps = weights_.of(block, weight_role::depthwise);
      step s = plain_step(kernel_id::depthwise_alone, b, rows(to) * to.channels / 4);
      s.depthwise_alone = {.in = at(block.kind == block_kind::separable ? before(b) : layout_.expanded),
                           .taps = floats(taps),
                           .out = at(to.offset),
                           .images = count_,
                           .in_size = block.in_size,
                           .out_size = block.out_size,
                           .channels = block.mid_channels,
                           .pitch = taps.pitch,
                           .kernel = block.kernel,
                           .stride = block.stride};
      steps.push_back(s);
    } else {
      if (block.se_channels > 0) add_gates(steps, b);
      add_plain_product(steps, b, layout_.filtered, weight_role::output, to.offset, rows(to), block.mid_channels,
                        to.channels, block.se_channels > 0 ? to.size * to.size : 0);
    }
    add_sums(steps, b, to);
    return steps;
  }

  /// Batch norm i of block b with the scales and shifts in `norms`, activation and residual, in place.
  std::vector<step> normalise(std::size_t b, int i) const {
    const target to = target_of(b, i);
    const block& block = plan_.blocks[b];
    const bool last = i + 1 == block.norm_count();
    const float* const residual = !last                       ? nullptr
                                  : block.residual            ? at(before(b))
                                  : block.projects_shortcut() ? at(layout_.branch)
                                                              : nullptr;
    step s = plain_step(kernel_id::normalise, b, rows(to) * to.channels / 4);
    s.normalise = {.x = at(to.offset),
                   .scale = at(layout_.norms),
                   .shift = at(layout_.norms) + to.channels,
                   .residual = residual,
                   .rows = rows(to),
                   .channels = to.channels,
                   .act = block.norm_act(i),
                   .out_act = last ? block.out_act : activation::identity};
    return {s};
  }

  /// Picture n after the last batch norm → its logits.
  std::vector<step> logits(std::size_t n) const {
    std::vector<step> steps;
    const std::size_t last = plan_.pooling_block();
    const block& pooled = plan_.blocks[last];
    const int pixels = pooled.in_size * pooled.in_size;
    const float* const all = at(pooled.kind == block_kind::final_expand ? layout_.expanded : before(last));
    steps.push_back(
        pool(last, all + n * static_cast<std::size_t>(pixels * pooled.out_channels), pixels, pooled.out_channels, 1));
    std::size_t in = layout_.means;
    for (std::size_t b = last + 1; b < plan_.blocks.size(); ++b) {
      const std::size_t out = b + 1 < plan_.blocks.size() ? layout_.mixed : layout_.logits;
      add_dense(steps, b, at_.arena + in, at_.arena + out);
      in = out;
    }
    return steps;
  }

  /// How many values per channel the sums of convolution i of block b are of.
  std::int64_t pixels(std::size_t b, int i) const { return rows(target_of(b, i)); }

private:
  const calibration_layout& layout_;
  int count_;

  /// What a convolution writes: [count][size][size][channels].
  struct target {
    std::size_t offset;
    std::int32_t size, channels;
  };
  target target_of(std::size_t b, int i) const {
    const block& block = plan_.blocks[b];
    if (block.kind == block_kind::final_expand) return {layout_.expanded, block.in_size, block.out_channels};
    if (block.kind == block_kind::bottleneck && i >= 2)
      return {i == 2 && block.projects_shortcut() ? layout_.branch : layout_.outs[b % 2], block.out_size,
              block.out_channels};
    switch (block.kind == block_kind::bottleneck ? 3 - i : block.norm_count() - i) {
    case 3: return {layout_.expanded, block.in_size, block.mid_channels};
    case 2: return {layout_.filtered, block.out_size, block.mid_channels};
    default: return {layout_.outs[b % 2], block.out_size, block.out_channels};
    }
  }
  std::size_t before(std::size_t b) const { return layout_.outs[(b + 1) % 2]; }
  std::int64_t rows(const target& t) const { return std::int64_t(count_) * t.size * t.size; }
  float* at(std::size_t offset) const { return reinterpret_cast<float*>(at_.arena + offset); }

  const float* ones() const { return at(layout_.identity); }
  const float* zeros() const { return ones() + layout_.most_channels; }

  /// Convolution i of a bottleneck, or the one of a dense convolution, without what follows. The shortcut's input is
  /// averaged beside the reduction.
  step dense_convolution(std::size_t b, int i, const target& to) const {
    const block& of = plan_.blocks[b];
    dense_layer layer{.role = weight_role::output,
                      .norm = i,
                      .in = at_.arena + before(b),
                      .out = at_.arena + to.offset,
                      .in_size = to.size,
                      .out_size = to.size,
                      .in_channels = of.in_channels,
                      .images = count_};
    window_args beside{};
    if (of.kind == block_kind::convolution || i == 1) layer.kernel = of.kernel, layer.stride = of.stride;
    if (of.kind == block_kind::convolution) {
      layer.in_size = of.in_size;
    } else if (i == 0) {
      layer.role = weight_role::expand;
      if (of.projects_shortcut() && of.stride > 1)
        beside = {at(before(b)), at(layout_.averaged), count_, of.in_size, of.out_size, of.in_channels, of.stride};
    } else if (i == 1) {
      layer.role = weight_role::dense, layer.in = at_.arena + layout_.expanded, layer.in_size = of.in_size;
      layer.in_channels = of.mid_channels;
    } else if (i == 2) {
      layer.in = at_.arena + layout_.filtered, layer.in_channels = of.mid_channels;
    } else {
      layer.role = weight_role::shortcut;
      if (of.stride > 1) layer.in = at_.arena + layout_.averaged;
    }
    step s = convolutions(b, std::array{layer}, beside);
    convolution_args& a = s.convolution.of[0];
    a.scale = ones(), a.shift = zeros(), a.act = activation::identity;
    return s;
  }

  /// A thread per packet or value.
  step plain_step(kernel_id kernel, std::size_t b, std::int64_t threads) const {
    return new_step(kernel, b, most_threads, static_cast<std::int32_t>((threads + most_threads - 1) / most_threads));
  }
  /// in [m][k] → out [m][n] by a matrix of block b, without what follows; `gated`: in images of so many rows, each
  /// times its gates.
  void add_plain_product(std::vector<step>& steps, std::size_t b, std::size_t in, weight_role role, std::size_t out,
                         std::int64_t m, int k, int n, int gated = 0) const {
    const auto& w = weights_.of(plan_.blocks[b], role);
    add_product(steps, b,
                {.a = at_.arena + in,
                 .w = at_.weights + w.offset,
                 .gates = gated > 0 ? at_.arena + layout_.gates : nullptr,
                 .scale = nullptr,
                 .shift = nullptr,
                 .residual = nullptr,
                 .out = at_.arena + out,
                 .m = static_cast<std::int32_t>(m),
                 .k = k,
                 .n = n,
                 .pitch = w.pitch,
                 .pixels = std::max(gated, 1),
                 .act = activation::identity,
                 .float_out = false});
  }
  step pool(std::size_t b, const float* in, int pixels, int channels, int images) const {
    step s = new_step(kernel_id::mean_pool, b, most_threads, ceil_div(channels, channel_chunk), images);
    s.mean_pool = {in, at(layout_.means), pixels, channels};
    s.shared_bytes = most_threads * sizeof(float);
    return s;
  }
  /// Squeeze-excite of the depthwise output: mean, hidden layer, gates.
  void add_gates(std::vector<step>& steps, std::size_t b) const {
    const block& block = plan_.blocks[b];
    steps.push_back(pool(b, at(layout_.filtered), block.out_size * block.out_size, block.mid_channels, count_));
    add_plain_product(steps, b, layout_.means, weight_role::se_reduce, layout_.hidden, count_, block.mid_channels,
                      block.se_channels);
    steps.push_back(gate(b, at(layout_.hidden), 1, at_.arena + layout_.gates, count_));
  }
  void add_sums(std::vector<step>& steps, std::size_t b, const target& of) const {
    const std::int64_t all = rows(of);
    const std::int64_t of_part =
        std::max<std::int64_t>(256, (all + calibration_layout::most_parts - 1) / calibration_layout::most_parts);
    const auto parts = static_cast<std::int32_t>((all + of_part - 1) / of_part);
    auto* doubles = reinterpret_cast<double*>(at_.arena + layout_.parts);
    step s = new_step(kernel_id::sum_channels, b, most_threads, ceil_div(of.channels, channel_chunk), parts);
    s.sum_channels = {at(of.offset), doubles, all, of_part, of.channels};
    s.shared_bytes = 2 * most_threads * sizeof(double);
    steps.push_back(s);
    step total = plain_step(kernel_id::sum_parts, b, 2 * of.channels);
    total.sum_parts = {doubles, reinterpret_cast<double*>(at_.arena + layout_.sums), parts, 2 * of.channels};
    steps.push_back(total);
  }
};

} // namespace dynofa::backend::cuda_detail
