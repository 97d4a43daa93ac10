#pragma once
#include "dynofa/space/search_space.hpp"

#include <utility>

namespace dynofa {

namespace detail {

/// What a gene's offer number i is called in a policy: of a width its multiplier, not its number.
constexpr decimal offered_value(const space_description& space, const gene& g, std::size_t i) {
  return g.kind == gene_kind::width ? space.widths[i] : space.offer(g, i);
}
/// Whether compilers print a gene's values as they are: all on offer and the asked one are whole numbers.
constexpr bool are_whole(const space_description& space, const gene& g, decimal asked) {
  for (std::size_t i = 0; i < space.offer_count(g); ++i)
    if (!offered_value(space, g, i).is_whole()) return false;
  return asked.is_whole();
}

/// `offer<3, 5, 7>`: what a space offers for gene `G` of its list, as a type that compilers print; in thousandths if
/// the unit is 1000.
template <class Space, std::size_t G, int PerUnit>
struct offered_by_gene {
  static constexpr gene which = Space::description.genes()[G];
  template <std::size_t... I>
  static offer<offered_value(Space::description, which, I).thousandths * PerUnit / 1000 ...>
      make(std::index_sequence<I...>);
  using type = decltype(make(std::make_index_sequence<Space::description.offer_count(which)>{}));
};

template <class Policy, class Asked, class Stage, class Offered>
struct choice;
template <class Policy, int Asked, class Stage, int... Offered>
struct choice<Policy, asked<Asked>, Stage, offer<Offered...>> {
  static_assert(((Asked == Offered) || ...),
                "dynofa: the search space does not offer this choice; the line with choice<policy, asked<value>, "
                "in_stage<number>, offer<legal values>> names it");
  static constexpr bool value = true;
};
/// Ratios such as 0.35 are printed as thousandths, 350.
template <class Policy, class Asked, class Stage, class Offered>
struct choice_in_thousandths : choice<Policy, Asked, Stage, Offered> {};

/// A sub-network's values of one policy, spread over stages or blocks and each checked against the space.
template <class Space, class Policy>
struct spread {
  static constexpr auto values = values_of<Policy>::value;
  static constexpr std::size_t given = values.size();
  static constexpr std::size_t stages = Space::description.stages.size(), blocks = Space::description.block_count();
  using policy_tag = typename Policy::tag;
  static constexpr bool one_only = std::is_same_v<policy_tag, tag::resolution>;
  static constexpr bool per_block = std::is_same_v<policy_tag, tag::kernel> || std::is_same_v<policy_tag, tag::expand>;
  static constexpr bool is_width = std::is_same_v<policy_tag, tag::width>;
  static constexpr std::size_t width_choices = Space::description.width_count();
  static_assert(!one_only || given == 1, "dynofa: a sub-network has one resolution");
  static_assert(!is_width || given == 1 || given == width_choices,
                "dynofa: width takes one value, or one for the stem and one for every stage");
  static_assert(is_width || given == 1 || (!one_only && given == stages) || (per_block && given == blocks),
                "dynofa: a sub-network's policy takes one value, one for every stage, or (kernel and expand) one for "
                "every block");

  template <std::size_t G>
  static constexpr decimal value() {
    constexpr gene g = Space::description.genes()[G];
    constexpr std::size_t source = given == 1 ? 0 : is_width ? g.block : given == stages ? g.stage : g.block;
    constexpr decimal asked_for = values[source];
    constexpr bool whole = are_whole(Space::description, g, asked_for);
    using offered = typename offered_by_gene<Space, G, whole ? 1 : 1000>::type;
    if constexpr (whole)
      static_assert(choice<policy_tag, asked<int(asked_for)>, in_stage<int(g.stage) + 1>, offered>::value);
    else
      static_assert(
          choice_in_thousandths<policy_tag, asked<asked_for.thousandths>, in_stage<int(g.stage) + 1>, offered>::value);
    if constexpr (!is_width) return asked_for;
    std::size_t number = 0;
    while (Space::description.widths[number] != asked_for) ++number;
    return decimal(number);
  }
  /// Of a deep stem where one depth holds everywhere.
  static constexpr decimal stem_depth() {
    const auto& depths = Space::description.stages[0].depths;
    return decimal(values[0]) == decimal(depths.max()) ? depths.max() : depths.min();
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
      std::conditional_t<
          Kind == gene_kind::kernel, tag::kernel,
          std::conditional_t<Kind == gene_kind::expand, tag::expand,
                             std::conditional_t<Kind == gene_kind::width, tag::width, tag::resolution>>>>;
  template <class Tag>
  static constexpr bool is_choice =
      std::is_same_v<Tag, tag::depth> || std::is_same_v<Tag, tag::kernel> || std::is_same_v<Tag, tag::expand> ||
      std::is_same_v<Tag, tag::width> || std::is_same_v<Tag, tag::resolution>;
  static_assert(((detail::times_given<typename Policies::tag, Policies...> == 1) && ...),
                "dynofa: a policy is given twice in one subnet");
  static_assert((is_choice<typename Policies::tag> && ...),
                "dynofa: a subnet chooses depth, expand, kernel, width and resolution; everything else belongs to its "
                "search_space");
  static_assert(Space::description.width_count() > 0 || detail::times_given<tag::width, Policies...> == 0,
                "dynofa: the search space offers no widths: width<...> of several values belongs to it");

  template <std::size_t G>
  static constexpr void choose(arch& a) {
    constexpr gene g = Space::description.genes()[G];
    using policy = detail::find_policy<tag_of<g.kind>, Policies...>;
    if constexpr (detail::is_given<policy>) {
      using values = detail::spread<Space, policy>;
      // One depth for all: a deep stem has its residual convolution at the largest only.
      constexpr bool of_stem = g.kind == gene_kind::depth && g.stage == 0 && Space::description.has_deep_stem();
      if constexpr (of_stem && values::given == 1)
        a.set(g, values::stem_depth());
      else
        a.set(g, values::template value<G>());
    }
  }
  static constexpr arch build() {
    arch a = largest(Space::description);
    [&]<std::size_t... G>(std::index_sequence<G...>) { (choose<G>(a), ...); }
    (std::make_index_sequence<Space::description.genes().size()>{});
    return a;
  }

public:
  using space = Space;                   ///< that it is of
  static constexpr arch value = build(); ///< inactive genes are those of the largest architecture
  /// So that it stands wherever an architecture does.
  constexpr operator arch() const { return value; } // NOLINT: the run-time twin of the same thing
};

} // namespace dynofa
