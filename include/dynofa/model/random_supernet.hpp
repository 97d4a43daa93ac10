#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/model/supernet_io.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dynofa {

namespace detail {

/// The arrays of a seeded network: element i is a function of (seed, "weights/" + key, i).
struct seeded_arrays {
  const space_description& space;
  const network_layout& layout;
  std::uint64_t seed;

  /// Of an array, or of the matrix that makes it.
  std::vector<float> weights(const weight_array& w) const {
    const block& unit = layout.units[static_cast<std::size_t>(w.unit)];
    if (w.made_from >= 0) return near_identity(layout.transform_key(w), w.kernel * w.kernel);
    if (w.shape.size() == 1) return normals(layout.key(w), w.size(), 0.2); // a bias
    if (w.role() == weight_role::depthwise && unit.gene >= 0) return damped_rings(layout.key(w), w);
    double gain = w.row->gain;
    if (unit.act == activation::relu6 && (w.role() == weight_role::expand || unit.mid_channels == 0)) gain = 2;
    if (w.role() == weight_role::output && unit.mid_channels > 0) {
      if (unit.se_channels > 0) gain *= 4; // makes up for the gates
      if (unit.residual) gain *= 0.25;     // is added to the block's input
    }
    const auto fan_in = static_cast<double>(w.size()) / static_cast<double>(w.shape[0]);
    return normals(layout.key(w), w.size(), std::sqrt(gain / fan_in));
  }
  norm_parameters norm(const norm_array& n) const {
    const std::string key = layout.key(n);
    const auto channels = static_cast<std::size_t>(n.channels);
    return {draws(key + ".weight", channels, random_stream::uniform_of, 0.5), normals(key + ".bias", channels, 0.2),
            normals(key + ".running_mean", channels, 0.2),
            draws(key + ".running_var", channels, random_stream::uniform_of, 0.5)};
  }

  std::vector<float> draws(const std::string& key, std::size_t n, double (*of)(std::uint64_t, double), double x) const {
    const random_stream random(seed, "weights/" + key);
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(of(random.at(i), x));
    return values;
  }
  std::vector<float> normals(const std::string& key, std::size_t n, double deviation) const {
    return draws(key, n, random_stream::normal_of, deviation);
  }
  /// Depthwise kernels that are weaker in their outer rings.
  std::vector<float> damped_rings(const std::string& key, const weight_array& w) const {
    std::vector<float> values = normals(key, w.size(), std::sqrt(2 / 14.5));
    const int side = w.kernel, centre = side / 2;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const int at = static_cast<int>(i) % (side * side);
      const int ring = std::max(std::abs(at / side - centre), std::abs(at % side - centre));
      values[i] *= ring <= 1 ? 1.0f : ring == 2 ? 0.5f : 0.25f;
    }
    return values;
  }
  std::vector<float> near_identity(const std::string& key, int side) const {
    const auto n = static_cast<std::size_t>(side);
    std::vector<float> values = normals(key, n * n, 0.1 / std::sqrt(static_cast<double>(side)));
    for (std::size_t i = 0; i < n; ++i) values[i * (n + 1)] = 1.0f + values[i * (n + 1)];
    return values;
  }
};

} // namespace detail

/// A checkpoint of `space` with seeded random weights: the same bits for the same seed on every machine.
///
/// The gains keep activations near 0.3 … 20 and squeeze-excite gates inside (0, 1) for every sub-network, and the outer
/// rings of 7×7 kernels are damped, so that logits depend on every choice: good for tests and benchmarks without files.
inline state_dict random_checkpoint(const space_description& space, std::uint64_t seed) {
  const network_layout layout(space);
  const detail::seeded_arrays seeded{space, layout, seed};
  state_dict tensors;
  for (const weight_array& w : layout.weights) {
    const int side = w.kernel * w.kernel;
    if (w.made_from >= 0)
      tensors[layout.transform_key(w)] = tensor::of_floats(seeded.weights(w), {side, side});
    else
      tensors[layout.key(w)] = tensor::of_floats(seeded.weights(w), network_layout::checkpoint_shape(w));
  }
  const std::int64_t none = 0;
  for (const norm_array& n : layout.norms) {
    const auto put = [&, key = layout.key(n)](const char* what, tensor values) { tensors[key + what] = values; };
    const norm_parameters values = seeded.norm(n);
    put(".weight", tensor::of_floats(values.weight, {n.channels}));
    put(".bias", tensor::of_floats(values.bias, {n.channels}));
    put(".running_mean", tensor::of_floats(values.mean, {n.channels}));
    put(".running_var", tensor::of_floats(values.var, {n.channels}));
    put(".num_batches_tracked", tensor::of(std::span(&none, 1), {}, dtype::i64));
  }
  return tensors;
}

/// A super-network with seeded random weights: that of `random_checkpoint`.
inline supernet random_supernet(const space_description& space, std::uint64_t seed = 1) {
  supernet net(space);
  const detail::seeded_arrays seeded{space, net.layout, seed};
  for (std::size_t i = 0; i < net.weights.size(); ++i) net.weights[i] = seeded.weights(net.layout.weights[i]);
  make_smaller_kernels(net);
  for (std::size_t i = 0; i < net.norms.size(); ++i) net.norms[i] = seeded.norm(net.layout.norms[i]);
  return net;
}

} // namespace dynofa
