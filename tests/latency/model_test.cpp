#include "dynofa/latency/extremes.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::latency_model_test {

using namespace dynofa;

namespace {

const space_description& space = support::tiny_space::description;

/// Every operation costs its number in an order that is not the order of work: nothing is monotone.
latency_table odd_table(bool medians = false, const space_description& of = space) {
  latency_table table;
  table.device = "a test";
  for (int r : of.resolutions)
    for_each_deepest(of, r, [&](const arch& a) {
      const plan p = make_plan(of, a);
      for (std::size_t b = 0; b < p.blocks.size(); ++b)
        for_each_operation(p, b, [&](const operation_key& key) {
          const std::string s = to_string(key);
          auto& entry = table.resolutions[r][s];
          entry.mean = milliseconds(static_cast<double>(fnv1a64(s) % 1000) / 100);
          if (medians) entry.p50 = entry.mean * 2;
        });
    });
  return table;
}
double sum_of(const latency_table& table, const arch& a, const space_description& of = space) {
  double sum = 0;
  const plan p = make_plan(of, a);
  for (std::size_t b = 0; b < p.blocks.size(); ++b)
    for_each_operation(p, b, [&](const operation_key& key) { sum += table.at(a.r, to_string(key)).mean.count(); });
  return sum;
}

} // namespace

TEST_CASE("a table's model is the sum of its entries") {
  const latency_table table = odd_table();
  const table_model model(space, table), median(space, odd_table(true)),
      mean(space, odd_table(true), latency_statistic::mean);
  static_assert(additive_cost_model<table_model>);
  CHECK(model.device() == "a test");
  random_stream random(2);
  for (int i = 0; i < 200; ++i) {
    const arch a = random_arch(space, random);
    CHECK(model(a) == doctest::Approx(sum_of(table, a)).epsilon(1e-12));
    CHECK(median(a) == doctest::Approx(2 * sum_of(table, a)).epsilon(1e-12)); // the default where there is one
    CHECK(mean(a) == model(a));
  }
}

TEST_CASE("extremes are exact on a table without order") {
  const table_model model(space, odd_table());
  const cost_extremes found = find_extremes(model.costs());
  CHECK(model(found.least.arch) == doctest::Approx(found.least.cost));
  CHECK(model(found.most.arch) == doctest::Approx(found.most.cost));
  random_stream random(4);
  for (int i = 0; i < 20000; ++i) {
    const double ms = model(random_arch(space, random));
    if (ms < found.least.cost - 1e-9 || ms > found.most.cost + 1e-9) FAIL("a network outside the extremes");
  }
}

TEST_CASE("a missing entry and a wrong architecture are one sentence") {
  latency_table table = odd_table();
  table.resolutions.at(48).erase("Logits-input:1x1x256-output:10");
  CHECK(support::sentence([&] { table_model(space, table); }) ==
        "latency table of a test, resolution 48: expected an entry Logits-input:1x1x256-output:10, got none");
  table.resolutions.erase(48);
  CHECK(support::sentence([&] { table_model(space, table); }).find("expected entries for resolution 48, got none") !=
        std::string::npos);
  const table_model model(space, odd_table());
  arch other = smallest(space);
  other.r = 33;
  CHECK(support::sentence([&] { (void)model(other); }).find("got 33") != std::string::npos);
}

TEST_CASE("calibration finds scale and offset, and says how well") {
  const table_model table(space, odd_table());
  random_stream random(6);
  std::vector<arch> archs;
  std::vector<milliseconds> measured;
  for (int i = 0; i < 12; ++i) {
    archs.push_back(random_arch(space, random));
    measured.push_back(milliseconds(1.66 * table(archs.back()) + 11.2));
  }
  const calibrated_model model(table, archs, measured);
  CHECK(model.scale() == doctest::Approx(1.66));
  CHECK(model.offset() == doctest::Approx(11.2));
  CHECK(model.fit().leave_one_out_rms() < 1e-9);
  measured[3] += milliseconds(5);
  CHECK(calibrated_model(table, archs, measured).fit().leave_one_out[3] == doctest::Approx(5));
  for (auto& m : measured) m *= -1;
  CHECK(support::sentence([&] { calibrated_model(table, archs, measured); }).find("measurements that rise") !=
        std::string::npos);
}

TEST_CASE("costs that are not time, and several limits at once") {
  const auto macs = count_model::macs(space), parameters = count_model::parameters(space);
  const activation_model activations(space);
  random_stream random(8);
  for (int i = 0; i < 100; ++i) {
    const arch a = random_arch(space, random);
    const plan p = make_plan(space, a);
    CHECK(macs(a) == static_cast<double>(p.macs()));
    CHECK(parameters(a) == static_cast<double>(p.parameters()));
    CHECK(activations(a) == static_cast<double>(p.activation_bytes()));
  }
  const arch small = smallest(space), large = largest(space);
  const table_model time(space, odd_table());
  const composite_model both(time, limit<count_model>{macs, macs(small)}, limit<activation_model>{activations, 1e9});
  CHECK(both(small) == time(small));
  CHECK(std::isinf(both(large)));
  CHECK(both.unit() == "ms");
  CHECK(both.device() == "a test");
  CHECK(macs.unit() == "MACs");
  CHECK(activations.unit() == "bytes");
}

TEST_CASE("spaces with widths: sums of every sub-network, as files have it too") {
  for (const space_description& of : {support::tiny_resnet_space::description, ofa_resnet50_space::description,
                                      support::tiny_slimmable_space::description, ofa_proxyless_w1_3::description}) {
    const latency_table table = odd_table(false, of);
    const table_model model(of, table);
    const count_model macs = count_model::macs(of), parameters = count_model::parameters(of);
    random_stream random(2, "widths");
    for (int i = 0; i < 200; ++i) {
      const arch a = random_arch(of, random);
      const plan p = make_plan(of, a);
      REQUIRE(macs(a) == double(p.macs()));
      REQUIRE(parameters(a) == double(p.parameters()));
      REQUIRE(model(a) == doctest::Approx(sum_of(table, a, of)).epsilon(1e-12));
      arch read = a;
      read.uneven = {}, read.fixed = {};
      REQUIRE(model(read) == model(a));
      if (of.has_deep_stem()) read.ks = {};
      REQUIRE(model(read) == model(a));
    }
    arch wrong = largest(of);
    if (wrong.w.empty()) continue;
    wrong.w[0] = 200;
    CHECK(support::sentence([&] { model(wrong); }).starts_with("architecture field w["));
  }
}

TEST_CASE("extremes of spaces with widths are those of all their networks") {
  // small enough to go through
  using few = search_space<ofa_resnet50, stage_widths<32, 64>, stage_blocks<2, 3>, fixed_blocks<1, 2>, strides<1, 2>,
                           activations<activation::relu, activation::relu>, squeeze_excite<false, false>, classes<10>,
                           width<0.65, 1.0>, depth<0, 1>, expand<0.2, 0.35>, resolution<32, 48>>;
  space_description one = few::description;
  one.one_width = true;
  for (const space_description& of : {few::description, one}) {
    const table_model model(of, odd_table(false, of));
    const cost_extremes found = find_extremes(model.costs());
    double least = 1e300, most = 0;
    std::size_t networks = 0;
    std::vector<std::size_t> digits(of.genes().size());
    for (bool more = true; more; ++networks) {
      arch a = make_arch(
          of, [&, i = std::size_t{0}](const gene&, const auto& offered) mutable { return offered[digits[i++]]; });
      least = std::min(least, model(a)), most = std::max(most, model(a));
      more = false;
      for (std::size_t i = 0; i < digits.size() && !more; ++i) {
        more = ++digits[i] < of.offer_count(of.genes()[i]);
        if (!more) digits[i] = 0;
      }
    }
    CHECK(networks == (of.one_width ? 1024u : 8192u));
    CHECK(found.least.cost == doctest::Approx(least).epsilon(1e-12));
    CHECK(found.most.cost == doctest::Approx(most).epsilon(1e-12));
    CHECK(model(found.least.arch) == found.least.cost);
    CHECK(is_legal(of, found.most.arch));
  }
  const count_model macs = count_model::macs(few::description);
  space_description other = few::description;
  other.widths = {};
  CHECK(support::sentence([&] { find_extremes(macs.costs(), &other); }) ==
        "extremes of a space: expected the widths that the costs cover, got others");
  const auto ends = find_extremes(macs.costs());
  CHECK(ends.least.arch == smallest(few::description));
  CHECK(ends.most.arch == largest(few::description));
}

} // namespace dynofa_test::latency_model_test
