#pragma once
#include "dynofa/latency/extremes.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/space/sampling.hpp"

#include "support/tiny_space.hpp"
#include <cmath>

namespace support {

/// An accuracy with neighbours that matter to each other: a block is worth more after one of the same kernel.
struct landscape {
  double operator()(const dynofa::arch& a) const {
    double sum = 0;
    for (std::size_t g = 0; g < a.ks.size(); ++g) {
      if (!a.active(g)) continue;
      const double same = g % 4 && a.ks[g] == a.ks[g - 1] ? 0.6 : 0;
      const double wave = std::sin(double(a.ks[g] * 7 + int(a.e[g]) * 3) + 1.7 * double(g));
      sum += 1 + same + 0.5 * wave;
    }
    return 0.5 + 0.004 * sum + 0.0005 * a.r;
  }
};

inline const dynofa::space_description& small_space() { return tiny_space::description; }
inline dynofa::count_model small_costs() { return dynofa::count_model::macs(small_space()); }
inline double middle_cost() {
  const auto x = dynofa::find_extremes(small_costs().costs());
  return std::sqrt(x.least.cost * x.most.cost);
}

} // namespace support
