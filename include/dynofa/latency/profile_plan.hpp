#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/latency/key.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// What a profiler times. Operations are not timed alone but inside whole networks, the *carriers*: an operation that
/// is repeated on its own finds its weights in the cache, and sums of such times came out 7 % low in the median and
/// 17 % at worst on the CPU backend, against 1.1 and 3 %.
///
/// The carriers of a resolution are few, of all depths, and hold every operation in at least two different
/// surroundings.
struct profile_plan {
  struct carrier {
    dynofa::plan plan;
    std::vector<std::uint32_t> keys; ///< per block: which of the resolution's keys its time belongs to
  };
  struct at_resolution {
    int r = 0;
    std::vector<std::string> keys; ///< of the timed operations, in the order in which they are met
    std::vector<carrier> carriers;
  };
  std::vector<at_resolution> resolutions;
};

/// Which kernels and ratios the carriers of a plan take.
enum class profile_extent : std::uint8_t {
  every_choice,
  corners, ///< the least and the largest kernel and ratio, and in one more carrier the middle ones: to be interpolated
};

namespace detail {

struct carrier_maker {
  const space_description& space;
  profile_plan::at_resolution to;
  random_stream random;
  std::map<std::string, std::uint32_t, std::less<>> numbers{};

  std::uint32_t number_of(const std::string& key) {
    const auto [at, is_new] = numbers.emplace(key, static_cast<std::uint32_t>(to.keys.size()));
    if (is_new) to.keys.push_back(key);
    return at->second;
  }
  void add(arch a) {
    a.r = static_cast<std::uint16_t>(to.r);
    profile_plan::carrier c{make_plan(space, a), {}};
    for (std::size_t b = 0; b < c.plan.blocks.size(); ++b) c.keys.push_back(number_of(timed_key(c.plan, b)));
    to.carriers.push_back(std::move(c));
  }

  using counts = std::map<block_choice, int>;
  /// The offered choices that the plan covers in stage s.
  std::vector<block_choice> choices_of(std::size_t s, profile_extent extent) const {
    const auto& stage = space.stages[s];
    std::vector<block_choice> all;
    for (std::size_t i = 0; i < stage.variant_count(); ++i)
      if (extent == profile_extent::every_choice || stage.is_corner(stage.variant(i))) all.push_back(stage.variant(i));
    return all;
  }

  /// A network of `d`, in which every gene takes the choice that carriers have had least, by chance among equals. First
  /// blocks of a stage and later ones are different operations; later ones of a stage are all the same.
  arch draw(bool deepest, profile_extent extent, std::vector<std::array<counts, 2>>& used) {
    arch a = largest(space);
    for (std::size_t s = 0; s < space.stages.size(); ++s) {
      const auto& depths = space.stages[s].depths;
      if (!deepest) a.d[s] = depths[random.below(static_cast<std::uint32_t>(depths.size()))];
      for (std::size_t i = 0; i < a.d[s]; ++i) {
        counts& times = used[s][i > 0 ? 1 : 0];
        std::vector<block_choice> least;
        int fewest = 1 << 30;
        for (const block_choice& c : choices_of(s, extent)) {
          if (times[c] < fewest) fewest = times[c], least.clear();
          if (times[c] == fewest) least.push_back(c);
        }
        const block_choice c = least[random.below(static_cast<std::uint32_t>(least.size()))];
        ++times[c];
        a.choose(space.first_block(s) + i, c);
      }
    }
    return a;
  }
};

} // namespace detail

/// Plans the carriers for `resolutions` (each one of the space's): at least `carriers` of them per resolution, more
/// until every choice has been met twice. A function of its arguments alone. Throws errc::invalid_arch for a
/// resolution that the space does not offer.
inline profile_plan plan_profile(const space_description& space, std::span<const int> resolutions,
                                 profile_extent extent = profile_extent::every_choice, std::uint64_t seed = 1,
                                 std::size_t carriers = 18) {
  profile_plan p;
  for (int r : resolutions) {
    detail::carrier_maker maker{space, {r, {}, {}}, random_stream(seed, text("carriers ", r))};
    std::vector<std::array<detail::carrier_maker::counts, 2>> used(space.stages.size()); // first blocks, later ones
    if (extent == profile_extent::corners)
      maker.add(make_arch(space, [&](const gene& g, const auto& offered) {
        return g.of_block()                 ? offered[offered.size() / 2]
               : g.kind == gene_kind::depth ? offered.max()
                                            : offered.front();
      }));
    const auto lacking = [&] {
      for (std::size_t s = 0; s < space.stages.size(); ++s)
        for (std::size_t later = 0; later < (space.stages[s].depths.max() > 1 ? 2 : 1); ++later)
          for (const block_choice& c : maker.choices_of(s, extent))
            if (used[s][later][c] < 2) return true;
      return false;
    };
    while (maker.to.carriers.size() < carriers || lacking())
      maker.add(maker.draw(maker.to.carriers.size() >= carriers, extent, used));
    p.resolutions.push_back(std::move(maker.to));
  }
  return p;
}

} // namespace dynofa
