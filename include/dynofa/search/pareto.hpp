#pragma once
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/search/improve.hpp"
#include "dynofa/search/search_inputs.hpp"
#include "dynofa/space/sampling.hpp"

#include <optional>
#include <set>
#include <stop_token>

namespace dynofa::search {

/// What family is searched for, and how long.
struct pareto_options {
  std::vector<double> limits;      ///< of the family, any order; empty: `levels` steps over the whole range
  std::size_t levels = 8;          ///< of the family, where no limits are given
  std::size_t evaluations = 64000; ///< accuracy predictions per limit, about
  std::uint64_t seed = 1;          ///< the same seed gives the same result
  int threads = 1;                 ///< the result does not depend on it
  progress_callback on_progress;   ///< after each round of a limit
  std::stop_token stop;            ///< ends the search between two rounds
};

/// What a search for a family knows; all that it needs to go on later.
struct pareto_state {
  /// The search under one limit.
  struct limit_state {
    double limit = 0;                       ///< of cost
    std::vector<candidate> elite;           ///< local optima within the limit, best first
    std::set<std::uint64_t> passed;         ///< hashes of architectures that a climb has gone through
    std::size_t evaluations = 0, round = 0; ///< so far
  };
  std::vector<limit_state> limits; ///< ascending
  front all;                       ///< of everything predicted so far
  std::uint64_t seed = 1;          ///< of the search that this is the state of
  named_inputs inputs;             ///< space, models, limits and seed; the search compares them

  /// Accuracy predictions under all limits together.
  std::size_t evaluations() const {
    std::size_t n = 0;
    for (const auto& l : limits) n += l.evaluations;
    return n;
  }
  /// The most accurate architecture within limit i.
  const candidate& best(std::size_t i) const { return *all.best_within(limits[i].limit); }
};

/// Searches the whole family at once: for every limit of cost the most accurate architecture, and the front of all that
/// was seen.
///
/// Each limit keeps an elite of local optima (`improver`). A round makes a child per limit, by crossover and mutation
/// of its elite or its neighbours', climbs from it, and merges what was found. Rounds are seeded by (seed, limit,
/// round) and merged in order, so the result is a function of models and options alone, whatever the threads; a state
/// that was stored between two runs goes on as if never stopped. On the published Jetson tables it beats the
/// reference's evolution (500 generations, three seeds) at every limit in 0.3 s each.
template <accuracy_model Accuracy, cost_model Cost>
class pareto_search {
public:
  /// Goes on from `resume` where it is given. Throws errc::mismatch for a state of another space, other models, limits
  /// or seed, errc::infeasible for a limit that nothing in the space meets.
  pareto_search(const space_description& space, std::type_identity_t<Accuracy> accuracy,
                std::type_identity_t<Cost> cost, pareto_options options,
                std::optional<pareto_state> resume = std::nullopt)
      : space_{space}
      , accuracy_{std::forward<Accuracy>(accuracy)}
      , cost_{std::forward<Cost>(cost)}
      , options_{std::move(options)} {
    named_inputs now = search_inputs(space_, accuracy_, cost_);
    now["seed"] = text(options_.seed);
    now["limits"] = options_.limits.empty() ? text(options_.levels, " steps over the range") : "";
    for (double limit : options_.limits) now["limits"] += detail::digits(limit) + ' ';
    if (resume) {
      require_same_inputs("search state", now, resume->inputs);
      state_ = std::move(*resume);
      return;
    }
    state_.inputs = std::move(now);
    auto limits = options_.limits;
    if (limits.empty()) limits = default_limits();
    std::sort(limits.begin(), limits.end());
    limits.erase(std::unique(limits.begin(), limits.end()), limits.end());
    for (auto limit : limits) {
      require_feasible(space_, cost_, limit, "pareto search");
      state_.limits.push_back({limit, {}, {}, 0, 0});
    }
    state_.seed = options_.seed;
  }

  /// Runs until the evaluations are spent, a stop is requested or the callback says no. True if it got to the end.
  /// Throws errc::infeasible if after the first rounds nothing was met within a limit (models that are not additive).
  bool run() {
    while (step()) {
      if (options_.stop.stop_requested()) return false;
      if (options_.on_progress) {
        progress p;
        for (const auto& l : state_.limits) p.done += std::min(l.evaluations, options_.evaluations);
        p.total = options_.evaluations * state_.limits.size();
        p.evaluations = state_.evaluations();
        if (!state_.all.members().empty()) p.best_accuracy = state_.all.members().back().accuracy;
        if (!options_.on_progress(p)) return false;
      }
    }
    return true;
  }
  const pareto_state& state() const { return state_; } ///< for a file, and for another search to go on from

private:
  static constexpr std::size_t elite_size = 12;

  struct found {
    candidate optimum;
    front seen;
    std::vector<std::uint64_t> steps;
    std::size_t evaluations = 0;
  };

  /// One child for every limit that has evaluations left; false if none has.
  bool step() {
    std::vector<std::size_t> todo;
    for (std::size_t i = 0; i < state_.limits.size(); ++i)
      if (state_.limits[i].evaluations < options_.evaluations) todo.push_back(i);
    if (todo.empty()) return false;
    std::vector<found> results(todo.size());
    parallel_for(todo.size(), options_.threads, [&](std::size_t t) { results[t] = climb(todo[t]); });
    for (std::size_t t = 0; t < todo.size(); ++t) merge(todo[t], results[t]);
    return true;
  }

  found climb(std::size_t i) const {
    const auto& mine = state_.limits[i];
    random_stream random(state_.seed, text("pareto ", i, " ", mine.round));
    found f;
    improver improve(space_, accuracy_, cost_);
    f.optimum = improve(
        child(i, random), mine.limit,
        [&](const candidate& c) {
          if (std::isfinite(c.cost)) f.seen.insert(c);
        },
        [&](std::uint64_t hash) { return mine.passed.contains(hash); });
    f.steps = improve.steps();
    f.evaluations = improve.evaluations();
    return f;
  }

  arch child(std::size_t i, random_stream& random) const {
    const auto& mine = state_.limits[i];
    const std::size_t resolutions = space_.resolutions.size(), first_rounds = std::min<std::size_t>(resolutions, 8);
    if (mine.round < first_rounds || mine.elite.empty()) { // begin everywhere: a start per resolution
      arch a = random_arch(space_, random);
      a.r = space_.resolutions[mine.round % first_rounds * resolutions / first_rounds];
      return a;
    }
    const auto parent = [&]() -> const arch& {
      const auto& from =
          random.chance(0.2)
              ? state_.limits[random.below(2) ? (i ? i - 1 : 0) : std::min(i + 1, state_.limits.size() - 1)]
              : mine;
      const auto& elite = from.elite.empty() ? mine.elite : from.elite;
      const auto n = static_cast<std::uint32_t>(elite.size());
      return elite[std::min(random.below(n), random.below(n))].arch; // the better of two
    };
    arch a = parent();
    if (random.chance(0.6)) a = crossover(a, parent(), random);
    return mutate(space_, a, random.chance(0.5) ? 0.1 : 0.25, random, 0.15);
  }

  void merge(std::size_t i, const found& f) {
    for (const candidate& c : f.seen.members()) state_.all.insert(c);
    auto& mine = state_.limits[i];
    mine.evaluations += f.evaluations;
    ++mine.round;
    mine.passed.insert(f.steps.begin(), f.steps.end());
    if (f.optimum.cost <= mine.limit) insert_elite(mine.elite, f.optimum);
    if (const auto* best = state_.all.best_within(mine.limit)) insert_elite(mine.elite, *best); // met on another's way
    if (mine.elite.empty() && (mine.round == 16 || mine.evaluations >= options_.evaluations))
      throw error(errc::infeasible, "pareto search",
                  text("a limit that some architecture meets; the least met was ",
                       state_.all.members().empty() ? 0.0 : state_.all.members().front().cost, ' ', cost_.unit()),
                  text(mine.limit, ' ', cost_.unit()));
  }
  static void insert_elite(std::vector<candidate>& elite, const candidate& c) {
    for (const auto& e : elite)
      if (e.arch == c.arch) return;
    elite.insert(std::ranges::upper_bound(elite, c.accuracy, std::ranges::greater{}, &candidate::accuracy), c);
    if (elite.size() > elite_size) elite.pop_back();
  }

  std::vector<double> default_limits() const {
    double least = std::numeric_limits<double>::infinity(), most = 0;
    if constexpr (additive_cost_model<Cost>) {
      const auto x = exact_extremes(space_, cost_);
      least = x.least.cost, most = x.most.cost;
    } else {
      random_stream random(options_.seed, "range");
      for (int i = 0; i < 500; ++i)
        if (const double cost = cost_(random_arch(space_, random)); std::isfinite(cost))
          least = std::min(least, cost), most = std::max(most, cost);
      if (!(most > 0))
        throw error(errc::infeasible, "pareto search", "a space of which the cost model accepts something",
                    "none of 500");
    }
    std::vector<double> limits;
    for (std::size_t i = 1; i <= options_.levels; ++i) // steps of equal ratio: accuracy rises about with log cost
      limits.emplace_back(least *
                          std::pow(most / least, static_cast<double>(i) / static_cast<double>(options_.levels + 1)));
    return limits;
  }

  space_description space_;
  Accuracy accuracy_; ///< a value or a reference, see `kept_model`
  Cost cost_;
  pareto_options options_;
  pareto_state state_;
};
/// Keeps references to models that outlive it, copies of temporaries.
template <class Accuracy, class Cost, class... Rest>
pareto_search(const space_description&, Accuracy&&, Cost&&, Rest&&...)
    -> pareto_search<kept_model<Accuracy>, kept_model<Cost>>;

/// Runs a `pareto_search` to its end (or to a stop) and returns what it found.
template <accuracy_model Accuracy, cost_model Cost>
pareto_state pareto(const space_description& space, const Accuracy& accuracy, const Cost& cost,
                    pareto_options options = {}) {
  pareto_search search(space, accuracy, cost, std::move(options));
  search.run();
  return search.state();
}

} // namespace dynofa::search
