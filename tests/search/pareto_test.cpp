// ctest: threads
#include "dynofa/backend/reference.hpp"
#include "dynofa/latency/measured.hpp"
#include "dynofa/search/pareto.hpp"
#include "dynofa/search/state_json.hpp"

#include <doctest/doctest.h>

#include "search/landscape.hpp"
#include "support/no_more_threads.hpp"
#include "support/sentence.hpp"
#include <atomic>
#include <cmath>
#include <cstring>
#include <set>

namespace dynofa_test::search_pareto {

using namespace dynofa;
using namespace support;
using search::pareto_options;

namespace {
const landscape accuracy;
pareto_options brief(std::size_t evaluations = 6000) {
  pareto_options options;
  options.levels = 3;
  options.evaluations = evaluations;
  return options;
}
bool same(const search::pareto_state& a, const search::pareto_state& b) {
  return nlohmann::json(a) == nlohmann::json(b);
}
} // namespace

TEST_CASE("a family lies within its limits and beats many random architectures") {
  const auto latency = small_costs();
  const auto found = search::pareto(small_space(), accuracy, latency, brief());
  REQUIRE(found.limits.size() == 3);
  random_stream random(5, "random");
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& best = found.best(i);
    CHECK(best.cost <= found.limits[i].limit);
    CHECK(best.cost == latency(best.arch));
    CHECK(best.accuracy == accuracy(best.arch));
    CHECK(is_legal(small_space(), best.arch));
    CHECK(found.limits[i].evaluations >= 6000);
    CHECK(found.limits[i].evaluations < 6000 + 60 * 260);
    for (int n = 0; n < 5000; ++n)
      if (const arch a = random_arch(small_space(), random); latency(a) <= found.limits[i].limit)
        CHECK(accuracy(a) <= best.accuracy);
  }
}

TEST_CASE("no single change improves a local optimum") {
  const auto latency = small_costs();
  const landscape model;
  search::improver improve(small_space(), model, latency);
  const auto limit = middle_cost();
  random_stream random(2, "start");
  for (int n = 0; n < 5; ++n) {
    const auto c = improve(
        random_arch(small_space(), random), limit, [](const auto&) {}, [](auto) { return false; });
    REQUIRE(c.cost <= limit);
    for (std::size_t g = 0; g < 20; ++g)
      for (int k : {3, 5, 7})
        for (int e : {3, 4, 6}) {
          arch a = c.arch;
          a.ks[g] = static_cast<std::uint8_t>(k), a.e[g] = e;
          CHECK((latency(a) > limit || model(a) <= c.accuracy));
        }
    for (std::size_t s = 0; s < 5; ++s)
      for (int d : {2, 3, 4}) {
        arch a = c.arch;
        a.d[s] = static_cast<std::uint8_t>(d);
        CHECK((latency(a) > limit || model(a) <= c.accuracy));
      }
  }
}

TEST_CASE("by seed, whatever the threads, stopped and resumed as if never stopped") {
  const auto latency = small_costs();
  const auto whole = search::pareto(small_space(), accuracy, latency, brief());
  auto options = brief();
  options.threads = 3;
  CHECK(same(whole, search::pareto(small_space(), accuracy, latency, options)));
  options = brief();
  options.seed = 2;
  CHECK_FALSE(same(whole, search::pareto(small_space(), accuracy, latency, options)));

  options = brief();
  int steps = 0;
  options.on_progress = [&](const search::progress& p) { return ++steps < 2 && p.done <= p.total; };
  search::pareto_search first(small_space(), accuracy, latency, options);
  CHECK_FALSE(first.run());
  CHECK(first.state().evaluations() < whole.evaluations());
  const auto stored = nlohmann::json::parse(nlohmann::json(first.state()).dump());
  search::pareto_search second(small_space(), accuracy, latency, brief(),
                               search::read_pareto_state(stored, small_space()));
  CHECK(second.run());
  CHECK(same(whole, second.state()));

  std::stop_source source;
  source.request_stop();
  options = brief();
  options.stop = source.get_token();
  CHECK_FALSE(search::pareto_search(small_space(), accuracy, latency, options).run());
}

TEST_CASE("ProxylessNAS, whose stages differ in depth, is searched by the same calls and resumed as if never stopped") {
  const space_description space = tiny_proxyless()->space;
  const auto costs = count_model::macs(space);
  const auto whole = search::pareto(space, accuracy, costs, brief(3000));
  for (std::size_t i = 0; i < whole.limits.size(); ++i) {
    const auto& best = whole.best(i);
    CHECK(is_legal(space, best.arch));
    CHECK(best.arch.d.back() == 1);
    CHECK(best.cost <= whole.limits[i].limit);
    CHECK(best.cost == double(make_plan(space, best.arch).macs()));
    CHECK(best.accuracy == accuracy(best.arch));
  }
  auto options = brief(3000);
  int steps = 0;
  options.on_progress = [&](const search::progress&) { return ++steps < 2; };
  search::pareto_search first(space, accuracy, costs, options);
  CHECK_FALSE(first.run());
  const auto stored = nlohmann::json::parse(nlohmann::json(first.state()).dump());
  search::pareto_search second(space, accuracy, costs, brief(3000), search::read_pareto_state(stored, space));
  CHECK(second.run());
  CHECK(same(whole, second.state()));

  search::improver improve(space, accuracy, costs);
  const auto range = find_extremes(costs.costs());
  const double most = std::sqrt(range.least.cost * range.most.cost);
  random_stream random(2, "start");
  for (int n = 0; n < 3; ++n) {
    const auto c = improve(
        random_arch(space, random), most, [](const auto&) {}, [](auto) { return false; });
    REQUIRE(c.cost <= most);
    for (const gene& g : space.genes()) {
      if (g.kind == gene_kind::resolution) continue; // which a climb keeps
      for (std::size_t i = 0; i < space.offer_count(g); ++i) {
        arch a = c.arch;
        a.set(g, space.offer(g, i));
        CHECK((costs(a) > most || accuracy(a) <= c.accuracy));
      }
    }
  }
}

TEST_CASE("a state of other models, limits or another seed is refused, naming which") {
  const auto latency = small_costs();
  const auto state = search::pareto(small_space(), accuracy, latency, brief(100));
  const auto go_on = [&](const auto& model, const auto& cost, pareto_options options, const auto& space) {
    return sentence([&] { search::pareto_search(space, model, cost, options, state); });
  };
  CHECK(go_on(accuracy, latency, brief(200), small_space()) == "(no error)"); // more evaluations are the same search
  const auto scaled = [](const arch& a) { return 2 * accuracy(a); };
  CHECK(go_on(scaled, latency, brief(), small_space())
            .starts_with("search state, made earlier from another input, accuracy model: expected hash "));
  const auto dearer = count_model::parameters(small_space());
  CHECK(go_on(accuracy, dearer, brief(), small_space()).find("another input, cost model") != std::string::npos);
  auto options = brief();
  options.seed = 2;
  CHECK(go_on(accuracy, latency, options, small_space()).find("seed: expected 2, got 1") != std::string::npos);
  options = brief();
  options.levels = 4;
  CHECK(go_on(accuracy, latency, options, small_space()).find("limits: expected 4 steps") != std::string::npos);
  options = brief();
  options.limits = {middle_cost()};
  CHECK(go_on(accuracy, latency, options, small_space()).find("another input, limits") != std::string::npos);
  auto space = small_space();
  space.resolutions = {space.resolutions.front()};
  CHECK(go_on(accuracy, latency, brief(), space).find("another input") != std::string::npos);
}

TEST_CASE("what cannot be met is refused at once with the nearest feasible value") {
  const auto latency = small_costs();
  auto options = brief();
  options.limits = {1};
  const double least = find_extremes(latency.costs()).least.cost;
  CHECK(sentence([&] { search::pareto(small_space(), accuracy, latency, options); }) ==
        text("pareto search: expected a limit of at least the space's least, ", least, " MACs, got 1 MACs"));
  options.limits = {least};
  CHECK(search::pareto(small_space(), accuracy, latency, options).best(0).cost == least);
  // a model that is not additive says so after its first rounds
  const composite_model both(small_costs(), limit<count_model>{small_costs(), 1});
  options.limits = {1e12};
  CHECK(
      sentence([&] { search::pareto(small_space(), accuracy, both, options); }).starts_with("pareto search: expected"));
}

TEST_CASE("several constraints") {
  const auto limit_macs = middle_cost();
  const composite_model both(count_model::parameters(small_space()), limit<count_model>{small_costs(), limit_macs});
  auto options = brief();
  options.limits = {1e12};
  const auto found = search::pareto(small_space(), accuracy, both, options);
  CHECK(small_costs()(found.best(0).arch) <= limit_macs);
}

TEST_CASE("a state of the time when every cost was called milliseconds is read") {
  const auto state = search::pareto(small_space(), accuracy, small_costs(), brief(100));
  std::string before = nlohmann::json(state).dump();
  for (const auto& [now, then] : {std::pair{R"("cost":)", R"("latency_ms":)"}, {R"("limit":)", R"("limit_ms":)"}})
    for (std::size_t at; (at = before.find(now)) != before.npos;) before.replace(at, std::strlen(now), then);
  CHECK(before.find("\"cost\"") == before.npos);
  CHECK(same(search::read_pareto_state(nlohmann::json::parse(before), small_space()), state));
}

#ifndef DYNOFA_EMULATED // qemu-user takes the memory of a stack that no machine has
TEST_CASE("a system that gives no thread is one sentence") {
  auto options = brief();
  options.levels = 5, options.threads = 4;
  const support::no_more_threads scope;
  CHECK(sentence([&] { search::pareto(small_space(), accuracy, small_costs(), options); }) == no_four_threads);
}
#endif

TEST_CASE("a measured model may be asked by the threads of a search") {
  const measured_model model(backend::reference{}, tiny_supernet(), 1);
  std::vector<arch> archs;
  random_stream random(3, "measured");
  for (int i = 0; i < 6; ++i) {
    archs.push_back(random_arch(small_space(), random));
    archs.back().r = 32;
  }
  std::vector<double> costs(4 * archs.size());
  parallel_for(costs.size(), 4, [&](std::size_t i) { costs[i] = model(archs[i % archs.size()]); });
  CHECK(model.known().size() == archs.size());
  for (std::size_t i = 0; i < costs.size(); ++i) CHECK(costs[i] == model(archs[i % archs.size()]));
}

TEST_CASE("models that are temporary live as long as their search, others are referred to") {
  struct counted : landscape {
    counted() = default;
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    mutable std::atomic<int> asked{0};
    double operator()(const arch& a) const { return ++asked, landscape::operator()(a); }
  };
  const auto whole = search::pareto(small_space(), accuracy, small_costs(), brief(500));
  search::pareto_search temporary(small_space(), landscape{}, small_costs(), brief(500));
  const counted one;
  search::pareto_search named(small_space(), one, small_costs(), brief(500));
  CHECK(temporary.run());
  CHECK(named.run());
  CHECK(same(temporary.state(), whole));
  CHECK(same(named.state(), whole));
  CHECK(one.asked > 1000);

  search::improver improve(tiny_space::description, landscape{}, small_costs());
  const auto better = improve(
      smallest(small_space()), middle_cost(), [](const auto&) {}, [](auto) { return false; });
  CHECK(better.accuracy > accuracy(smallest(small_space())));
}

TEST_CASE("families of spaces with widths, by the same call") {
  const auto accuracy = [](const arch& a) { // later stages and wider ones are worth more, and less the more there are
    double sum = 0;
    for (std::size_t b = 0; b < a.e.size(); ++b)
      if (a.active(b)) sum += a.e[b].value() * (1 + 0.3 * std::sin(double(b)));
    for (std::size_t w = 0; w < a.w.size(); ++w) sum += (0.4 + 0.05 * double(w)) * std::sqrt(1.0 + a.w[w]);
    return sum + 0.02 * a.r + 0.1 * a.d[0];
  };
  for (const space_description& space : {tiny_resnet_space::description, tiny_slimmable_space::description}) {
    const count_model cost = count_model::macs(space);
    const auto whole = search::pareto(space, accuracy, cost, brief());
    random_stream random(5, "random");
    std::set<decltype(arch::w)> widths;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& best = whole.best(i);
      CHECK(best.cost <= whole.limits[i].limit);
      CHECK(best.cost == double(make_plan(space, best.arch).macs()));
      CHECK(is_legal(space, best.arch));
      for (int n = 0; n < 5000; ++n)
        if (const arch a = random_arch(space, random); cost(a) <= whole.limits[i].limit)
          REQUIRE(accuracy(a) <= best.accuracy);
    }
    for (const auto& one : whole.all.members()) widths.insert(one.arch.w);
    CHECK(widths.size() >= 3); // widths are searched, not left as they were drawn
    // no single change of a width improves a local optimum
    search::improver improve(space, accuracy, cost);
    const double limit = whole.limits[1].limit;
    const auto top = improve(
        smallest(space), limit, [](const auto&) {}, [](std::uint64_t) { return false; });
    for (const gene& g : space.genes())
      if (g.kind == gene_kind::width || (g.kind == gene_kind::depth && space.blocks_of(g.stage) == 0))
        for (std::size_t n = 0; n < space.offer_count(g); ++n) {
          arch other = top.arch;
          other.set(g, space.offer(g, n));
          if (cost(other) <= limit) CHECK(accuracy(other) <= top.accuracy);
        }
    // stored, read and gone on with
    auto options = brief();
    int steps = 0;
    options.on_progress = [&](const search::progress&) { return ++steps < 2; };
    search::pareto_search first(space, accuracy, cost, options);
    CHECK_FALSE(first.run());
    const auto stored = nlohmann::json::parse(nlohmann::json(first.state()).dump());
    search::pareto_search second(space, accuracy, cost, brief(), search::read_pareto_state(stored, space));
    CHECK(second.run());
    CHECK(same(whole, second.state()));
  }
}

} // namespace dynofa_test::search_pareto
