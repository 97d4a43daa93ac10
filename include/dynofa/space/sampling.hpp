#pragma once
#include "dynofa/space/arch.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

// How a search moves through a space: once-for-all's random sample, mutation and crossover, with a seeded stream.

namespace dynofa {

namespace detail {
constexpr void redraw(const space_description& space, arch& a, const gene& g, random_stream& random) {
  a.set(g, space.offer(g, random.below(static_cast<std::uint32_t>(space.offer_count(g)))));
}
} // namespace detail

/// Every gene drawn uniformly and independently, inactive ones too. Note that this is not uniform over networks:
/// shallow networks are met more often than their number.
constexpr arch random_arch(const space_description& space, random_stream& random) {
  return make_arch(space, [&](const gene&, const auto& offered) {
    return offered[random.below(static_cast<std::uint32_t>(offered.size()))];
  });
}

/// `count` different networks to measure first: the smallest and the largest at the least and the highest resolution,
/// then random ones. The same seed gives the same ones in the same order, so a smaller sample begins a larger one.
/// Fewer where the space has no more.
inline std::vector<arch> sample_space(const space_description& space, std::size_t count, std::uint64_t seed = 1) {
  std::vector<arch> archs;
  std::set<arch> seen;
  const auto add = [&](const arch& a) {
    if (archs.size() < count && seen.insert(a).second) archs.push_back(a);
  };
  for (int r : {space.resolutions.min(), space.resolutions.max()})
    for (arch a : {smallest(space), largest(space)}) {
      a.r = static_cast<std::uint16_t>(r);
      add(a.canonical());
    }
  random_stream random(seed, "sample");
  for (std::size_t missed = 0; archs.size() < count && missed < 1000;) {
    const std::size_t before = archs.size();
    add(random_arch(space, random).canonical());
    missed = archs.size() > before ? 0 : missed + 1;
  }
  return archs;
}

/// With probability `p` each: the resolution, every block (kernel and expand ratio together), every depth and width is
/// drawn anew (once-for-all's rule). `resolution_p` < 0 means p.
constexpr arch mutate(const space_description& space, arch a, double p, random_stream& random,
                      double resolution_p = -1) {
  const gene_list genes = space.genes();
  for (const gene& g : genes)
    if (g.kind == gene_kind::resolution && random.chance(resolution_p < 0 ? p : resolution_p))
      detail::redraw(space, a, g, random);
  std::size_t blocks = 0; // met so far
  bool changes = false;
  for (const gene& g : genes) {
    if (!g.of_block()) continue;
    if (g.block == blocks) ++blocks, changes = random.chance(p);
    if (changes) detail::redraw(space, a, g, random);
  }
  for (const gene& g : genes)
    if ((g.kind == gene_kind::depth || g.kind == gene_kind::width) && random.chance(p))
      detail::redraw(space, a, g, random);
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
  mix(child.w, father.w);
  if (random.chance(0.5)) child.r = father.r;
  return child;
}

} // namespace dynofa
