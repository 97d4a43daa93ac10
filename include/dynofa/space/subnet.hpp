#pragma once
#include "dynofa/space/search_space.hpp"

#include <utility>

namespace dynofa {

namespace detail {

/// `offer<3, 5, 7>`: what a space offers for gene `G` of its list, as a type that compilers print.
template <class Space, std::size_t G>
struct offered_by_gene {
  static constexpr gene which = Space::description.genes()[G];
  template <std::size_t... I>
  static offer<int(Space::description.offer(which, I))...> make(std::index_sequence<I...>);
  using type = decltype(make(std::make_index_sequence<Space::description.offer_count(which)>{}));
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
  static constexpr std::size_t stages = Space::description.stages.size(), blocks = Space::description.block_count();
  static constexpr std::array<int, given> values{Values...};
  using policy_tag = typename Policy<Values...>::tag;
  static constexpr bool one_only = std::is_same_v<policy_tag, tag::resolution>;
  static constexpr bool per_block = std::is_same_v<policy_tag, tag::kernel> || std::is_same_v<policy_tag, tag::expand>;
  static_assert(!one_only || given == 1, "dynofa: a sub-network has one resolution");
  static_assert(given == 1 || (!one_only && given == stages) || (per_block && given == blocks),
                "dynofa: a sub-network's policy takes one value, one for every stage, or (kernel and expand) one for "
                "every block");

  template <std::size_t G>
  static constexpr int value() {
    constexpr gene g = offered_by_gene<Space, G>::which;
    constexpr std::size_t source = given == 1 ? 0 : given == stages ? g.stage : g.block;
    return choice<Policy, asked<values[source]>, in_stage<int(g.stage) + 1>,
                  typename offered_by_gene<Space, G>::type>::value;
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
  template <gene_kind Kind>
  using tag_of = std::conditional_t<
      Kind == gene_kind::depth, tag::depth,
      std::conditional_t<Kind == gene_kind::kernel, tag::kernel,
                         std::conditional_t<Kind == gene_kind::expand, tag::expand, tag::resolution>>>;
  template <class Tag>
  static constexpr bool is_choice = std::is_same_v<Tag, tag::depth> || std::is_same_v<Tag, tag::kernel> ||
                                    std::is_same_v<Tag, tag::expand> || std::is_same_v<Tag, tag::resolution>;
  static_assert(((detail::times_given<typename Policies::tag, Policies...> == 1) && ...),
                "dynofa: a policy is given twice in one subnet");
  static_assert(
      (is_choice<typename Policies::tag> && ...),
      "dynofa: a subnet chooses depth, expand, kernel and resolution; everything else belongs to its search_space");

  template <std::size_t G>
  static constexpr void choose(arch& a) {
    constexpr gene g = detail::offered_by_gene<Space, G>::which;
    using policy = detail::find_policy<tag_of<g.kind>, Policies...>;
    if constexpr (detail::is_given<policy>) a.set(g, detail::spread<Space, policy>::template value<G>());
  }
  static constexpr arch build() {
    arch a = largest(Space::description);
    [&]<std::size_t... G>(std::index_sequence<G...>) { (choose<G>(a), ...); }
    (std::make_index_sequence<Space::description.genes().size()>{});
    return a;
  }

public:
  using space = Space;
  static constexpr arch value = build();
  constexpr operator arch() const { return value; } // NOLINT: the run-time twin of the same thing
};

} // namespace dynofa
