#pragma once
#include "dynofa/backend/cuda/packed.hpp"
#include "dynofa/backend/cuda/tiles.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace dynofa::backend::cuda_detail {

/// Whether block 0 is one launch: its kernel keeps 32 channels and adds its input to its output.
inline bool is_one_launch(const block& separable) {
  return separable.residual && separable.in_channels == separable.out_channels &&
         separable.mid_channels <= channel_chunk;
}

/// Where the activations of one stream lie: offsets into one allocation that serves every level.
struct arena_layout {
  std::size_t image = 0, ping = 0, pong = 0, middle = 0, partials = 0, gates = 0, logits = 0, bytes = 0;

  /// Whether every buffer is at least as large as the other layout's.
  bool holds(const arena_layout& other) const {
    const std::size_t arena_layout::*const starts[] = {
        &arena_layout::image,    &arena_layout::ping,  &arena_layout::pong,   &arena_layout::middle,
        &arena_layout::partials, &arena_layout::gates, &arena_layout::logits, &arena_layout::bytes};
    for (std::size_t i = 0; i + 1 < std::size(starts); ++i)
      if (this->*starts[i + 1] - this->*starts[i] < other.*starts[i + 1] - other.*starts[i]) return false;
    return true;
  }

  arena_layout() = default;
  arena_layout(std::span<const plan> plans, precision p, device_limits device) {
    std::size_t image_size = 0, activation = 0, mid = 0, shares = 0, gate = 0, classes = 0;
    for (const plan& q : plans) {
      const auto batch = static_cast<std::size_t>(q.batch);
      for (const block& b : q.blocks) {
        if (b.kind == block_kind::stem) image_size = std::max(image_size, batch * std::size_t(b.in_values()) * 4);
        for (const auto values : {b.kind == block_kind::stem ? 0 : b.in_values(), b.out_values()})
          activation = std::max(activation, batch * std::size_t(values) * value_bytes(p));
        if (b.kind != block_kind::inverted_residual && (b.kind != block_kind::separable || is_one_launch(b))) continue;
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

/// Throws errc::mismatch for a plan of another space, errc::unsupported for activations that the fused kernels have not
/// built in and for more images than grids can number: thread blocks are numbered by image, rows of pixels by an int.
inline void require_runnable(const packed_layout& weights, const plan& p, std::int64_t images,
                             std::int32_t down = most_down) {
  if (!(p.space == weights.space))
    throw error(errc::mismatch, "cuda backend bind", "a plan of the packed super-network's space",
                text("a plan of another space, ", p.arch));
  std::int64_t most = down;
  for (const block& b : p.blocks) {
    if (b.se_act != activation::relu || b.se_gate != activation::h_sigmoid || b.act == activation::h_sigmoid ||
        b.project_act == activation::h_sigmoid ||
        (b.kind == block_kind::separable && b.project_act != activation::identity))
      throw error(errc::unsupported, "cuda backend bind", "activations that its kernels compute",
                  text("another in unit ", b.unit));
    const std::int64_t pixels = std::int64_t(b.out_size) * b.out_size;
    most = std::min(most, std::numeric_limits<std::int32_t>::max() / pixels);
  }
  if (images > most)
    throw error(errc::unsupported, "cuda backend bind", text("a batch of at most ", most, " images"), text(images));
}

/// The launches of a level. Blocks read one of two activation buffers and write the other; stem and block 0 are one
/// launch where it can be, an inverted residual two, or three with squeeze-excite, the head three.
class schedule {
public:
  schedule(const packed_layout& weights, const plan& p, const arena_layout& arena, addresses at, device_limits device)
      : weights_{weights}
      , plan_{p}
      , arena_{arena}
      , at_{at}
      , device_{device} {
    require_runnable(weights, p, p.batch, device.down);
  }

  /// The whole network: image → logits, both in the arena.
  std::vector<step> network() const {
    std::vector<step> steps;
    const bool together = is_one_launch(plan_.blocks[1]);
    steps.push_back(front(0, true, together, nullptr, buffer(0)));
    int from = 0;
    for (std::size_t b = together ? 2 : 1; b < plan_.blocks.size(); ++b, from ^= 1) {
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

  void add_block(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out) const {
    const block& b = plan_.blocks[index];
    switch (b.kind) {
    case block_kind::stem: steps.push_back(front(index, true, false, nullptr, out)); break;
    case block_kind::separable: add_separable(steps, index, in, out); break;
    case block_kind::inverted_residual:
      add_inverted_residual(steps, index, in, out, tiles_of(b, weights_.values, plan_.batch, device_));
      break;
    case block_kind::final_expand: {
      const auto& w = weights_.of(b, weight_role::output);
      step s = new_step(kernel_id::expand_pool, index, 32 * std::min(4, ceil_div(b.in_size * b.in_size, 32)),
                        ceil_div(b.out_channels, channel_chunk), plan_.batch);
      s.expand_pool = {.in = in,
                       .w = at_.weights + w.offset,
                       .scale = scale(index, 0),
                       .shift = shift(index, 0),
                       .out = out,
                       .pixels = b.in_size * b.in_size,
                       .k = b.in_channels,
                       .n = b.out_channels,
                       .pitch = w.pitch,
                       .act = b.act};
      s.shared_bytes = expand_pool_bytes(weights_.values, b.in_channels, s.threads / 32);
      steps.push_back(s);
      break;
    }
    case block_kind::feature_mix:
    case block_kind::classifier: add_dense(steps, index, in, out); break;
    }
  }

  /// Stem, block 0 or both; `index` is the first of them.
  step front(std::size_t index, bool with_stem, bool with_separable, const std::byte* in, std::byte* out) const {
    const std::size_t separable = with_stem ? index + 1 : index;
    const block& b = plan_.blocks[index];
    const int tiles_across = ceil_div(b.out_size, front_tile);
    step s = new_step(kernel_id::front, index, 128, tiles_across * tiles_across, plan_.batch);
    const int channels = with_stem ? b.out_channels : b.mid_channels;
    s.grid[2] = grid(ceil_div(channels, channel_chunk));
    front_args& a = s.front;
    a = {};
    a.image = reinterpret_cast<const float*>(at_.arena + arena_.image);
    a.in = in;
    a.out = out;
    if (with_stem) {
      a.stem = at_.weights + weights_.of(b, weight_role::output).offset;
      a.scale[0] = scale(index, 0), a.shift[0] = shift(index, 0), a.stem_act = b.act;
    }
    if (with_separable) {
      const block& second = plan_.blocks[separable];
      a.depthwise = floats(weights_.of(second, weight_role::depthwise));
      if (is_one_launch(second)) {
        const auto& project = weights_.of(second, weight_role::output);
        a.project = at_.weights + project.offset;
        a.project_pitch = project.pitch;
      }
      for (int i = 0; i < 2; ++i) a.scale[i + 1] = scale(separable, i), a.shift[i + 1] = shift(separable, i);
      a.act = second.act;
    }
    a.image_size = b.in_size;
    a.size = b.out_size;
    a.channels = channels;
    a.tiles_across = tiles_across;
    a.with_stem = with_stem, a.with_separable = with_separable;
    s.shared_bytes = front_room(weights_.values).bytes;
    return s;
  }

  void add_separable(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out) const {
    const block& b = plan_.blocks[index];
    if (is_one_launch(b)) return steps.push_back(front(index, false, true, in, out));
    auto* middle = at_.arena + arena_.middle;
    steps.push_back(front(index, false, true, in, middle));
    add_projection(steps, index, middle, nullptr, 1, in, out);
  }

  void add_inverted_residual(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out,
                             const tiles& cut) const {
    const block& b = plan_.blocks[index];
    const auto &expand = weights_.of(b, weight_role::expand), &taps = weights_.of(b, weight_role::depthwise);
    const bool gated = b.se_channels > 0;
    const auto se_reduce = gated ? weights_.of(b, weight_role::se_reduce) : packed_layout::matrix{};
    const int chunks = ceil_div(b.mid_channels, channel_chunk);
    auto* middle = at_.arena + arena_.middle;
    auto* partials = reinterpret_cast<float*>(at_.arena + arena_.partials);
    auto* gates = at_.arena + arena_.gates;

    step first = new_step(kernel_id::expand_depthwise, index, cut.threads, chunks, cut.count);
    first.depthwise_size = b.kernel, first.stride = b.stride;
    first.expand_depthwise = {.in = in,
                              .expand = at_.weights + expand.offset,
                              .depthwise = floats(taps),
                              .se_reduce = gated ? at_.weights + se_reduce.offset : nullptr,
                              .scale = {scale(index, 0), scale(index, 1)},
                              .shift = {shift(index, 0), shift(index, 1)},
                              .out = middle,
                              .partials = partials,
                              .in_size = b.in_size,
                              .out_size = b.out_size,
                              .in_channels = b.in_channels,
                              .mid_channels = b.mid_channels,
                              .hidden = b.se_channels,
                              .expand_pitch = expand.pitch,
                              .depthwise_pitch = taps.pitch,
                              .se_reduce_pitch = se_reduce.pitch,
                              .tile_height = cut.height,
                              .tile_width = cut.width,
                              .tiles_across = cut.across,
                              .act = b.act};
    first.grid[2] = grid(plan_.batch);
    first.shared_bytes = cut.shared_bytes;
    steps.push_back(first);

    if (gated) steps.push_back(gate(index, partials, chunks * cut.count, gates, plan_.batch));

    add_projection(steps, index, middle, gated ? gates : nullptr, 2, in, out);
  }

  /// What ends a block: `middle`, times the gates if there are any, through the projection and batch norm `norm`, plus
  /// the block's input where it is residual.
  void add_projection(std::vector<step>& steps, std::size_t index, const std::byte* middle, const std::byte* gates,
                      int norm, const std::byte* in, std::byte* out) const {
    const block& b = plan_.blocks[index];
    const auto& project = weights_.of(b, weight_role::output);
    const int pixels = b.out_size * b.out_size;
    add_product(steps, index,
                {.a = middle,
                 .w = at_.weights + project.offset,
                 .gates = gates,
                 .scale = scale(index, norm),
                 .shift = shift(index, norm),
                 .residual = b.residual ? in : nullptr,
                 .out = out,
                 .m = plan_.batch * pixels,
                 .k = b.mid_channels,
                 .n = b.out_channels,
                 .pitch = project.pitch,
                 .pixels = pixels,
                 .act = b.project_act,
                 .float_out = false});
  }

  /// Squeeze-excite behind the first product: `parts` shares of the hidden layer → gates, per image.
  step gate(std::size_t index, const float* partials, int parts, std::byte* gates, int images) const {
    const block& b = plan_.blocks[index];
    const auto& expand = weights_.of(b, weight_role::se_expand);
    step s = new_step(kernel_id::gate, index, gate_room::threads, ceil_div(b.mid_channels, channel_chunk), images);
    s.gate = {.partials = partials,
              .reduce_bias = floats(weights_.of(b, weight_role::se_reduce_bias)),
              .expand_bias = floats(weights_.of(b, weight_role::se_expand_bias)),
              .se_expand = at_.weights + expand.offset,
              .gates = gates,
              .parts = parts,
              .hidden = b.se_channels,
              .mid_channels = b.mid_channels,
              .pitch = expand.pitch};
    s.shared_bytes = gate_room(weights_.values, b.se_channels).bytes;
    return s;
  }

  /// A fully connected layer on one vector per image.
  void add_dense(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out) const {
    const block& b = plan_.blocks[index];
    const auto& w = weights_.of(b, weight_role::output);
    add_product(steps, index,
                {.a = in,
                 .w = at_.weights + w.offset,
                 .gates = nullptr,
                 .scale = nullptr,
                 .shift = bias_of(b),
                 .residual = nullptr,
                 .out = out,
                 .m = plan_.batch,
                 .k = b.in_channels,
                 .n = b.out_channels,
                 .pitch = w.pitch,
                 .pixels = 1,
                 .act = b.act,
                 .float_out = b.output >= 0});
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
