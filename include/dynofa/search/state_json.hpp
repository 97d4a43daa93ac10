#pragma once
#include "dynofa/search/evolution.hpp"
#include "dynofa/search/pareto.hpp"
#include "dynofa/space/json.hpp"

// Search states as JSON, so that a search can stop and go on in another process. Reading checks every architecture
// against the space and bounds every length; whatever is wrong is one dynofa::error.

namespace dynofa::search {

namespace detail {

using dynofa::detail::json_field;

inline std::uint64_t read_count(const json_field& f) {
  return f.whole_number(0, std::numeric_limits<std::uint64_t>::max());
}
/// `before`: its name when every cost was called milliseconds.
inline double read_cost(const json_field& f, const char* name, const char* before) {
  return f[f.has(name) ? name : before].number();
}
inline candidate read_candidate(const json_field& f, const space_description& space) {
  candidate c{read_arch(f["arch"].value()), f["accuracy"].number(), read_cost(f, "cost", "latency_ms")};
  validate(space, c.arch);
  c.arch = dealt(space, c.arch); // mutation and crossover go on from inactive genes too
  return c;
}

} // namespace detail

/// An architecture with what the models said of it.
inline void to_json(nlohmann::json& json, const candidate& c) {
  json = {{"arch", c.arch}, {"accuracy", c.accuracy}, {"cost", c.cost}};
}
/// What `read_pareto_state` reads.
inline void to_json(nlohmann::json& json, const pareto_state& s) {
  json = {{"inputs", s.inputs}, {"seed", s.seed}, {"front", s.all.members()}, {"limits", nlohmann::json::array()}};
  for (const auto& l : s.limits)
    json["limits"].push_back({{"limit", l.limit},
                              {"elite", l.elite},
                              {"passed", l.passed},
                              {"evaluations", l.evaluations},
                              {"round", l.round}});
}
/// Throws errc::bad_file, with the field, for what is no such state, and errc::invalid_arch for an architecture of
/// another space.
inline pareto_state read_pareto_state(const nlohmann::json& json, const space_description& space) {
  using namespace detail;
  const json_field all(json, "search state");
  pareto_state s;
  s.inputs = dynofa::detail::read_inputs(all["inputs"]);
  s.seed = read_count(all["seed"]);
  all["front"].each(1 << 20, [&](const json_field& c) { s.all.insert(read_candidate(c, space)); });
  all["limits"].each(1024, [&](const json_field& l) {
    pareto_state::limit_state limit;
    limit.limit = read_cost(l, "limit", "limit_ms");
    l["elite"].each(64, [&](const json_field& c) { limit.elite.push_back(read_candidate(c, space)); });
    l["passed"].each(1 << 22, [&](const json_field& hash) { limit.passed.insert(read_count(hash)); });
    limit.evaluations = read_count(l["evaluations"]);
    limit.round = read_count(l["round"]);
    s.limits.push_back(std::move(limit));
  });
  if (s.limits.empty()) throw error(errc::bad_file, "search state field limits", "at least one", "none");
  return s;
}
/// What `read_evolution_state` reads.
inline void to_json(nlohmann::json& json, const evolution_state& s) {
  json = {{"inputs", s.inputs},
          {"population", s.population},
          {"generation", s.generation},
          {"evaluations", s.evaluations},
          {"random", {s.random_key, s.random_counter}}};
}
/// Throws as `read_pareto_state` does.
inline evolution_state read_evolution_state(const nlohmann::json& json, const space_description& space) {
  using namespace detail;
  const json_field all(json, "search state");
  evolution_state s;
  s.inputs = dynofa::detail::read_inputs(all["inputs"]);
  all["population"].each(1 << 20, [&](const json_field& c) { s.population.push_back(read_candidate(c, space)); });
  if (s.population.empty()) throw error(errc::bad_file, "search state field population", "at least one", "none");
  s.generation = read_count(all["generation"]);
  s.evaluations = read_count(all["evaluations"]);
  std::vector<std::uint64_t> random;
  all["random"].each(2, [&](const json_field& f) { random.push_back(read_count(f)); });
  if (random.size() != 2) throw all["random"].fault("two numbers", text(random.size()));
  s.random_key = random[0], s.random_counter = random[1];
  return s;
}

} // namespace dynofa::search
