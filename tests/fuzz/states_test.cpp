// What searches and profilers keep to go on later.
#include "dynofa/core/state_file.hpp"
#include "dynofa/latency/profile_state.hpp"
#include "dynofa/search/state_json.hpp"

#include <doctest/doctest.h>

#include "support/fuzz.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::fuzz_states {

using namespace dynofa;
using namespace support;

TEST_CASE("search states") {
  const auto space = tiny_space::description;
  search::pareto_state pareto;
  search::evolution_state evolution;
  const search::candidate one{smallest(space), 0.5, 3}, two{largest(space), 0.7, 9};
  pareto.all.insert(one), pareto.all.insert(two);
  pareto.limits.push_back({5, {one}, {one.arch.hash()}, 17, 2});
  evolution.population = {two, one};
  pareto.inputs = evolution.inputs = {{"seed", "1"}};
  evolution.random_key = ~0ull;
  // their sentences name no file: their callers do
  fuzz::alter({"Pareto states", ""}, {nlohmann::json(pareto).dump()}, 5'000, fuzz::mutator(1),
              [&](const file_bytes& file, std::size_t) {
                const auto state = search::read_pareto_state(detail::parse_bounded(file.text(), "f"), space);
                REQUIRE(search::read_pareto_state(state, space).limits.size() == state.limits.size());
              })
      .expect(2, 20);
  fuzz::alter({"evolution states", ""}, {nlohmann::json(evolution).dump()}, 5'000, fuzz::mutator(2),
              [&](const file_bytes& file, std::size_t) {
                const nlohmann::json state =
                    search::read_evolution_state(detail::parse_bounded(file.text(), "f"), space);
                REQUIRE(nlohmann::json(search::read_evolution_state(state, space)) == state);
              })
      .expect(2, 20);
}

TEST_CASE("profile states") {
  profile_state s;
  s.inputs = {{"backend", "cpu"}, {"seed", "1"}};
  s.seconds = 1.5;
  s.reference = {1, 2, 3};
  s.resolutions[160].keys["Conv-input:160x160x3-output:80x80x24"] = {100, 200};
  s.resolutions[160].carriers = {{1000}, {}};
  fuzz::alter({"profile states"}, {nlohmann::json(s).dump()}, 3'000, fuzz::mutator(3),
              [](const file_bytes& file, std::size_t) {
                const auto state = parse_profile_state(file.text(), "f");
                REQUIRE(read_profile_state(state) == state);
              })
      .expect(2, 20);
}

TEST_CASE("state files") {
  const scratch_folder folder;
  const auto path = folder.path() / "state.json";
  const state_file file(path, {{"samples", "80"}, {"seed", "1"}});
  file.save({{"done", {1, 2.5, "three"}}});
  fuzz::alter({"state files", path.string()}, {read_text(path)}, 2'000, fuzz::mutator(4),
              [&](const file_bytes& altered, std::size_t) {
                write_text(path, altered.text());
                const auto content = file.load();
                REQUIRE(content.has_value());
              })
      .expect(1, 20);
}

} // namespace dynofa_test::fuzz_states
