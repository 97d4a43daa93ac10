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
    std::vector<float> values(static_cast<std::size_t>(value_count(shape)));
    const random_stream stream(seed_, "weights/" + key);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(stream.at(i), i);
    tensors[key] = tensor::of_floats(values, shape);
  }
  void normal(const std::string& key, shape_type shape, double std) {
    put(key, shape,
        [std](std::uint64_t u, std::size_t) { return static_cast<float>(random_stream::normal_of(u, std)); });
  }
  void convolution(const std::string& key, shape_type shape, double gain) {
    double fan_in = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= static_cast<double>(shape[i]);
    normal(key, shape, std::sqrt(gain / fan_in));
  }
  /// Depthwise kernels that are weaker in their outer rings.
  void damped_rings(const std::string& key, shape_type shape) {
    const int side = static_cast<int>(shape[2]);
    put(key, shape, [side](std::uint64_t u, std::size_t index) {
      const int at = static_cast<int>(index) % (side * side), centre = side / 2;
      const int ring = std::max(std::abs(at / side - centre), std::abs(at % side - centre));
      const float damped = ring <= 1 ? 1.0f : ring == 2 ? 0.5f : 0.25f;
      return static_cast<float>(random_stream::normal_of(u, std::sqrt(2 / 14.5))) * damped;
    });
  }
  void near_identity(const std::string& key, int n) {
    put(key, {n, n}, [side = static_cast<std::size_t>(n)](std::uint64_t u, std::size_t index) {
      const float eye = index / side == index % side ? 1.0f : 0.0f;
      return eye + static_cast<float>(random_stream::normal_of(u, 0.1 / std::sqrt(static_cast<double>(side))));
    });
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
  const network_layout layout(space);
  for (const weight_array& w : layout.weights) {
    const block& unit = layout.units[static_cast<std::size_t>(w.unit)];
    if (w.made_from >= 0) {
      out.near_identity(layout.transform_key(w), w.kernel * w.kernel);
    } else if (w.shape.size() == 1) { // a bias
      out.normal(layout.key(w), w.shape, 0.2);
    } else if (w.role() == weight_role::depthwise && unit.gene >= 0) {
      out.damped_rings(layout.key(w), network_layout::checkpoint_shape(w));
    } else {
      double gain = w.row->gain;
      if (w.role() == weight_role::output && unit.mid_channels > 0) {
        if (unit.se_channels > 0) gain *= 4; // makes up for the gates
        const bool first_of_stage =
            unit.gene >= 0 && static_cast<std::size_t>(unit.gene) ==
                                  space.first_block(space.stage_of(static_cast<std::size_t>(unit.gene)));
        if (!first_of_stage) gain *= 0.25; // is added to the block's input
      }
      out.convolution(layout.key(w), network_layout::checkpoint_shape(w), gain);
    }
  }
  for (const norm_array& n : layout.norms) out.norm(layout.key(n), n.channels);
  return std::move(out.tensors);
}

/// A super-network with seeded random weights.
inline supernet random_supernet(const space_description& space, std::uint64_t seed = 1) {
  return make_supernet(space, random_checkpoint(space, seed));
}

} // namespace dynofa
