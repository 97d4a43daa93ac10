#pragma once
#include "dynofa/search/search_inputs.hpp"
#include "dynofa/space/sampling.hpp"

#include <optional>
#include <stop_token>
#include <unordered_map>

namespace dynofa::search {

/// The reference's hyper-parameters are the defaults.
struct evolution_options {
  std::size_t population = 100, generations = 500;                  ///< individuals, and rounds of selection
  double parent_ratio = 0.25;                                       ///< best of each generation, which stay
  double mutation_ratio = 0.5;                                      ///< children by mutation; the rest by crossover
  double mutate_prob = 0.4;                                         ///< per gene (once-for-all's tutorial: 0.1)
  double accuracy_least = -std::numeric_limits<double>::infinity(); ///< of mutants and children
  std::size_t most_draws = 2000; ///< for one individual; the reference draws for ever
  std::uint64_t seed = 1;        ///< the same seed gives the same result
  progress_callback on_progress; ///< after each generation
  std::stop_token stop;          ///< ends the search between two generations
};

/// All that an evolution needs to go on later.
struct evolution_state {
  std::vector<candidate> population;                ///< best first
  std::size_t generation = 0, evaluations = 0;      ///< done so far
  std::uint64_t random_key = 0, random_counter = 0; ///< of the random stream
  named_inputs inputs;                              ///< space, models, limit and options; the search compares them
  /// The most accurate within the limit; there has to be a population.
  const candidate& best() const { return population.front(); }
};

/// once-for-all's evolution: elitist, half mutation, half crossover, accuracy under a limit of cost (≤). Different from
/// the reference where that is broken: no draw repeats for ever, the whole first population is used, the last
/// generation is looked at, and an architecture is predicted once.
template <accuracy_model Accuracy, cost_model Cost>
class evolution_search {
public:
  /// Throws errc::infeasible for a limit below the space's least cost, errc::invalid_argument for ratios outside
  /// [0, 1] or an empty population, errc::mismatch for a state to go on from that has another space, other models,
  /// limit or options.
  evolution_search(const space_description& space, std::type_identity_t<Accuracy> accuracy,
                   std::type_identity_t<Cost> cost, double limit, evolution_options options,
                   std::optional<evolution_state> resume = std::nullopt)
      : space_{space}
      , accuracy_{std::forward<Accuracy>(accuracy)}
      , cost_{std::forward<Cost>(cost)}
      , limit_{limit}
      , options_{std::move(options)}
      , random_{options_.seed, "evolution"} {
    const auto ratio = [](double value, const char* name) {
      require_argument(value >= 0 && value <= 1, text("evolution option ", name), "a number in 0..1", value);
    };
    ratio(options_.parent_ratio, "parent_ratio"), ratio(options_.mutation_ratio, "mutation_ratio"),
        ratio(options_.mutate_prob, "mutate_prob");
    require_argument(options_.population >= 1, "evolution option population", "at least 1", "0");
    require_feasible(space_, cost_, limit_, "evolution");
    named_inputs now = search_inputs(space_, accuracy_, cost_);
    const auto& o = options_;
    now["seed"] = text(o.seed), now["limit"] = detail::digits(limit_), now["population"] = text(o.population);
    now["most draws"] = text(o.most_draws);
    for (const auto& [name, value] : {std::pair{"parent ratio", o.parent_ratio},
                                      {"mutation ratio", o.mutation_ratio},
                                      {"mutation probability", o.mutate_prob},
                                      {"least accuracy", o.accuracy_least}})
      now[name] = detail::digits(value);
    if (resume) require_same_inputs("search state", now, resume->inputs);
    state_.inputs = std::move(now);
    if (resume) {
      state_ = std::move(*resume);
      random_ = random_stream::resume(state_.random_key, state_.random_counter);
    }
  }

  /// Runs to the last generation, a stop request or a callback that says no. True if it got to the end.
  bool run() {
    while (step()) {
      if (options_.stop.stop_requested()) return false;
      if (options_.on_progress &&
          !options_.on_progress({state_.generation, options_.generations, state_.evaluations, state_.best().accuracy}))
        return false;
    }
    return true;
  }
  const evolution_state& state() const { return state_; } ///< for `save`, and for another search to go on from

private:
  bool step() {
    if (state_.population.empty()) {
      std::vector<arch> first;
      for (std::size_t i = 0; i < options_.population; ++i) first.push_back(draw_first());
      grade(first);
    } else {
      if (state_.generation >= options_.generations) return false;
      ++state_.generation;
      const auto parents = std::max<std::size_t>(
          1, static_cast<std::size_t>(std::lround(options_.parent_ratio * double(options_.population))));
      if (state_.population.size() > parents) state_.population.resize(parents);
      std::vector<arch> children;
      const auto pick = [&]() -> const arch& {
        return state_.population[random_.below(static_cast<std::uint32_t>(state_.population.size()))].arch;
      };
      const auto mutants = static_cast<std::size_t>(std::lround(options_.mutation_ratio * double(options_.population)));
      for (std::size_t i = 0; i < options_.population; ++i) {
        if (i < mutants) {
          const arch& parent = pick();
          children.push_back(draw([&] { return mutate(space_, parent, options_.mutate_prob, random_); }, parent));
        } else {
          const arch &mother = pick(), &father = pick();
          children.push_back(draw([&] { return crossover(mother, father, random_); }, mother));
        }
      }
      grade(children);
    }
    state_.random_key = random_.key(), state_.random_counter = random_.counter();
    return true;
  }

  bool fits(const arch& a) const { return cost_(a) <= limit_; }
  template <class Draw>
  arch draw(Draw make, const arch& otherwise) {
    for (std::size_t i = 0; i < options_.most_draws; ++i)
      if (const arch a = make(); fits(a)) return a;
    return otherwise;
  }
  /// At random; where that meets nothing within the limit, near the cheapest architecture.
  arch draw_first() {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < options_.most_draws; ++i) {
      const arch a = random_arch(space_, random_);
      const double cost = cost_(a);
      if (cost <= limit_) return a;
      least = std::min(least, cost);
    }
    if constexpr (additive_cost_model<Cost>) {
      const arch cheapest = find_extremes(cost_.costs(), &space_).least.arch;
      for (double p = 0.3; p > 0.005; p *= 0.7)
        for (int i = 0; i < 20; ++i)
          if (const arch a = mutate(space_, cheapest, p, random_, 0); fits(a)) return a;
      return cheapest;
    } else
      throw error(errc::infeasible, "evolution",
                  text("a limit that one of ", options_.most_draws, " draws meets; the least met was ", least, ' ',
                       cost_.unit()),
                  text(limit_, ' ', cost_.unit()));
  }

  /// Predicts what is new, adds all to the population and sorts it.
  void grade(const std::vector<arch>& archs) {
    std::vector<arch> fresh;
    for (const arch& a : archs)
      if (known_.emplace(a, 0.0).second) fresh.push_back(a);
    std::vector<double> values(fresh.size());
    predict_all(accuracy_, std::span<const arch>(fresh), std::span<double>(values));
    state_.evaluations += fresh.size();
    for (std::size_t i = 0; i < fresh.size(); ++i) known_[fresh[i]] = values[i];
    const bool first = state_.generation == 0;
    for (const arch& a : archs) {
      const double accuracy = known_[a];
      if (first || accuracy >= options_.accuracy_least) state_.population.push_back({a, accuracy, cost_(a)});
    }
    std::ranges::stable_sort(state_.population, std::ranges::greater{}, &candidate::accuracy);
  }

  space_description space_;
  Accuracy accuracy_; ///< a value or a reference, see `kept_model`
  Cost cost_;
  double limit_;
  evolution_options options_;
  random_stream random_;
  evolution_state state_;
  std::unordered_map<arch, double> known_;
};
/// Keeps references to models that outlive it, copies of temporaries.
template <class Accuracy, class Cost, class... Rest>
evolution_search(const space_description&, Accuracy&&, Cost&&, Rest&&...)
    -> evolution_search<kept_model<Accuracy>, kept_model<Cost>>;

/// Runs an `evolution_search` and returns its last state; `.best()` is the answer.
template <accuracy_model Accuracy, cost_model Cost>
evolution_state evolution(const space_description& space, const Accuracy& accuracy, const Cost& cost, double limit,
                          evolution_options options = {}) {
  evolution_search search(space, accuracy, cost, limit, std::move(options));
  search.run();
  return search.state();
}

} // namespace dynofa::search
