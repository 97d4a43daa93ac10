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
#include <vector>

namespace dynofa::search {

/// An architecture and what the models say of it.
struct candidate {
  dynofa::arch arch;
  double accuracy = -std::numeric_limits<double>::infinity();
  milliseconds latency{std::numeric_limits<double>::infinity()};
};

/// What a long search tells while it works. A callback that returns false ends the search as a stop request does.
struct progress {
  std::size_t done = 0, total = 0; ///< in the search's own steps
  std::size_t evaluations = 0;     ///< accuracy predictions so far
  double best_accuracy = 0;
};
using progress_callback = std::function<bool(const progress&)>;

/// Refuses at once what no architecture of the space can meet, naming the nearest value that one can. Exact for
/// additive models; other models say nothing here.
template <latency_model Latency>
void require_feasible(const space_description& space, const Latency& latency, milliseconds limit, const char* where) {
  if constexpr (additive_latency_model<Latency>) {
    const double least = find_extremes(latency.costs(), &space).least.cost * latency.scale() + latency.offset();
    if (!(limit.count() >= least))
      throw error(errc::infeasible, where,
                  text("a latency limit of at least ", least, " ms on ", latency.device(), ", the least in the space"),
                  text(limit.count(), " ms"));
  } else if (!(limit.count() > 0))
    throw error(errc::infeasible, where, "a latency limit above 0 ms", text(limit.count(), " ms"));
}

/// The candidates that no other beats in both accuracy and latency, ascending in both.
using front = pareto_front<candidate, &candidate::latency, &candidate::accuracy>;

} // namespace dynofa::search
