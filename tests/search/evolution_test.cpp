#include "dynofa/search/evolution.hpp"
#include "dynofa/search/family_selection.hpp"
#include "dynofa/search/random_search.hpp"
#include "dynofa/search/state_json.hpp"

#include <doctest/doctest.h>

#include "search/landscape.hpp"
#include "support/sentence.hpp"

namespace dynofa_test::search_evolution {

using namespace dynofa;
using namespace support;

namespace {
const landscape accuracy;
search::evolution_options brief() {
  search::evolution_options options;
  options.population = 20, options.generations = 15;
  return options;
}
} // namespace

TEST_CASE("evolution improves within its limit, and repeats by seed") {
  const auto latency = small_costs();
  const auto limit = middle_cost();
  auto options = brief();
  options.generations = 0;
  const auto start = search::evolution(small_space(), accuracy, latency, limit, options);
  const auto end = search::evolution(small_space(), accuracy, latency, limit, brief());
  CHECK(end.best().accuracy > start.best().accuracy);
  CHECK(end.generation == 15);
  CHECK(end.evaluations <= 20 * 16);
  for (const auto& c : end.population) {
    CHECK(c.cost <= limit);
    CHECK(c.accuracy == accuracy(c.arch));
  }
  CHECK(nlohmann::json(end) == nlohmann::json(search::evolution(small_space(), accuracy, latency, limit, brief())));
}

TEST_CASE("evolution stopped and resumed is evolution") {
  const auto latency = small_costs();
  const auto limit = middle_cost();
  const auto whole = search::evolution(small_space(), accuracy, latency, limit, brief());
  auto options = brief();
  options.on_progress = [](const search::progress& p) { return p.done < 5; };
  search::evolution_search first(small_space(), accuracy, latency, limit, options);
  CHECK_FALSE(first.run());
  const auto stored = nlohmann::json::parse(nlohmann::json(first.state()).dump());
  search::evolution_search second(small_space(), accuracy, latency, limit, brief(),
                                  search::read_evolution_state(stored, small_space()));
  CHECK(second.run());
  CHECK(second.state().best().arch == whole.best().arch);
  CHECK(second.state().generation == whole.generation);
}

TEST_CASE("an evolution in ProxylessNAS is resumed as if never stopped, inactive genes and all") {
  const space_description space = tiny_proxyless()->space;
  const auto costs = count_model::macs(space);
  const double most = 0.5 * costs(largest(space));
  const auto whole = search::evolution(space, accuracy, costs, most, brief());
  auto options = brief();
  options.on_progress = [](const search::progress& p) { return p.done < 5; };
  search::evolution_search first(space, accuracy, costs, most, options);
  CHECK_FALSE(first.run());
  const auto stored = nlohmann::json::parse(nlohmann::json(first.state()).dump());
  search::evolution_search second(space, accuracy, costs, most, brief(), search::read_evolution_state(stored, space));
  CHECK(second.run());
  CHECK(nlohmann::json(second.state()).at("population") == nlohmann::json(whole).at("population"));
}

TEST_CASE("an evolution's state is refused for another limit, model or option, naming which") {
  const auto latency = small_costs();
  const auto state = search::evolution(small_space(), accuracy, latency, middle_cost(), brief());
  const auto go_on = [&](double limit, auto options) {
    return sentence([&] { search::evolution_search(small_space(), accuracy, latency, limit, options, state); });
  };
  auto options = brief();
  options.generations = 100; // only says when to stop
  CHECK(go_on(middle_cost(), options) == "(no error)");
  CHECK(go_on(2 * middle_cost(), options).find("another input, limit: expected") != std::string::npos);
  options.population = 30;
  CHECK(go_on(middle_cost(), options).find("population: expected 30, got 20") != std::string::npos);
  options = brief();
  options.mutate_prob = 0.1;
  CHECK(go_on(middle_cost(), options).find("mutation probability: expected 0.1, got 0.4") != std::string::npos);
  const auto other = [](const arch& a) { return accuracy(a) + 1; };
  CHECK(sentence([&] {
          search::evolution_search(small_space(), other, latency, middle_cost(), brief(), state);
        }).find("accuracy model") != std::string::npos);
}

TEST_CASE("evolution ends at the tightest limit, and refuses a tighter one") {
  const auto latency = small_costs();
  const double least = find_extremes(latency.costs()).least.cost;
  const auto found = search::evolution(small_space(), accuracy, latency, least, brief());
  CHECK(found.best().cost == least);
  CHECK(sentence([&] {
          search::evolution(small_space(), accuracy, latency, least * 0.99, brief());
        }).starts_with("evolution: expected a limit of at least the space's least, "));
  auto options = brief();
  options.mutate_prob = 1.5;
  CHECK(sentence([&] { search::evolution(small_space(), accuracy, latency, 1e12, options); }) ==
        "evolution option mutate_prob: expected a number in 0..1, got 1.5");
}

TEST_CASE("Algorithm 1: bounds, Parents, and its traps") {
  const auto latency = small_costs();
  const auto x = find_extremes(latency.costs());
  search::random_search_options options;
  options.accuracy_max = 0.62, options.accuracy_range = 0.02;
  options.latency_init = x.least.cost * 1.5, options.latency_add = x.least.cost * 0.5;
  options.latency_max = x.least.cost * 3.2;
  options.itr_n = 50, options.itr_max = 20000;
  search::random_search search(small_space(), accuracy, latency, options);
  std::set<arch> seen;
  for (int i = 0; i < 20; ++i) {
    const auto found = search.next();
    REQUIRE(found.has_value());
    CHECK(found->accuracy > 0.6);
    CHECK(found->cost < search.bound());
    CHECK(search.bound() <= options.latency_max); // never passed
    CHECK(seen.insert(found->arch).second);
  }
  CHECK(search.parents() == seen);

  options.as_printed = true, options.accuracy_max = 100; // nothing is that good: the bound rises to its end
  options.itr_max = 1000;
  search::random_search printed(small_space(), accuracy, latency, options);
  CHECK_FALSE(printed.next().has_value());
  CHECK(printed.draws() == 1000);
  CHECK(printed.bound() >= options.latency_max);
  CHECK(printed.bound() < options.latency_max + options.latency_add);
  options.itr_max = 1;
  search::random_search once(small_space(), accuracy, latency, options);
  once.next();
  CHECK(once.bound() == options.latency_init + options.latency_add); // 0 % itr_n = 0

  options.itr_n = 0;
  CHECK(sentence([&] { search::random_search(small_space(), accuracy, latency, options); }) ==
        "random search: expected itr_n of at least 1, got 0");
}

TEST_CASE("models that are temporary live as long as their search") {
  const auto latency = small_costs();
  const auto limit = middle_cost();
  search::evolution_search evolution(small_space(), landscape{}, small_costs(), limit, brief());
  const std::vector<double> elsewhere(10'000); // what was freed is used again
  CHECK(evolution.run());
  CHECK(nlohmann::json(evolution.state()) ==
        nlohmann::json(search::evolution(small_space(), accuracy, latency, limit, brief())));

  search::random_search_options options;
  options.accuracy_range = 10, options.latency_init = options.latency_max = limit;
  search::random_search temporary(small_space(), landscape{}, small_costs(), options);
  search::random_search named(small_space(), accuracy, latency, options);
  for (int i = 0; i < 5; ++i) CHECK(temporary.next().value().arch == named.next().value().arch);
}

TEST_CASE("families are chosen by step or by number") {
  search::front all;
  for (int i = 0; i <= 100; ++i) all.insert({smallest(small_space()), 0.60 + 0.001 * i, 10.0 + i});
  // the architecture decides what is the same level, so levels differ here only by what they are
  search::front distinct;
  random_stream random(1, "family");
  for (int i = 0; i <= 100; ++i) distinct.insert({random_arch(small_space(), random), 0.60 + 0.001 * i, 10.0 + i});
  const auto family = search::select_by_accuracy_step(distinct, 0.01);
  REQUIRE(family.size() == 11);
  for (std::size_t i = 1; i < family.size(); ++i) {
    CHECK(family[i].accuracy - family[i - 1].accuracy == doctest::Approx(0.01).epsilon(0.11));
    CHECK(family[i].cost > family[i - 1].cost);
  }
  CHECK(family.back().accuracy == doctest::Approx(0.7));
  const auto six = search::select_levels(distinct, 6);
  CHECK(six.size() == 6);
  CHECK(six.front().accuracy == doctest::Approx(0.6));
  CHECK(search::select_levels(all, 6).size() == 1);
  CHECK(sentence([&] { search::select_levels(distinct, 0); }) == "family selection: expected at least 1 level, got 0");
  CHECK(sentence([&] {
          search::select_by_accuracy_step(distinct, 0);
        }).starts_with("family selection: expected an accuracy step above 0"));
  CHECK_THROWS_AS(search::select_levels({}, 3), error);
}

TEST_CASE("ResNet: evolution and Algorithm 1 draw, mutate and keep legal widths") {
  const space_description& space = tiny_resnet_space::description;
  const count_model cost = count_model::macs(space);
  const auto accuracy = [](const arch& a) {
    double sum = 0;
    for (const auto w : a.w) sum += w;
    for (std::size_t b = 0; b < a.e.size(); ++b) sum += a.active(b) ? a.e[b].value() : 0;
    return sum;
  };
  const auto ends = find_extremes(cost.costs());
  const double limit = std::sqrt(ends.least.cost * ends.most.cost);
  search::evolution_options options;
  options.population = 40, options.generations = 20;
  const auto found = search::evolution(space, accuracy, cost, limit, options);
  for (const auto& one : found.population) {
    CHECK(is_legal(space, one.arch));
    CHECK(one.cost == cost(one.arch));
  }
  CHECK(found.best().cost <= limit);
  options.generations = 0;
  CHECK(found.best().accuracy > search::evolution(space, accuracy, cost, limit, options).best().accuracy);
  const auto read = search::read_evolution_state(nlohmann::json::parse(nlohmann::json(found).dump()), space);
  REQUIRE(read.population.size() == found.population.size());
  for (std::size_t i = 0; i < read.population.size(); ++i) {
    CHECK(read.population[i].arch == found.population[i].arch);
    CHECK(read.population[i].arch.hash() == found.population[i].arch.hash());
  }
  search::random_search_options wanted;
  wanted.accuracy_max = 12, wanted.accuracy_range = 6;
  wanted.latency_init = limit, wanted.latency_max = limit;
  search::random_search draws(space, accuracy, cost, wanted);
  const auto one = draws.next();
  REQUIRE(one.has_value());
  CHECK(one->cost < limit);
  CHECK(is_legal(space, one->arch));
}

} // namespace dynofa_test::search_evolution
