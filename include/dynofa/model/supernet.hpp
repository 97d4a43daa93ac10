#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/model/layout.hpp"
#include "dynofa/space/arch.hpp"

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace dynofa {

/// Learnable scale and shift of a batch norm, and the running statistics the checkpoint came with (those of the largest
/// sub-network: use them for no other).
struct norm_parameters {
  std::vector<float> weight, bias, mean, var; ///< one per channel at full width
};

/// The super-network: immutable weights that every sub-network, level and backend shares.
///
/// Arrays stand in the order of `layout` (model/layout.hpp says which there are), row-major at full width; a
/// sub-network reads prefixes. Kernel transforms are applied once, when it is made, so that a switch of kernel size
/// needs no arithmetic later.
struct supernet {
  space_description space;                 ///< that its sub-networks are of
  network_layout layout;                   ///< of `space`
  std::vector<std::vector<float>> weights; ///< as layout.weights
  std::vector<norm_parameters> norms;      ///< as layout.norms
  /// Set when the file held one extracted sub-network: the only architecture these weights are good for.
  std::optional<arch> only;

  supernet() = default;
  /// With room for every array, still empty.
  explicit supernet(const space_description& of)
      : space{of}
      , layout{of}
      , weights(layout.weights.size())
      , norms(layout.norms.size()) {}

  /// The array that block `b` reads a prefix of. It must have one of this role: look at the block's kind and widths.
  const std::vector<float>& array(const block& b, weight_role role) const {
    return weights[layout.find(b, role).value()];
  }
  /// The same to fill: for whoever makes a super-network.
  std::vector<float>& array(const block& b, weight_role role) { return weights[layout.find(b, role).value()]; }
  /// Batch norm i of block b.
  const norm_parameters& norm(const block& b, int i) const { return norms[layout.norm_index(b, i)]; }

  /// Tells super-networks of one space apart, at a glance: a hash of some weights of every array and of all batch
  /// norms. What is packed from a super-network carries it. Cost: 0.1 ms; `hash` is exact.
  std::uint64_t fingerprint() const {
    std::uint64_t h = 0;
    const auto add = [&](const std::vector<float>& values, std::size_t step) {
      for (std::size_t i = 0; i < values.size(); i += step) h = mix64(h ^ std::bit_cast<std::uint32_t>(values[i]));
      h = mix64(h ^ values.size());
    };
    for (const auto& w : weights) add(w, w.size() / 32 + 1);
    for (const auto& n : norms) add(n.weight, 1), add(n.bias, 1);
    return h;
  }

  /// Identifies the weights: a hash of every learnable value, so statistics measured on one super-network are refused
  /// on another. Reads all weights once (about 5 ms for w = 1.2).
  std::uint64_t hash() const {
    std::uint64_t h = 0;
    const auto add = [&](const std::vector<float>& values) {
      for (float v : values) h = (h ^ std::bit_cast<std::uint32_t>(v)) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
      h = mix64(h ^ values.size());
    };
    using enum weight_role;
    for (block u : layout.units) {
      // Files hold hashes, so their form stands: in these blocks the parts that one lacks count as empty arrays.
      const bool is_block = u.kind == block_kind::separable || u.kind == block_kind::inverted_residual;
      const auto add_array = [&](weight_role role) {
        if (const auto i = layout.find(u, role))
          add(weights[*i]);
        else if (is_block && role != output_bias)
          add({});
      };
      for (const weight_role role : {expand, se_reduce, se_reduce_bias, se_expand, se_expand_bias, output})
        add_array(role);
      for (const weight_role role : {dense, shortcut})
        if (!is_block) add_array(role);
      if (is_block)
        for (u.kernel = 3; u.kernel <= 7; u.kernel += 2) add_array(depthwise);
      const auto own_norms = layout.norms_of(u.unit);
      for (const norm_array& n : own_norms) {
        const norm_parameters& values = norms[static_cast<std::size_t>(&n - layout.norms.data())];
        add(values.weight), add(values.bias);
      }
      for (std::size_t i = own_norms.size(); is_block && i < 3; ++i) add({}), add({});
      add_array(output_bias);
    }
    return h;
  }
};

using supernet_ptr = std::shared_ptr<const supernet>; ///< Shared by sessions, families and whatever packed it.

/// Visits everything that a super-network holds once, in order: `visit(name in family files, values, shape)`. The
/// kernels of each size are there as the transforms made them, so reading them back costs no arithmetic and gives the
/// same bits.
template <class Net, class Visit>
void visit_weights(Net& net, Visit visit) {
  for (std::size_t i = 0; i < net.weights.size(); ++i)
    visit(net.layout.name(net.layout.weights[i]), net.weights[i], net.layout.weights[i].shape);
  for (std::size_t i = 0; i < net.norms.size(); ++i) {
    auto& n = net.norms[i];
    const std::string name = net.layout.name(net.layout.norms[i]);
    const shape_type shape{net.layout.norms[i].channels};
    visit(name + ".weight", n.weight, shape);
    visit(name + ".bias", n.bias, shape);
    visit(name + ".mean", n.mean, shape);
    visit(name + ".var", n.var, shape);
  }
}

/// Weights of a convolution, [out][in][taps] → [out][depth] in the order (tap, input) in which images that interleave
/// their channels are read; `depth` is at least in · taps, what it has more is zero.
inline std::vector<float> taps_first(const std::vector<float>& weights, std::size_t in, std::size_t taps,
                                     std::size_t depth) {
  const std::size_t columns = in * taps, rows = weights.size() / columns;
  std::vector<float> turned(rows * depth);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < columns; ++i)
      turned[row * depth + i % taps * in + i / taps] = weights[row * columns + i];
  return turned;
}

} // namespace dynofa
