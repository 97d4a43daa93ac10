#include "dynofa/search/family_selection.hpp"
#include "dynofa/search/number_formats.hpp"

#include <doctest/doctest.h>

#include "search/landscape.hpp"
#include <algorithm>
#include <set>
#include <vector>

namespace dynofa_test::search_number_formats {

using namespace dynofa;
using namespace support;

namespace {

/// The same sub-networks in a format that is quicker by what it saves per unit of work, and dearer by a constant.
struct other_format {
  count_model of;
  double operator()(const arch& a) const { return 0.6 * of(a) + 0.15 * middle_cost(); }
  std::string unit() const { return of.unit(); }
  std::string device() const { return of.device(); }
};

} // namespace

TEST_CASE("the joint front of two formats: nothing that either offers beats it, and each has its part") {
  const landscape accuracy;
  const auto floats = small_costs();
  const other_format bytes{floats};
  const double lost = 0.004;
  search::front found, found_in_bytes; // as searches leave them
  random_stream random(1, "formats");
  for (int i = 0; i < 1000; ++i) {
    const arch a = random_arch(small_space(), random);
    found.insert({a, accuracy(a), floats(a)});
    found_in_bytes.insert({a, accuracy(a), bytes(a)});
  }
  const search::found_in_format both[] = {{"", found}, {"bytes", found_in_bytes, lost}};
  const auto all = search::join_formats(both);

  std::set<std::string> formats;
  double last_cost = 0, last_accuracy = -1e9;
  for (const search::candidate_in_format& c : all.members()) {
    CHECK(c.cost > last_cost);
    CHECK(c.accuracy > last_accuracy);
    last_cost = c.cost, last_accuracy = c.accuracy;
    CHECK(c.cost == (c.format.empty() ? floats(c.arch) : bytes(c.arch)));
    CHECK(c.accuracy == accuracy(c.arch) - (c.format.empty() ? 0 : lost));
    formats.insert(c.format);
  }
  CHECK(formats == std::set<std::string>{"", "bytes"}); // small ones in floats, large ones in bytes
  CHECK(all.members().back().accuracy == found.members().back().accuracy);
  for (const search::found_in_format& one : both)
    for (const search::candidate& c : one.found.members()) {
      const auto* best = all.best_within(c.cost);
      REQUIRE(best != nullptr);
      CHECK(best->accuracy >= c.accuracy - one.lost);
    }

  const auto family = search::select_levels(all, 6);
  CHECK(family.size() > 2);
  CHECK(family.back().accuracy == all.members().back().accuracy);
  CHECK(std::ranges::is_sorted(family, {}, &search::candidate_in_format::cost));
}

TEST_CASE("of equal candidates the format that stands first stays, and nothing joined is nothing") {
  search::front one;
  one.insert({smallest(small_space()), 0.5, 1.0});
  const search::found_in_format same[] = {{"first", one}, {"second", one}};
  const auto all = search::join_formats(same);
  REQUIRE(all.members().size() == 1);
  CHECK(all.members()[0].format == "first");
  CHECK(search::join_formats({}).members().empty());
}

} // namespace dynofa_test::search_number_formats
