#pragma once
#include "dynofa/backend/cuda/launches.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace dynofa::backend::cuda_detail {

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
        b.project_act == activation::h_sigmoid || b.out_act == activation::h_sigmoid ||
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
class schedule : protected launches {
public:
  schedule(const packed_layout& weights, const plan& p, const arena_layout& arena, addresses at, device_limits device)
      : launches{weights, p, arena, at, device} {
    require_runnable(weights, p, p.batch, device.down);
  }
  using launches::cut;
  using launches::for_each_cut; ///< for profiles

  /// The whole network: image → logits.
  std::vector<step> network() const {
    std::vector<step> steps;
    int turn = 0;
    const auto place_of = [&](std::size_t b) {
      return plan_.blocks[b].output > 0 ? map_of(b) : b + 1 == plan_.blocks.size() ? logits_place() : buffer(turn ^= 1);
    };
    const bool together = is_one_launch(plan_.blocks[1]) && plan_.blocks[0].output <= 0;
    const std::size_t behind_front = together ? 2 : 1;
    std::byte* in = place_of(behind_front - 1);
    steps.push_back(front(0, true, together, nullptr, in));
    for (std::size_t b = behind_front; b < plan_.blocks.size(); ++b) {
      std::byte* const out = place_of(b);
      add_block(steps, b, in, out);
      in = out;
    }
    return steps;
  }
  /// Where block b's output lies if it is a named map, of all images of the batch.
  std::byte* map_of(std::size_t b) const { return at_.arena + arena_.maps + map_offset(plan_, b, weights_.values); }

  /// Block b alone: reads `ping` (the stem: `image`), writes `pong` (the classifier: `logits`).
  std::vector<step> block_alone(std::size_t b) const {
    std::vector<step> steps;
    const bool last = b + 1 == plan_.blocks.size();
    add_block(steps, b, buffer(0), last ? logits_place() : buffer(1));
    return steps;
  }
  /// An inverted residual alone, cut as given; nothing if its shares of the hidden layer do not fit the arena.
  std::vector<step> block_alone(std::size_t b, const tiles& cut) const {
    std::vector<step> steps;
    const block& of = plan_.blocks[b];
    const auto shares = static_cast<std::size_t>(plan_.batch * cut.count * ceil_div(of.mid_channels, channel_chunk)) *
                        static_cast<std::size_t>(of.se_channels) * sizeof(float);
    if (shares <= arena_.counters - arena_.partials) add_inverted_residual(steps, b, buffer(0), buffer(1), cut);
    return steps;
  }

protected:
  void add_block(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out) const {
    const block& b = plan_.blocks[index];
    switch (b.kind) {
    case block_kind::stem: steps.push_back(front(index, true, false, nullptr, out)); break;
    case block_kind::convolution:
      steps.push_back(convolutions(index, std::array{dense_layer{.role = weight_role::output,
                                                                 .norm = 0,
                                                                 .in = in,
                                                                 .out = out,
                                                                 .in_size = b.in_size,
                                                                 .out_size = b.out_size,
                                                                 .in_channels = b.in_channels,
                                                                 .kernel = b.kernel,
                                                                 .stride = b.stride,
                                                                 .residual = b.residual ? in : nullptr}}));
      break;
    case block_kind::max_pool: steps.push_back(max_pool(index, in, out, plan_.batch)); break;
    case block_kind::bottleneck: add_bottleneck(steps, index, in, out); break;
    case block_kind::average_pool: {
      step s = new_step(kernel_id::average_pool, index, average_pool_threads, ceil_div(b.in_channels, channel_chunk),
                        plan_.batch);
      s.window = {in, out, plan_.batch, b.in_size, 1, b.in_channels, b.in_size};
      s.shared_bytes = average_pool_bytes(weights_.values);
      steps.push_back(s);
      break;
    }
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
    a.image = reinterpret_cast<const float*>(image_place());
    a.in = in;
    a.out = out;
    if (with_stem) {
      a.stem = at_.weights + weights_.of(b, weight_role::output).offset;
      a.scale[0] = scale(index, 0), a.shift[0] = shift(index, 0), a.stem_act = b.act;
    }
    if (with_separable) {
      const block& second = plan_.blocks[separable];
      const auto& taps = weights_.of(second, weight_role::depthwise);
      a.depthwise = floats(taps), a.depthwise_pitch = taps.pitch;
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

  /// Three launches. What the shortcut needs is made beside the first and the second, and lies in `out` until the
  /// projection adds to it.
  void add_bottleneck(std::vector<step>& steps, std::size_t index, const std::byte* in, std::byte* out) const {
    const block& b = plan_.blocks[index];
    auto *middle = at_.arena + arena_.middle, *reduced = at_.arena + arena_.reduced;
    const std::size_t reduced_bytes =
        plan_.of_batch(std::int64_t(b.in_size) * b.in_size * b.mid_channels) * value_bytes(weights_.values);
    auto* averaged = reduced + whole_lines(reduced_bytes);
    const bool averages = b.projects_shortcut() && b.stride > 1;
    const dense_layer reduce{.role = weight_role::expand,
                             .norm = 0,
                             .in = in,
                             .out = reduced,
                             .in_size = b.in_size,
                             .out_size = b.in_size,
                             .in_channels = b.in_channels},
        dense{.role = weight_role::dense,
              .norm = 1,
              .in = reduced,
              .out = middle,
              .in_size = b.in_size,
              .out_size = b.out_size,
              .in_channels = b.mid_channels,
              .kernel = b.kernel,
              .stride = b.stride},
        shortcut{.role = weight_role::shortcut,
                 .norm = 3,
                 .in = averages ? averaged : in,
                 .out = out,
                 .in_size = b.out_size,
                 .out_size = b.out_size,
                 .in_channels = b.in_channels},
        project{.role = weight_role::output,
                .norm = 2,
                .in = middle,
                .out = out,
                .in_size = b.out_size,
                .out_size = b.out_size,
                .in_channels = b.mid_channels,
                .residual = b.residual ? in : out,
                .out_act = b.out_act};
    if (averages) {
      steps.push_back(convolutions(index, std::array{reduce},
                                   {in, averaged, plan_.batch, b.in_size, b.out_size, b.in_channels, b.stride}));
      steps.push_back(convolutions(index, std::array{dense, shortcut}));
    } else {
      steps.push_back(b.residual ? convolutions(index, std::array{reduce})
                                 : convolutions(index, std::array{reduce, shortcut}));
      steps.push_back(convolutions(index, std::array{dense}));
    }
    steps.push_back(convolutions(index, std::array{project}));
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
