#pragma once
#include "dynofa/backend/reference.hpp"
#include "dynofa/core/random.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/space/search_space.hpp"

#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <vector>

// Small super-networks that meet every case of the CPU kernels, and what the tests compare.

namespace cpu_tests {

/// Eight stages of two blocks: every (stride, activation, squeeze-excite), every kernel; channels that are and are not
/// multiples of 16.
inline dynofa::space_description every_block() {
  using dynofa::activation;
  dynofa::space_description d;
  d.stem_width = 24;
  const int widths[] = {16, 24, 40, 32, 48, 24, 56, 72};
  const bool excite[] = {false, true, false, true, false, true, false, true};
  const int strides[] = {1, 2, 1, 2, 2, 1, 2, 1};
  const activation acts[] = {activation::relu, activation::relu, activation::h_swish, activation::h_swish,
                             activation::relu, activation::relu, activation::h_swish, activation::h_swish};
  for (std::size_t s = 0; s < 8; ++s)
    d.stages.push_back({.width = widths[s],
                        .stride = strides[s],
                        .act = acts[s],
                        .squeeze_excite = excite[s],
                        .depths = {1, 2},
                        .expands = {3, 4, 6},
                        .kernels = {3, 5, 7}});
  d.final_width = 88, d.mix_width = 40, d.classes = 10;
  d.resolutions = {64};
  return d;
}

/// The architecture whose blocks have kernels and expand ratios in turn, starting at `first`.
inline dynofa::arch arch_of(const dynofa::space_description& d, int resolution, std::size_t first) {
  dynofa::arch a;
  for (std::size_t i = 0; i < d.block_count(); ++i) {
    const auto& stage = d.stages[d.stage_of(i)];
    a.ks.push_back(stage.kernels[(i + first) % stage.kernels.size()]);
    a.e.push_back(stage.expands[(i + i / 3 + first) % stage.expands.size()]);
  }
  for (const auto& stage : d.stages) a.d.push_back(stage.depths.max());
  a.r = static_cast<std::uint16_t>(resolution);
  return a;
}

/// Statistics that differ from channel to channel, as after a calibration.
inline dynofa::scale_shift norms_of(const dynofa::supernet& net, const dynofa::plan& p) {
  return dynofa::fold(net, p, dynofa::stored_statistics(net, p));
}

inline std::vector<float> normals(std::size_t n, std::uint64_t seed) {
  dynofa::random_stream stream{seed, "input"};
  std::vector<float> v(n);
  for (float& x : v) x = static_cast<float>(stream.normal());
  return v;
}

/// Largest difference, in units of the root mean square of `wanted`.
inline double difference(std::span<const float> got, std::span<const float> wanted) {
  double worst = 0, power = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double d = std::abs(double(got[i]) - double(wanted[i]));
    if (!(d <= worst)) worst = d; // NaN counts
    power += double(wanted[i]) * double(wanted[i]);
  }
  return worst / std::max(1e-3, std::sqrt(power / double(wanted.size())));
}

} // namespace cpu_tests
