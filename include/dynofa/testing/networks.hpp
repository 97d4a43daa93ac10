#pragma once
#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/reference_int8.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/model/random_supernet.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Seeded networks with every block that the library knows, and the reference backend's word on them.

namespace dynofa::conformance {

/// A space with every inverted residual that the library knows: eight stages of two blocks for each (stride,
/// activation, squeeze-excite), every kernel in each; channels that are and are not multiples of 16.
inline space_description every_block() {
  space_description d;
  d.stem_width = 24;
  const int widths[] = {16, 24, 40, 32, 48, 24, 56, 72}, strides[] = {1, 2, 1, 2, 2, 1, 2, 1};
  for (std::size_t s = 0; s < 8; ++s)
    d.stages.push_back({.width = widths[s],
                        .stride = strides[s],
                        .act = s / 2 % 2 == 0 ? activation::relu : activation::h_swish,
                        .squeeze_excite = s % 2 == 1,
                        .depths = {1, 2},
                        .expands = {3, 4, 6},
                        .kernels = {3, 5, 7}});
  d.final_width = 88, d.mix_width = 40, d.classes = 10;
  d.resolutions = {64};
  return d;
}

/// ResNet-50D as small: a deep stem, and bottlenecks at either stride whose shortcut is their input or has a
/// convolution of its own; channels that are and are not multiples of 16, a choice of widths, dense kernels of 3×3 and
/// 5×5.
inline space_description every_bottleneck() {
  space_description d;
  d.stem_width = 24, d.stem_act = activation::relu;
  d.widths = {0.65, 0.8, 1};
  stage_description stem;
  stem.width = 40, stem.act = activation::relu, stem.depths = {0, 2}, stem.kind = block_kind::stem;
  d.stages.push_back(stem);
  const int widths[] = {64, 88, 96}, strides[] = {1, 2, 2};
  const std::uint8_t kernels[] = {3, 3, 5};
  for (std::size_t s = 0; s < 3; ++s)
    d.stages.push_back({.width = widths[s],
                        .stride = strides[s],
                        .act = activation::relu,
                        .depths = {0, 1},
                        .expands = {0.2, 0.25, 0.35},
                        .kernels = {kernels[s]},
                        .blocks = 2,
                        .fixed_blocks = 1,
                        .kind = block_kind::bottleneck});
  d.final_width = d.mix_width = 0, d.classes = 10;
  d.resolutions = {64};
  return d;
}

/// The deepest architecture whose blocks have kernels, expand ratios and widths in turn, starting at `first`.
inline arch varied_arch(const space_description& space, int resolution, std::size_t first) {
  arch a = largest(space);
  for (std::size_t i = 0; i < a.ks.size(); ++i) {
    const stage_description& stage = space.stages[space.stage_of(i)];
    a.ks[i] = stage.kernels[(i + first) % stage.kernels.size()];
    a.e[i] = stage.expands[(i + i / 3 + first) % stage.expands.size()];
  }
  for (std::size_t i = 0; i < a.w.size(); ++i) a.w[i] = static_cast<std::uint8_t>((i + first) % space.widths.size());
  a.r = static_cast<std::uint16_t>(resolution);
  return a;
}

/// `n` standard normal numbers, the same for the same seed on every machine.
inline std::vector<float> normals(std::size_t n, std::uint64_t seed) {
  random_stream stream{seed, "input"};
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(stream.normal());
  return v;
}

/// Largest difference, in units of the root mean square of `wanted`. NaN where a value is none.
inline double difference(std::span<const float> got, std::span<const float> wanted) {
  double worst = 0, power = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double d = std::abs(double(got[i]) - double(wanted[i]));
    if (!(d <= worst) && !std::isnan(worst)) worst = d; // NaN sticks
    power += double(wanted[i]) * double(wanted[i]);
  }
  return worst / std::max(1e-3, std::sqrt(power / double(wanted.size())));
}

/// Scales and shifts from the checkpoint's own statistics, which differ from channel to channel.
inline scale_shift norms_of(const supernet& net, const plan& p) { return fold(net, p, stored_statistics(net, p)); }

/// The lowest and highest value of everything that an int8 level keeps as bytes, of one image.
inline activation_ranges ranges_of(const supernet& net, const plan& p, const scale_shift& norms,
                                   std::span<const float> image) {
  namespace plain = backend::plain;
  using backend::image_tensor;
  const backend::reference judge;
  auto net_ptr = std::make_shared<const supernet>(net);
  auto level = judge.bind(judge.pack(net_ptr), p, norms);
  level.plan.batch = 1;
  auto space = judge.make_workspace(std::span(&level.plan, 1));
  activation_ranges ranges;
  const auto see = [&](const image_tensor& x, bool per_channel) {
    const std::size_t channels = per_channel ? x.shape(2) : 1, at = ranges.low.size();
    ranges.low.resize(at + channels), ranges.high.resize(at + channels);
    for (std::size_t i = 0; i < x.size(); ++i) {
      float &low = ranges.low[at + i % channels], &high = ranges.high[at + i % channels];
      low = std::min(low, x.data()[i]), high = std::max(high, x.data()[i]);
    }
  };
  std::vector<float> in(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(p.blocks[0].in_values()));
  for (std::size_t i = 0; i < p.blocks.size(); ++i) {
    const block& b = p.blocks[i];
    image_tensor x =
        image_tensor::from_shape({std::size_t(b.in_size), std::size_t(b.in_size), std::size_t(b.in_channels)});
    std::copy(in.begin(), in.end(), x.begin());
    const auto normalise = [&](int n) {
      const auto& of = p.norms[static_cast<std::size_t>(p.first_norm(i) + n)];
      const auto first = static_cast<std::size_t>(of.offset), count = static_cast<std::size_t>(of.channels);
      plain::normalise(x, std::span(norms.scale).subspan(first, count), std::span(norms.shift).subspan(first, count),
                       b.act);
    };
    if (b.kind == block_kind::inverted_residual || b.kind == block_kind::final_expand) see(x, false);
    if (b.kind == block_kind::inverted_residual) {
      x = plain::pointwise(x, net, b, weight_role::expand);
      normalise(0), see(x, true);
      x = plain::depthwise(x, net.array(b, weight_role::depthwise), b.kernel, b.stride);
      normalise(1);
      if (b.se_channels > 0) see(x, true), plain::squeeze_excite(x, net, b);
      see(x, false);
    }
    std::vector<float> out(static_cast<std::size_t>(b.out_values()));
    judge.run_block(level, space, i, in, out);
    in = std::move(out);
  }
  return ranges;
}

/// A sub-network, and what the reference makes of it: judged once, however many backends are compared.
struct truth {
  plan of;                                 ///< the sub-network
  scale_shift norms;                       ///< of its batch norms
  std::vector<std::vector<float>> tensors; ///< the images, then every block's output

  /// By the reference backend, in fp32.
  truth(const supernet_ptr& net, const plan& p)
      : truth{net, p, norms_of(*net, p), backend::reference{}} {}
  /// As an int8 level, by the integer rule.
  static truth in_bytes(const supernet_ptr& net, const plan& p, byte_weight_rule rule = byte_weight_rule::full) {
    scale_shift norms = norms_of(*net, p);
    norms.ranges = ranges_of(*net, p, norms, normals(static_cast<std::size_t>(p.blocks[0].in_values()), 7));
    return {net, p, std::move(norms), backend::reference_int8::by(rule)};
  }
  /// By any backend, for a level with these norms.
  template <class Judge>
  truth(const supernet_ptr& net, const plan& p, scale_shift given, const Judge& judge)
      : of{p}
      , norms{std::move(given)} {
    auto level = judge.bind(judge.pack(net), p, norms);
    auto space = judge.make_workspace(std::span(&p, 1));
    const auto batch = static_cast<std::size_t>(p.batch);
    tensors.push_back(normals(batch * static_cast<std::size_t>(p.blocks[0].in_values()), 7));
    for (std::size_t b = 0; b < p.blocks.size(); ++b) {
      std::vector<float> out(batch * static_cast<std::size_t>(p.blocks[b].out_values()));
      judge.run_block(level, space, b, tensors.back(), out);
      tensors.push_back(std::move(out));
    }
  }
  std::span<const float> images() const { return tensors.front(); } ///< [N,r,r,3]
  std::span<const float> logits() const { return tensors.back(); }  ///< [N,classes]
  /// For sentences: the architecture, and the batch if it is more than one image.
  std::string name() const { return text(of.arch, of.batch > 1 ? text(", ", of.batch, " images") : ""); }
};

/// The networks that backends are held to.
class suite {
public:
  /// Every block of MobileNetV3 that the library knows: odd and even image sizes down to a single pixel, batches of 1
  /// and 3. Costs a second of the reference backend.
  static suite of_every_block(std::span<const int> sizes = default_sizes,
                              std::optional<byte_weight_rule> in_bytes = {}) {
    suite s{std::make_shared<const supernet>(random_supernet(every_block(), 3))};
    s.in_bytes = in_bytes;
    s.add_varied(sizes);
    s.add(varied_arch(s.net->space, sizes[sizes.size() / 2], 1), 3);
    return s;
  }
  /// The blocks of ResNet-50D, for backends that have them: image sizes down to a single pixel, batches of 1 and 3.
  static suite of_bottlenecks(std::span<const int> sizes = bottleneck_sizes) {
    suite s{std::make_shared<const supernet>(random_supernet(every_bottleneck(), 3))};
    s.add_varied(sizes);
    s.add(smallest(s.net->space), 3); // without the residual convolution of the deep stem
    return s;
  }
  /// A suite without networks yet.
  explicit suite(supernet_ptr of)
      : net{std::move(of)} {}
  /// One more sub-network; its resolution may be any.
  void add(const arch& a, int batch = 1) { networks.push_back(judged(make_plan(net->space, a, batch, true))); }
  /// What the reference, or the integer rule, makes of `p`.
  truth judged(const plan& p) const { return in_bytes ? truth::in_bytes(net, p, *in_bytes) : truth(net, p); }
  /// At each size sub-networks that start with each kernel: together they have all variants of every block.
  void add_varied(std::span<const int> sizes) {
    for (const std::size_t first : {0u, 1u, 2u})
      for (const int size : sizes) add(varied_arch(net->space, size, first));
  }

  static constexpr int default_sizes[] = {97, 64, 23, 8}, bottleneck_sizes[] = {53, 8}; ///< sides of images in pixels
  supernet_ptr net;                                                                     ///< that all networks are of
  std::optional<byte_weight_rule> in_bytes; ///< int8 levels, judged by the integer rule
  std::vector<truth> networks;              ///< in the order in which they are run
};

} // namespace dynofa::conformance
