#pragma once
#include "dynofa/search/evolution.hpp"
#include "dynofa/search/pareto.hpp"
#include "dynofa/space/json.hpp"

// Search states as JSON, so that a search can stop and go on in another process. Reading checks every architecture
// against the space and bounds every length; whatever is wrong is one dynofa::error.

namespace dynofa::search {

namespace detail {

inline const nlohmann::json& state_field(const nlohmann::json& json, const char* name) {
  if (!json.is_object() || !json.contains(name))
    throw error(errc::bad_file, "search state", text("a field ", name), "none");
  return json[name];
}
inline double state_number(const nlohmann::json& json, const char* name) {
  const auto& value = state_field(json, name);
  if (!value.is_number()) throw error(errc::bad_file, text("search state field ", name), "a number", value.type_name());
  return value.get<double>();
}
inline std::uint64_t state_count(const nlohmann::json& value, const char* name) {
  if (!value.is_number_unsigned())
    throw error(errc::bad_file, text("search state field ", name), "a whole number", value.type_name());
  return value.get<std::uint64_t>();
}
inline const nlohmann::json& state_list(const nlohmann::json& json, const char* name, std::size_t most) {
  const auto& value = state_field(json, name);
  if (!value.is_array() || value.size() > most)
    throw error(errc::bad_file, text("search state field ", name), text("a list of at most ", most),
                value.is_array() ? text(value.size()) : value.type_name());
  return value;
}
inline candidate read_candidate(const nlohmann::json& json, const space_description& space) {
  candidate c{read_arch(state_field(json, "arch")), state_number(json, "accuracy"),
              milliseconds(state_number(json, "latency_ms"))};
  validate(space, c.arch);
  return c;
}

} // namespace detail

inline void to_json(nlohmann::json& json, const candidate& c) {
  json = {{"arch", c.arch}, {"accuracy", c.accuracy}, {"latency_ms", c.latency.count()}};
}
inline void to_json(nlohmann::json& json, const pareto_state& s) {
  json = {{"seed", s.seed}, {"front", s.all.members()}, {"limits", nlohmann::json::array()}};
  for (const auto& l : s.limits)
    json["limits"].push_back({{"limit_ms", l.limit.count()},
                              {"elite", l.elite},
                              {"passed", l.passed},
                              {"evaluations", l.evaluations},
                              {"round", l.round}});
}
inline pareto_state read_pareto_state(const nlohmann::json& json, const space_description& space) {
  using namespace detail;
  pareto_state s;
  s.seed = state_count(state_field(json, "seed"), "seed");
  for (const auto& c : state_list(json, "front", 1 << 20)) s.all.insert(read_candidate(c, space));
  for (const auto& l : state_list(json, "limits", 1024)) {
    pareto_state::limit_state limit;
    limit.limit = milliseconds(state_number(l, "limit_ms"));
    for (const auto& c : state_list(l, "elite", 64)) limit.elite.push_back(read_candidate(c, space));
    for (const auto& h : state_list(l, "passed", 1 << 22)) limit.passed.insert(state_count(h, "passed"));
    limit.evaluations = state_count(state_field(l, "evaluations"), "evaluations");
    limit.round = state_count(state_field(l, "round"), "round");
    s.limits.push_back(std::move(limit));
  }
  if (s.limits.empty()) throw error(errc::bad_file, "search state field limits", "at least one", "none");
  return s;
}
inline void to_json(nlohmann::json& json, const evolution_state& s) {
  json = {{"population", s.population},
          {"generation", s.generation},
          {"evaluations", s.evaluations},
          {"random", {s.random_key, s.random_counter}}};
}
inline evolution_state read_evolution_state(const nlohmann::json& json, const space_description& space) {
  using namespace detail;
  evolution_state s;
  for (const auto& c : state_list(json, "population", 1 << 20)) s.population.push_back(read_candidate(c, space));
  if (s.population.empty()) throw error(errc::bad_file, "search state field population", "at least one", "none");
  s.generation = state_count(state_field(json, "generation"), "generation");
  s.evaluations = state_count(state_field(json, "evaluations"), "evaluations");
  const auto& random = state_list(json, "random", 2);
  if (random.size() != 2) throw error(errc::bad_file, "search state field random", "two numbers", text(random.size()));
  s.random_key = state_count(random[0], "random"), s.random_counter = state_count(random[1], "random");
  return s;
}

} // namespace dynofa::search
