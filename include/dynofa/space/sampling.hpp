#pragma once
#include "dynofa/space/arch.hpp"

// How a search moves through a space: once-for-all's random sample, mutation and crossover, with a seeded stream.

namespace dynofa {

namespace detail {
template <class Choices>
constexpr auto pick(const Choices& offered, random_stream& random) {
  return offered[random.below(static_cast<std::uint32_t>(offered.size()))];
}
} // namespace detail

/// Every gene drawn uniformly and independently, inactive ones too. Note that this is not uniform over networks:
/// shallow networks are met more often than their number.
constexpr arch random_arch(const space_description& space, random_stream& random) {
  arch a = uniform_arch(space, 0, [&](const choices& offered) { return detail::pick(offered, random); });
  a.r = detail::pick(space.resolutions, random);
  return a;
}

/// With probability `p` each: the resolution, every block (kernel and expand ratio together), every depth is drawn anew
/// (once-for-all's rule). `resolution_p` < 0 means p.
constexpr arch mutate(const space_description& space, arch a, double p, random_stream& random,
                      double resolution_p = -1) {
  if (random.chance(resolution_p < 0 ? p : resolution_p)) a.r = detail::pick(space.resolutions, random);
  const std::size_t per_stage = space.blocks_per_stage();
  for (std::size_t i = 0; i < a.ks.size(); ++i)
    if (random.chance(p)) {
      a.ks[i] = detail::pick(space.stages[i / per_stage].kernels, random);
      a.e[i] = detail::pick(space.stages[i / per_stage].expands, random);
    }
  for (std::size_t s = 0; s < a.d.size(); ++s)
    if (random.chance(p)) a.d[s] = detail::pick(space.stages[s].depths, random);
  return a;
}

/// Every gene from one parent or the other, with equal probability.
constexpr arch crossover(const arch& mother, const arch& father, random_stream& random) {
  arch child = mother;
  auto mix = [&](auto& genes, const auto& others) {
    for (std::size_t i = 0; i < genes.size(); ++i)
      if (random.chance(0.5)) genes[i] = others[i];
  };
  mix(child.ks, father.ks);
  mix(child.e, father.e);
  mix(child.d, father.d);
  if (random.chance(0.5)) child.r = father.r;
  return child;
}

} // namespace dynofa
