#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/model/supernet_io.hpp"

#include <cmath>
#include <string>
#include <utility>

namespace dynofa {

namespace detail {

/// One tensor of a seeded checkpoint: element i is a function of (seed, "weights/" + key, i).
class seeded_tensors {
public:
  explicit seeded_tensors(std::uint64_t seed)
      : seed_{seed} {}

  template <class Value>
  void put(const std::string& key, shape_type shape, Value value) {
    tensor t{.type = dtype::f32, .shape = shape, .bytes = {}, .owner = nullptr};
    std::vector<float> values(static_cast<std::size_t>(t.size()));
    const random_stream stream(seed_, "weights/" + key);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(stream.at(i), i);
    tensors[key] = tensor::of_floats(values, shape);
  }
  void normal(const std::string& key, shape_type shape, double std) {
    put(key, shape,
        [std](std::uint64_t u, std::size_t) { return static_cast<float>(random_stream::normal_of(u, std)); });
  }
  void convolution(const std::string& key, shape_type shape, double gain) {
    normal(key, shape, std::sqrt(gain / static_cast<double>(shape[1] * shape[2] * shape[3])));
  }
  void norm(const std::string& key, int channels) {
    const auto uniform = [](std::uint64_t u, std::size_t) {
      return static_cast<float>(random_stream::uniform_of(u, 0.5));
    };
    put(key + ".weight", {channels}, uniform);
    normal(key + ".bias", {channels}, 0.2);
    normal(key + ".running_mean", {channels}, 0.2);
    put(key + ".running_var", {channels}, uniform);
    const std::int64_t none = 0;
    tensors[key + ".num_batches_tracked"] = tensor::of(std::span(&none, 1), {}, dtype::i64);
  }

  state_dict tensors;

private:
  std::uint64_t seed_;
};

} // namespace detail

/// A checkpoint of `space` with seeded random weights: the same bits for the same seed on every machine.
///
/// The gains keep activations near 0.3 … 20 and squeeze-excite gates inside (0, 1) for every sub-network, and the outer
/// rings of 7×7 kernels are damped, so that logits depend on every choice: good for tests and benchmarks without files.
inline state_dict random_checkpoint(const space_description& space, std::uint64_t seed) {
  detail::seeded_tensors out(seed);
  using detail::shape_of_conv;
  out.convolution("first_conv.conv.weight", shape_of_conv(space.stem_width, 3, 3), 1);
  out.norm("first_conv.bn", space.stem_width);
  for (std::size_t i = 0; i <= space.block_genes(); ++i) {
    const block b = widest_block(space, i);
    const std::string key = text("blocks.", i, ".conv.");
    const std::string conv = i == 0 ? ".conv" : ".conv.conv", bn = i == 0 ? ".bn" : ".bn.bn";
    if (i > 0) {
      out.convolution(key + "inverted_bottleneck" + conv + ".weight", shape_of_conv(b.mid_channels, b.in_channels), 1);
      out.norm(key + "inverted_bottleneck" + bn, b.mid_channels);
    }
    const shape_type depthwise = shape_of_conv(b.mid_channels, 1, b.kernel);
    if (i == 0) {
      out.convolution(key + "depth_conv" + conv + ".weight", depthwise, 2);
    } else {
      const int side = b.kernel;
      out.put(key + "depth_conv" + conv + ".weight", depthwise, [side](std::uint64_t u, std::size_t index) {
        const int at = static_cast<int>(index) % (side * side), centre = side / 2;
        const int ring = std::max(std::abs(at / side - centre), std::abs(at % side - centre));
        const float damped = ring <= 1 ? 1.0f : ring == 2 ? 0.5f : 0.25f;
        return static_cast<float>(random_stream::normal_of(u, std::sqrt(2 / 14.5))) * damped;
      });
      const choices& kernels = space.stages[(i - 1) / space.blocks_per_stage()].kernels;
      for (std::size_t k = 0; k + 1 < kernels.size(); ++k) {
        const int to = kernels[k], n = to * to;
        out.put(text(key, "depth_conv.conv.", int(kernels[k + 1]), "to", to, "_matrix"), {n, n},
                [n](std::uint64_t u, std::size_t index) {
                  const float eye =
                      index / static_cast<std::size_t>(n) == index % static_cast<std::size_t>(n) ? 1.0f : 0.0f;
                  return eye + static_cast<float>(random_stream::normal_of(u, 0.1 / std::sqrt(static_cast<double>(n))));
                });
      }
    }
    out.norm(key + "depth_conv" + bn, b.mid_channels);
    if (const int hidden = b.se_channels) {
      const std::string se = key + "depth_conv.se.fc.";
      out.convolution(se + "reduce.weight", shape_of_conv(hidden, b.mid_channels), 2);
      out.normal(se + "reduce.bias", {hidden}, 0.2);
      out.convolution(se + "expand.weight", shape_of_conv(b.mid_channels, hidden), 8);
      out.normal(se + "expand.bias", {b.mid_channels}, 0.2);
    }
    double gain = 1.25;
    if ((i >= 5 && i <= 8) || i >= 13) gain *= 4;
    if (i == 0 || (i - 1) % 4 != 0) gain *= 0.25;
    out.convolution(key + "point_linear" + conv + ".weight", shape_of_conv(b.out_channels, b.mid_channels), gain);
    out.norm(key + "point_linear" + bn, b.out_channels);
  }
  out.convolution("final_expand_layer.conv.weight", shape_of_conv(space.final_width, space.stages.back().width), 1);
  out.norm("final_expand_layer.bn", space.final_width);
  out.convolution("feature_mix_layer.conv.weight", shape_of_conv(space.mix_width, space.final_width), 4);
  out.normal("classifier.linear.weight", {space.classes, space.mix_width}, std::sqrt(4.0 / space.mix_width));
  out.normal("classifier.linear.bias", {space.classes}, 0.2);
  return std::move(out.tensors);
}

/// A super-network with seeded random weights.
inline supernet random_supernet(const space_description& space, std::uint64_t seed = 1) {
  return make_supernet(space, random_checkpoint(space, seed));
}

} // namespace dynofa
