#pragma once
#include "dynofa/search/candidate.hpp"
#include "dynofa/space/sampling.hpp"

#include <optional>
#include <set>
#include <stop_token>

namespace dynofa::search {

/// The inputs of Algorithm 1 under its own names. Accuracies in the unit of the accuracy model.
struct random_search_options {
  double accuracy_max = 0;                                   ///< Acc_max
  double accuracy_range = 0;                                 ///< Acc_r: accepted is accuracy > Acc_max − Acc_r
  double latency_init = 0, latency_add = 0, latency_max = 0; ///< in the cost model's unit
  std::size_t itr_n = 100;     ///< draws after which the latency bound is raised by latency_add
  std::size_t itr_max = 10000; ///< draws of one call
  std::uint64_t seed = 1;      ///< the same seed gives the same result
  /// The paper's text asks for accuracy ≤ Acc_max too; its algorithm does not.
  bool upper_accuracy_bound = false;
  /// Algorithm 1 to the letter, where it is doubtful: every call begins again at latency_init, the bound is raised
  /// before the very first draw (0 % itr_n = 0), and may end up to latency_add above latency_max. Otherwise: the bound
  /// is kept from call to call, the first draws are made at latency_init, and latency_max is never passed.
  bool as_printed = false;
  std::stop_token stop{}; ///< ends a call between two draws
};

/// The paper's random search (§3.2, Algorithm 1): draws architectures until one is accurate enough, quick enough for
/// the current bound and not found before. Comparisons are strict, as printed. The object keeps Parents and the bound,
/// which the algorithm leaves to its caller.
template <accuracy_model Accuracy, cost_model Cost>
class random_search {
public:
  /// Throws errc::infeasible if no architecture of the space is below latency_max, errc::invalid_argument for an itr_n
  /// of 0 or bounds that do not rise.
  random_search(const space_description& space, std::type_identity_t<Accuracy> accuracy,
                std::type_identity_t<Cost> cost, random_search_options options)
      : space_{space}
      , accuracy_{std::forward<Accuracy>(accuracy)}
      , cost_{std::forward<Cost>(cost)}
      , options_{std::move(options)}
      , bound_{options_.latency_init}
      , random_{options_.seed, "random search"} {
    require_argument(options_.itr_n > 0, "random search", "itr_n of at least 1", "0");
    require_argument(options_.latency_max >= options_.latency_init && options_.latency_add >= 0, "random search",
                     "latency_init <= latency_max and latency_add >= 0", options_.latency_init, ", ",
                     options_.latency_max, " and ", options_.latency_add);
    require_feasible(space_, cost_, options_.latency_max, "random search");
  }

  /// The next architecture; nothing after itr_max draws without one, or when asked to stop.
  std::optional<candidate> next() {
    if (options_.as_printed) bound_ = options_.latency_init;
    for (std::size_t i = 0; i < options_.itr_max && !options_.stop.stop_requested(); ++i) {
      if (i % options_.itr_n == 0 && bound_ < options_.latency_max && (i > 0 || options_.as_printed)) {
        bound_ += options_.latency_add;
        if (!options_.as_printed) bound_ = std::min(bound_, options_.latency_max);
      }
      const arch a = random_arch(space_, random_);
      ++draws_;
      const double cost = cost_(a);
      if (!(cost < bound_)) continue; // before the dearer prediction; the result is the same
      const double accuracy = accuracy_(a);
      ++evaluations_;
      if (!(accuracy > options_.accuracy_max - options_.accuracy_range)) continue;
      if (options_.upper_accuracy_bound && accuracy > options_.accuracy_max) continue;
      if (!parents_.insert(a).second) continue;
      return candidate{a, accuracy, cost};
    }
    return std::nullopt;
  }

  /// Everything that was returned, and that will not be returned again.
  const std::set<arch>& parents() const { return parents_; }
  double bound() const { return bound_; }                  ///< Lat
  std::size_t draws() const { return draws_; }             ///< architectures drawn
  std::size_t evaluations() const { return evaluations_; } ///< accuracy predictions

private:
  space_description space_;
  Accuracy accuracy_; ///< a value or a reference, see `kept_model`
  Cost cost_;
  random_search_options options_;
  double bound_;
  random_stream random_;
  std::set<arch> parents_;
  std::size_t draws_ = 0, evaluations_ = 0;
};
/// Keeps references to models that outlive it, copies of temporaries.
template <class Accuracy, class Cost, class... Rest>
random_search(const space_description&, Accuracy&&, Cost&&, Rest&&...)
    -> random_search<kept_model<Accuracy>, kept_model<Cost>>;

} // namespace dynofa::search
