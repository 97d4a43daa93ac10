#pragma once
#include "dynofa/space/search_space.hpp"

namespace dynofa {

namespace detail {

/// `offer<3, 5, 7>`: what a space offers for a policy in a stage, as a type that compilers print.
template <class Space, class Tag, std::size_t Stage>
struct offered_in {
  static constexpr const auto& list() {
    constexpr const stage_description& stage = Space::description.stages.data()[Stage];
    if constexpr (std::is_same_v<Tag, tag::resolution>)
      return Space::description.resolutions;
    else if constexpr (std::is_same_v<Tag, tag::depth>)
      return stage.depths;
    else if constexpr (std::is_same_v<Tag, tag::kernel>)
      return stage.kernels;
    else
      return stage.expands;
  }
  template <std::size_t... I>
  static offer<int(list().data()[I])...> make(std::index_sequence<I...>);
  using type = decltype(make(std::make_index_sequence<list().size()>{}));
};

template <template <int...> class Policy, class Asked, class Stage, class Offered>
struct choice;
template <template <int...> class Policy, int Asked, class Stage, int... Offered>
struct choice<Policy, asked<Asked>, Stage, offer<Offered...>> {
  static_assert(((Asked == Offered) || ...),
                "dynofa: the search space does not offer this choice; the line with choice<policy, asked<value>, "
                "in_stage<number>, offer<legal values>> names it");
  static constexpr int value = Asked;
};

/// A sub-network's values of one policy, spread over stages or blocks and each checked against the space.
template <class Space, class Policy>
struct spread;
template <class Space, template <int...> class Policy, int... Values>
struct spread<Space, Policy<Values...>> {
  static constexpr std::size_t given = sizeof...(Values);
  static constexpr std::size_t stages = Space::description.stages.size();
  static constexpr std::size_t per_stage = Space::description.blocks_per_stage();
  static constexpr std::array<int, given> values{Values...};
  using policy_tag = typename Policy<Values...>::tag;
  static constexpr bool per_block = !std::is_same_v<policy_tag, tag::depth>;
  static_assert(given == 1 || given == stages || (per_block && given == stages * per_stage),
                "dynofa: a sub-network's policy takes one value, one for every stage, or (kernel and expand) one for "
                "every block");

  static constexpr std::size_t source(std::size_t stage, std::size_t block) {
    return given == 1 ? 0 : given == stages ? stage : stage * per_stage + block;
  }
  template <std::size_t Gene>
  static constexpr int gene() { // of block Gene % per_stage in stage Gene / per_stage
    constexpr std::size_t stage = Gene / per_stage;
    return choice<Policy, asked<values[source(stage, Gene % per_stage)]>, in_stage<int(stage) + 1>,
                  typename offered_in<Space, policy_tag, stage>::type>::value;
  }
};

} // namespace detail

/// One sub-network of `Space` at compile time: `subnet<ofa_w1_2, depth<2>, kernel<3>, expand<4>, resolution<176>>`.
///
/// One value holds everywhere; several are one per stage, or one per block (kernel, expand). A policy left out takes
/// the largest value on offer. `value` is the arch, and a subnet converts to one.
template <class Space, class... Policies>
struct subnet {
private:
  template <class Tag>
  using chosen = detail::find_policy<Tag, Policies...>;
  static_assert(((detail::times_given<typename Policies::tag, Policies...> == 1) && ...),
                "dynofa: a policy is given twice in one subnet");
  static_assert(
      ((std::is_same_v<typename Policies::tag, tag::depth> || std::is_same_v<typename Policies::tag, tag::kernel> ||
        std::is_same_v<typename Policies::tag, tag::expand> ||
        std::is_same_v<typename Policies::tag, tag::resolution>)&&...),
      "dynofa: a subnet chooses depth, expand, kernel and resolution; everything else belongs to its search_space");

  static constexpr arch build() {
    constexpr std::size_t stages = Space::description.stages.size(), per_stage = Space::description.blocks_per_stage();
    arch a = largest(Space::description);
    [&]<std::size_t... S>(std::index_sequence<S...>) {
      if constexpr (detail::is_given<chosen<tag::depth>>)
        ((a.d[S] = detail::spread<Space, chosen<tag::depth>>::template gene<S * per_stage>()), ...);
    }
    (std::make_index_sequence<stages>{});
    [&]<std::size_t... G>(std::index_sequence<G...>) {
      if constexpr (detail::is_given<chosen<tag::kernel>>)
        ((a.ks[G] = detail::spread<Space, chosen<tag::kernel>>::template gene<G>()), ...);
      if constexpr (detail::is_given<chosen<tag::expand>>)
        ((a.e[G] = detail::spread<Space, chosen<tag::expand>>::template gene<G>()), ...);
    }
    (std::make_index_sequence<stages * per_stage>{});
    if constexpr (detail::is_given<chosen<tag::resolution>>) {
      constexpr auto asked_values = detail::values_of<chosen<tag::resolution>>::value;
      static_assert(asked_values.size() == 1, "dynofa: a sub-network has one resolution");
      a.r = detail::choice<resolution, asked<asked_values[0]>, in_stage<1>,
                           typename detail::offered_in<Space, tag::resolution, 0>::type>::value;
    }
    return a;
  }

public:
  using space = Space;
  static constexpr arch value = build();
  constexpr operator arch() const { return value; } // NOLINT: the run-time twin of the same thing
};

} // namespace dynofa
