#include "dynofa/core/pareto_front.hpp"
#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>

namespace dynofa_test::core_pareto_front {

using namespace dynofa;

namespace {
struct item {
  double value, cost;
  int number = 0;
};
using front_of_items = pareto_front<item, &item::cost, &item::value>;

std::vector<item> many(std::uint64_t seed) {
  random_stream random(seed, "front");
  std::vector<item> all;
  for (int i = 0; i < 500; ++i) all.push_back({double(random.below(40)), double(random.below(40)), i});
  return all;
}
} // namespace

TEST_CASE("a front keeps what nothing beats") {
  front_of_items front;
  CHECK(front.insert({0.5, 5}));
  CHECK_FALSE(front.insert({0.5, 5}));
  CHECK_FALSE(front.insert({0.4, 6}));
  CHECK(front.insert({0.6, 8}));
  CHECK(front.insert({0.3, 2}));
  CHECK(front.members().size() == 3);
  CHECK(front.insert({0.6, 5})); // beats two
  CHECK(front.members().size() == 2);
  CHECK(front.best_within(1) == nullptr);
  CHECK(front.best_within(4.9)->value == 0.3);
  CHECK(front.best_within(100)->value == 0.6);
}

TEST_CASE("a front against every pair looked at") {
  const std::vector<item> all = many(1);
  front_of_items front;
  for (const item& i : all) front.insert(i);
  for (const auto& m : front.members())
    for (const auto& c : all)
      CHECK_FALSE((c.value >= m.value && c.cost <= m.cost && (c.value > m.value || c.cost < m.cost)));
  for (double most = 0; most < 40; ++most) {
    double best = -1;
    for (const auto& c : all)
      if (c.cost <= most) best = std::max(best, c.value);
    const auto* found = front.best_within(most);
    CHECK((found ? found->value : -1) == best);
  }
}

TEST_CASE("of equal ones the first stays, and indices give the same front as items") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<item> all = many(seed);
    // by definition: sorted by cost, then value; each that is better than all before
    std::vector<int> order;
    for (const item& i : all) order.push_back(i.number);
    const auto at = [&](int i) { return all[static_cast<std::size_t>(i)]; };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return at(a).cost != at(b).cost ? at(a).cost < at(b).cost : at(a).value > at(b).value;
    });
    std::vector<std::size_t> expected;
    for (int i : order)
      if (expected.empty() || at(i).value > all[expected.back()].value) expected.push_back(static_cast<std::size_t>(i));
    CHECK(front_of_indices(
              all.size(), [&](std::size_t i) { return all[i].cost; }, [&](std::size_t i) { return all[i].value; }) ==
          expected);
  }
}

} // namespace dynofa_test::core_pareto_front
