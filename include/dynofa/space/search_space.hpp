#pragma once
#include "dynofa/space/arch.hpp"
#include "dynofa/space/policy.hpp"

#include <boost/hana/find_if.hpp>
#include <boost/hana/optional.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>

#include <array>
#include <type_traits>

namespace dynofa {

// Names that only appear in compiler messages, so that a wrong choice reads as a sentence.
/// The value that was asked for.
template <int Value>
struct asked;
/// Counted from 1.
template <int Number>
struct in_stage;

namespace detail {
namespace hana = boost::hana;

template <class Tag>
struct has_tag {
  template <class Type>
  constexpr auto operator()(Type) const {
    return hana::bool_c<std::is_same_v<typename Type::type::tag, Tag>>;
  }
};

struct not_given {
  template <class Tag>
  struct with {
    using tag = Tag;
  };
};

/// The policy with `Tag` among `Policies`, or `not_given`.
template <class Tag, class... Policies>
using find_policy = typename decltype(+hana::find_if(hana::tuple_t<Policies...>, has_tag<Tag>{})
                                           .value_or(hana::type_c<not_given::with<Tag>>))::type;

template <class Policy>
inline constexpr bool is_given = true;
template <class Tag>
inline constexpr bool is_given<not_given::with<Tag>> = false;

template <class Tag, class... Policies>
inline constexpr int times_given = (0 + ... + std::is_same_v<typename Policies::tag, Tag>);

/// The values of a policy as an array, whatever their type. clang 19 takes a template of bool for one of int.
template <class Policy>
struct values_of;
template <template <int...> class Policy, int... Values>
requires(!std::is_same_v<Policy<Values...>, squeeze_excite<(Values != 0)...>>) struct values_of<Policy<Values...>> {
  static constexpr std::array<int, sizeof...(Values)> value{Values...};
};
template <bool... Values>
struct values_of<squeeze_excite<Values...>> {
  static constexpr std::array<bool, sizeof...(Values)> value{Values...};
};
template <decimal... Values>
struct values_of<expand<Values...>> {
  static constexpr std::array<decimal, sizeof...(Values)> value{Values...};
};
template <decimal... Values>
struct values_of<width<Values...>> {
  static constexpr std::array<decimal, sizeof...(Values)> value{Values...};
};
template <decimal... Values>
struct values_of<one_width<Values...>> {
  static constexpr std::array<decimal, sizeof...(Values)> value{Values...};
};
template <activation... Values>
struct values_of<activations<Values...>> {
  static constexpr std::array<activation, sizeof...(Values)> value{Values...};
};

/// What a policy offers in one stage: the same everywhere, or its own list.
template <class Policy, std::size_t Stages>
struct offers {
  template <std::size_t>
  static constexpr auto in_stage() {
    return values_of<Policy>::value;
  }
};
template <template <class...> class Policy, class... Offers, std::size_t Stages>
struct offers<Policy<Offers...>, Stages> {
  static_assert(sizeof...(Offers) == Stages, "dynofa: a ..._per_stage policy needs one offer<...> for every stage");
  template <std::size_t Stage>
  static constexpr auto in_stage() {
    using offer_type = typename decltype(+hana::tuple_t<Offers...>[hana::size_c<Stage>])::type;
    return values_of<offer_type>::value;
  }
};

template <class Policy>
inline constexpr bool is_one_width = false;
template <decimal... Values>
inline constexpr bool is_one_width<one_width<Values...>> = true;

template <class Vector, class Values>
constexpr Vector ascending(const Values& values) {
  Vector v(values.begin(), values.end());
  std::sort(v.begin(), v.end());
  return v;
}

template <class Number, Number... Values>
constexpr bool all_differ() {
  const std::array<Number, sizeof...(Values)> values{Values...};
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (values[i] == values[j]) return false;
  return true;
}

template <class Policy, int Value>
struct legal_offer {
  static constexpr bool is_kernel = std::is_same_v<typename Policy::tag, tag::kernel>;
  static constexpr bool is_resolution = std::is_same_v<typename Policy::tag, tag::resolution>;
  static constexpr int most = is_resolution ? 4096 : 8;
  static_assert(!is_kernel || Value == 3 || Value == 5 || Value == 7,
                "dynofa: kernels are 3, 5 or 7 wide; the asked value is the last number in legal_offer<...> above");
  static constexpr int least = std::is_same_v<typename Policy::tag, tag::depth> ? 0 : 1;
  static_assert(is_kernel || (Value >= least && Value <= most),
                "dynofa: depth and expand lie in 1..8, resolution in 1..4096; see legal_offer<...> above");
  static constexpr bool value = true;
};
template <class Policy>
struct legal_offers {
  static constexpr bool value = true;
};
template <template <int...> class Policy, int... Values>
struct legal_offers<Policy<Values...>> {
  static constexpr std::size_t most =
      std::is_same_v<typename Policy<Values...>::tag, tag::resolution> ? max_resolutions : choices::capacity;
  static_assert(sizeof...(Values) > 0, "dynofa: a policy of a search space must offer at least one value");
  static_assert(sizeof...(Values) <= most, "dynofa: at most 8 choices of depth, expand or kernel and 64 resolutions");
  static_assert(all_differ<int, Values...>(), "dynofa: a policy of a search space offers a value twice");
  static constexpr bool value = (legal_offer<Policy<Values...>, Values>::value && ...);
};
/// Ratios: of expand or width.
template <template <decimal...> class Policy, decimal... Values>
struct legal_offers<Policy<Values...>> {
  static_assert(sizeof...(Values) > 0, "dynofa: a policy of a search space must offer at least one value");
  static_assert(sizeof...(Values) <= ratios::capacity, "dynofa: at most 8 choices of expand or width");
  static_assert(all_differ<decimal, Values...>(), "dynofa: a policy of a search space offers a value twice");
  static_assert(((Values > decimal(0) && Values <= decimal(16)) && ...),
                "dynofa: expand and width lie above 0, at most 16");
  static constexpr bool value = true;
};
template <template <class...> class Policy, class... Offers>
struct legal_offers<Policy<Offers...>> {
  template <class Offer>
  struct of;
  template <int... Values>
  struct of<offer<Values...>> {
    template <int...>
    struct stage_offer { // the same policy, as if one stage's offer held everywhere
      using tag = typename Policy<Offers...>::tag;
    };
    static constexpr bool value = legal_offers<stage_offer<Values...>>::value;
  };
  static constexpr bool value = (of<Offers>::value && ...);
};

} // namespace detail

/// A search space, written as policies in any order: `search_space<ofa_mobilenet_v3, width<1.2>, depth<2, 3, 4>,
/// expand<3, 4, 6>, kernel<3, 5, 7>, resolution<160, 176, 192, 208, 224>>`.
///
/// A policy given here replaces the network's own (`classes<200>`). All of it is also there at run time: `description`.
template <class Network, class... Policies>
struct search_space;

/// How the policies make a space.
template <class... Fixed, class... Policies>
struct search_space<network<Fixed...>, Policies...> {
private:
  template <class Tag>
  static constexpr int given = detail::times_given<Tag, Policies...>;
  /// The policy given here, else the network's: the first one found.
  template <class Tag>
  using chosen = detail::find_policy<Tag, Policies..., Fixed...>;

  using depths = chosen<tag::depth>;
  using expands = chosen<tag::expand>;
  using kernels = chosen<tag::kernel>;
  using resolutions = chosen<tag::resolution>;
  static_assert(((given<typename Policies::tag> == 1) && ...), "dynofa: a policy is given twice in one search_space");
  static_assert(detail::is_given<depths>,
                "dynofa: search_space lacks depth<...>, the offered numbers of blocks per stage");
  static_assert(detail::is_given<expands>, "dynofa: search_space lacks expand<...>, the offered expand ratios");
  static_assert(detail::is_given<kernels>, "dynofa: search_space lacks kernel<...>, the offered kernel sizes");
  static_assert(detail::is_given<resolutions>, "dynofa: search_space lacks resolution<...>, the offered input sizes");
  static_assert(detail::legal_offers<depths>::value && detail::legal_offers<expands>::value &&
                detail::legal_offers<kernels>::value && detail::legal_offers<resolutions>::value);

  static constexpr auto widths = detail::values_of<chosen<tag::stage_widths>>::value;
  static constexpr auto stage_strides = detail::values_of<chosen<tag::strides>>::value;
  static constexpr auto acts = detail::values_of<chosen<tag::activations>>::value;
  static constexpr auto se = detail::values_of<chosen<tag::squeeze_excite>>::value;
  static_assert(widths.size() + detail::is_given<chosen<tag::deep_stem>> <= max_stages,
                "dynofa: a network has at most 8 stages");
  static_assert(widths.size() == stage_strides.size() && widths.size() == acts.size() && widths.size() == se.size(),
                "dynofa: stage_widths, strides, activations and squeeze_excite need one value for every stage");

  /// The values of a policy that need not be given.
  template <class Tag, class Wanted>
  static constexpr auto value_or(Wanted otherwise) {
    using policy = chosen<Tag>;
    if constexpr (detail::is_given<policy>)
      return policy::value;
    else
      return otherwise;
  }
  static constexpr auto stage_blocks_given() {
    using policy = chosen<tag::stage_blocks>;
    if constexpr (detail::is_given<policy>) {
      static_assert(detail::values_of<policy>::value.size() == widths.size(),
                    "dynofa: stage_blocks needs one value for every stage");
      return detail::values_of<policy>::value;
    } else {
      return std::array<int, widths.size()>{};
    }
  }

  /// What multiplies all widths: the one value of width, or the largest offered, which must be 1.
  static constexpr double multiplier() {
    using policy = chosen<tag::width>;
    if constexpr (detail::is_given<policy>) {
      static_assert(detail::legal_offers<policy>::value);
      constexpr auto largest =
          *std::max_element(detail::values_of<policy>::value.begin(), detail::values_of<policy>::value.end());
      static_assert(detail::values_of<policy>::value.size() == 1 || largest == decimal(1),
                    "dynofa: of several widths on offer the largest is 1: give the network's policies the full widths");
      return largest.value();
    } else {
      return 1.0;
    }
  }
  static constexpr ratios offered_widths() {
    using policy = chosen<tag::width>;
    if constexpr (detail::is_given<policy>)
      if constexpr (detail::values_of<policy>::value.size() > 1)
        return detail::ascending<ratios>(detail::values_of<policy>::value);
    return {};
  }
  static constexpr auto fixed_blocks_given() {
    using policy = chosen<tag::fixed_blocks>;
    if constexpr (detail::is_given<policy>) {
      static_assert(detail::values_of<policy>::value.size() == widths.size(),
                    "dynofa: fixed_blocks needs one value for every stage");
      return detail::values_of<policy>::value;
    } else {
      return std::array<int, widths.size()>{};
    }
  }
  template <std::size_t Stage>
  static constexpr stage_description stage() {
    constexpr std::size_t n = widths.size();
    static_assert(stage_strides[Stage] == 1 || stage_strides[Stage] == 2, "dynofa: the stride of a stage is 1 or 2");
    constexpr int blocks = stage_blocks_given()[Stage], fixed = fixed_blocks_given()[Stage];
    static_assert(fixed == 0 || blocks >= fixed,
                  "dynofa: fixed_blocks go with stage_blocks, and are no more than these");
    auto offered = detail::ascending<choices>(detail::offers<depths, n>::template in_stage<Stage>());
    if (blocks > 0) {
      choices there;
      for (int depth : offered)
        if (fixed + depth <= blocks) there.push_back(static_cast<std::uint8_t>(depth));
      if (there.empty()) there.push_back(static_cast<std::uint8_t>(blocks - fixed));
      offered = there;
    }
    return {make_divisible(widths[Stage] * multiplier()),
            stage_strides[Stage],
            acts[Stage],
            se[Stage],
            offered,
            detail::ascending<ratios>(detail::offers<expands, n>::template in_stage<Stage>()),
            detail::ascending<choices>(detail::offers<kernels, n>::template in_stage<Stage>()),
            static_cast<std::uint8_t>(blocks),
            static_cast<std::uint8_t>(fixed),
            value_or<tag::stage_kind>(block_kind::inverted_residual)};
  }
  /// Of depths that all stages offer the deep stem tells apart the largest, with its residual convolution, and the
  /// least.
  template <class Stem>
  static constexpr stage_description stem_stage() {
    const auto offered = detail::ascending<choices>(detail::values_of<depths>::value);
    stage_description stage;
    stage.width = make_divisible(Stem::width * multiplier());
    stage.act = Stem::act, stage.kind = block_kind::stem;
    stage.depths.push_back(offered.min());
    if (offered.max() > offered.min()) stage.depths.push_back(offered.max());
    return stage;
  }
  static constexpr space_description describe() {
    space_description d;
    d.width_multiplier = multiplier();
    d.stem_width = make_divisible(chosen<tag::stem_width>::value * multiplier());
    d.stem_act = value_or<tag::stem_activation>(d.stem_act);
    using first = chosen<tag::first_block>;
    if constexpr (detail::is_given<first>) {
      d.first_width = make_divisible(first::width * multiplier());
      d.first_act = first::act, d.first_residual = first::residual;
    }
    const auto width_or_none = [](int width) { return width > 0 ? make_divisible(width * multiplier()) : 0; };
    d.final_width = width_or_none(chosen<tag::final_width>::value);
    d.mix_width = width_or_none(chosen<tag::mix_width>::value);
    d.head_act = value_or<tag::head_activation>(d.head_act);
    d.bn_epsilon = static_cast<float>(value_or<tag::norm_epsilon>(1e-5));
    d.classes = chosen<tag::classes>::value;
    d.widths = offered_widths();
    d.one_width = detail::is_one_width<chosen<tag::width>>;
    using deep = chosen<tag::deep_stem>;
    if constexpr (detail::is_given<deep>) d.stages.push_back(stem_stage<deep>());
    [&]<std::size_t... S>(std::index_sequence<S...>) { (d.stages.push_back(stage<S>()), ...); }
    (std::make_index_sequence<widths.size()>{});
    d.resolutions = detail::ascending<decltype(d.resolutions)>(detail::values_of<resolutions>::value);
    return d;
  }

public:
  static constexpr space_description description = describe(); ///< the same space at run time
  static_assert(description.block_count() <= max_blocks,
                "dynofa: stages times largest depth must not exceed 48 blocks");
  static_assert(std::all_of(description.stages.begin(), description.stages.end(),
                            [](const stage_description& s) {
                              return s.kind == block_kind::stem || s.fixed_blocks + s.depths.min() > 0;
                            }),
                "dynofa: depth<0, ...> goes with fixed_blocks<...>: a stage has at least one block");
  /// Different networks in the space, resolution not counted.
  static constexpr double cardinality = description.cardinality();
  static constexpr bool contains(const arch& a) { return is_legal(description, a); } ///< whether `is_legal` says so
};

/// The space of the published w = 1.0 and w = 1.2 super-networks (`ofa_mbv3_d234_e346_k357_w1.0`, `…_w1.2`);
/// resolutions as their accuracy predictors know them.
using ofa_w1_0 = search_space<ofa_mobilenet_v3, width<1.0>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>,
                              resolution<128, 132, 136, 140, 144, 148, 152, 156, 160, 164, 168, 172, 176, 180, 184, 188,
                                         192, 196, 200, 204, 208, 212, 216, 220, 224>>;
/// See `ofa_w1_0`.
using ofa_w1_2 =
    search_space<ofa_mobilenet_v3, width<1.2>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>,
                 resolution<160, 164, 168, 172, 176, 180, 184, 188, 192, 196, 200, 204, 208, 212, 216, 220, 224>>;

/// The space of the published `ofa_proxyless_d234_e346_k357_w1.3`.
using ofa_proxyless_w1_3 = search_space<ofa_proxyless_nas, width<1.3>, depth<2, 3, 4>, expand<3, 4, 6>, kernel<3, 5, 7>,
                                        resolution<128, 132, 136, 140, 144, 148, 152, 156, 160, 164, 168, 172, 176, 180,
                                                   184, 188, 192, 196, 200, 204, 208, 212, 216, 220, 224>>;

/// The space of the published `ofa_supernet_resnet50`; resolutions up to 224 as its accuracy predictor knows them.
using ofa_resnet50_space = search_space<ofa_resnet50, width<0.65, 0.8, 1.0>, depth<0, 1, 2>, expand<0.2, 0.25, 0.35>,
                                        resolution<128, 144, 160, 176, 192, 224>>;

} // namespace dynofa
