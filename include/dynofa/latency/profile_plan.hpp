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
  /// A whole network that is timed block by block.
  struct carrier {
    dynofa::plan plan;               ///< one image
    std::vector<std::uint32_t> keys; ///< per block: which of the resolution's keys its time belongs to
  };
  /// What is timed at one resolution.
  struct at_resolution {
    int r = 0;                     ///< side of the image in pixels
    std::vector<std::string> keys; ///< of the timed operations, in the order in which they are met
    std::vector<carrier> carriers; ///< in the order in which they are timed
  };
  std::vector<at_resolution> resolutions; ///< ascending
};

/// Which kernels and ratios the carriers of a plan take.
enum class profile_extent : std::uint8_t {
  every_choice, ///< of kernel and ratio
  corners, ///< the least and the largest kernel and ratio, and in one more carrier the middle ones: to be interpolated
};

namespace detail {

struct carrier_maker {
  const space_description& space;
  profile_plan::at_resolution to;
  random_stream random;
  std::map<std::string, std::uint32_t, std::less<>> numbers{};
  std::map<std::array<std::size_t, 3>, int> met_widths{}; ///< of a width: behind which, which

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

  /// What sets a block's work apart from that of others at its place: its choices, and the widths before and behind it.
  struct variant {
    block_choice choice;
    std::uint8_t in = 0, out = 0; ///< numbers of widths; 0 where they are fixed
    friend constexpr auto operator<=>(const variant&, const variant&) = default;
  };
  using counts = std::map<variant, int>;
  std::size_t width_choices() const { return std::max<std::size_t>(1, space.widths.size()); }
  /// The offered choices that the plan covers in stage s.
  std::vector<block_choice> choices_of(std::size_t s, profile_extent extent) const {
    const auto& stage = space.stages[s];
    std::vector<block_choice> all;
    for (std::size_t i = 0; i < stage.variant_count(); ++i)
      if (extent == profile_extent::every_choice || stage.is_corner(stage.variant(i))) all.push_back(stage.variant(i));
    return all;
  }

  /// The values for which carriers have counted least, by chance among equals.
  template <class Value, class Count>
  Value least_of(const std::vector<Value>& values, Count count) {
    std::vector<Value> least;
    int fewest = 1 << 30;
    for (const Value& v : values) {
      const int times = count(v);
      if (times < fewest) fewest = times, least.clear();
      if (times == fewest) least.push_back(v);
    }
    return least[random.below(static_cast<std::uint32_t>(least.size()))];
  }
  /// Widths, each that which has been met least behind the one before it: so all pairs are met about as often.
  void draw_widths(arch& a) {
    std::vector<std::uint8_t> all;
    for (std::size_t i = 0; i < width_choices(); ++i) all.push_back(static_cast<std::uint8_t>(i));
    for (std::size_t w = 0; w < a.w.size(); ++w) {
      const std::uint8_t before = w > 0 ? a.w[w - 1] : std::uint8_t{0};
      a.w[w] = least_of(all, [&](std::uint8_t v) { return met_widths[{w, before, v}]; });
      ++met_widths[{w, before, a.w[w]}];
    }
  }

  /// A network of `d`, in which every gene takes the choice that carriers have had least, by chance among equals. First
  /// blocks of a stage and later ones are different operations; later ones of a stage are all the same.
  arch draw(bool deepest, profile_extent extent, std::vector<std::array<counts, 2>>& used) {
    arch a = largest(space);
    draw_widths(a);
    const auto width = [&](std::size_t number) {
      return a.w.empty() ? std::uint8_t{0} : a.w[std::min(number, a.w.size() - 1)];
    };
    for (std::size_t s = 0; s < space.stages.size(); ++s) {
      const auto& depths = space.stages[s].depths;
      if (!deepest) a.d[s] = depths[random.below(static_cast<std::uint32_t>(depths.size()))];
      for (std::size_t i = 0; i < space.active_blocks(s, a.d[s]); ++i) {
        counts& times = used[s][i > 0 ? 1 : 0];
        const std::uint8_t in = width(i > 0 ? s + 1 : s), out = width(s + 1);
        const block_choice c = least_of(choices_of(s, extent), [&](const block_choice& choice) {
          return times[{choice, in, out}];
        });
        ++times[{c, in, out}];
        a.choose(space.first_block(s) + i, c);
      }
    }
    return a;
  }
  /// Whether a stage's first blocks, or its later ones, have not been met twice in every choice between all widths.
  bool lacks(std::size_t s, bool later, profile_extent extent, const counts& used) const {
    for (std::size_t in = 0; in < width_choices(); ++in)
      for (std::size_t out = 0; out < width_choices(); ++out) {
        if (in != out && (later || !space.has_width_pairs())) continue;
        for (const block_choice& c : choices_of(s, extent)) {
          const auto times = used.find({c, static_cast<std::uint8_t>(in), static_cast<std::uint8_t>(out)});
          if (times == used.end() || times->second < 2) return true;
        }
      }
    return false;
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
      for (std::size_t s = 0; s < space.stages.size(); ++s) {
        const std::size_t most = space.active_blocks(s, space.stages[s].depths.max());
        if ((most > 0 && maker.lacks(s, false, extent, used[s][0])) ||
            (most > 1 && maker.lacks(s, true, extent, used[s][1])))
          return true;
      }
      return false;
    };
    while (maker.to.carriers.size() < carriers || lacking())
      maker.add(maker.draw(maker.to.carriers.size() >= carriers, extent, used));
    p.resolutions.push_back(std::move(maker.to));
  }
  return p;
}

} // namespace dynofa
