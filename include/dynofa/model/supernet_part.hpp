#pragma once
#include "dynofa/model/plan.hpp"
#include "dynofa/model/supernet.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace dynofa {

namespace detail {

/// The first rows and columns of `from`, densely.
inline std::vector<float> prefix_of(const std::vector<float>& from, const weight_extent& e) {
  std::vector<float> slice;
  slice.reserve(e.size());
  for (std::ptrdiff_t r = 0; r < e.rows; ++r)
    slice.insert(slice.end(), from.begin() + r * e.pitch, from.begin() + r * e.pitch + e.columns);
  return slice;
}

} // namespace detail

/// How much of a super-network's arrays some plans read between them: the levels of a family need not hold what no
/// level runs.
struct supernet_part {
  std::vector<weight_extent> weights; ///< as supernet::weights; 0 rows: no plan reads the array

  /// Every array, whole.
  static supernet_part all(const supernet& net) {
    supernet_part part;
    for (const weight_array& w : net.layout.weights) part.weights.push_back(w.extent());
    return part;
  }
  /// Throws errc::mismatch for a plan of another space.
  static supernet_part of(const supernet& net, std::span<const plan> plans) {
    supernet_part part;
    for (const weight_array& w : net.layout.weights) part.weights.push_back({0, 0, w.extent().pitch});
    for (const plan& p : plans) {
      if (!(p.space == net.space))
        throw error(errc::mismatch, "part of a super-network", "plans of its space", text("one of another, ", p.arch));
      for (const block& b : p.blocks)
        for_each_array(net.layout, b, [&](std::size_t i, const weight_extent& read) {
          weight_extent& have = part.weights[i];
          have.rows = std::max(have.rows, read.rows), have.columns = std::max(have.columns, read.columns);
        });
    }
    return part;
  }

  /// Whether everything that the block reads lies in this part.
  bool holds(const network_layout& layout, const block& b) const {
    bool all = true;
    for_each_array(layout, b, [&](std::size_t i, const weight_extent& read) {
      all = all && read.rows <= weights[i].rows && read.columns <= weights[i].columns;
    });
    return all;
  }

  /// `visit(index of the array, what the block reads of it)`
  template <class Visit>
  static void for_each_array(const network_layout& layout, const block& b, Visit visit) {
    for (const weight_array& w : layout.weights_of(b.unit))
      if (w.role() != weight_role::depthwise || w.kernel == b.kernel) visit(layout.index_of(w), w.extent_in(b));
  }
};

} // namespace dynofa
