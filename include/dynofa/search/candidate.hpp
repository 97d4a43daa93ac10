#pragma once
#include "dynofa/accuracy/model.hpp"
#include "dynofa/core/pareto_front.hpp"
#include "dynofa/latency/extremes.hpp"
#include "dynofa/latency/model.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa::search {

/// An architecture and what the models say of it.
struct candidate {
  dynofa::arch arch;                                          ///< of the space searched
  double accuracy = -std::numeric_limits<double>::infinity(); ///< in the accuracy model's unit
  double cost = std::numeric_limits<double>::infinity();      ///< in the cost model's unit, as limits are
};

/// Whether two candidates are one level of a family.
inline bool same_level(const candidate& a, const candidate& b) { return a.arch == b.arch; }

/// What a search keeps of a model that it is given as `Given&&`: a model that has a name is referred to and must live
/// as long as the search, a temporary one is moved in.
template <class Given>
using kept_model = std::conditional_t<std::is_lvalue_reference_v<Given>, const std::remove_reference_t<Given>&,
                                      std::remove_cv_t<Given>>;

/// What a long search tells while it works. A callback that returns false ends the search as a stop request does.
struct progress {
  std::size_t done = 0, total = 0; ///< in the search's own steps
  std::size_t evaluations = 0;     ///< accuracy predictions so far
  double best_accuracy = 0;        ///< of what is within the limit
};
using progress_callback = std::function<bool(const progress&)>; ///< false ends the search

/// The cheapest and the dearest that an additive model says of the space.
template <additive_cost_model Cost>
cost_extremes exact_extremes(const space_description& space, const Cost& cost) {
  cost_extremes found = find_extremes(cost.costs(), &space);
  for (auto* end : {&found.least, &found.most}) end->cost = end->cost * cost.scale() + cost.offset();
  return found;
}

/// Refuses at once what no architecture of the space can meet, naming the nearest value that one can. Exact for
/// additive models; other models say nothing here.
template <cost_model Cost>
void require_feasible(const space_description& space, const Cost& cost, double limit, const char* where) {
  const auto refuse = [&](const auto&... expected) {
    const std::string unit = cost.unit(), device = cost.device();
    throw error(errc::infeasible, where, text("a limit ", expected..., ' ', unit, device.empty() ? "" : " on ", device),
                text(limit, ' ', unit));
  };
  if constexpr (additive_cost_model<Cost>) {
    if (const double least = exact_extremes(space, cost).least.cost; !(limit >= least))
      refuse("of at least the space's least, ", least);
  } else if (!(limit > 0))
    refuse("above 0");
}

/// The candidates that no other beats in both accuracy and cost, ascending in both.
using front = pareto_front<candidate, &candidate::cost, &candidate::accuracy>;

} // namespace dynofa::search
