#include "dynofa/latency/interpolate.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::latency_interpolate {

using namespace dynofa;

namespace {

const space_description& space = support::tiny_space::description;
constexpr int all[] = {32, 48, 64};

/// Bilinear in mid channels and kernel area, so that nothing is lost within a resolution.
milliseconds cost(const block& b) { return milliseconds(1e-3 + 1e-6 * b.mid_channels * (5 + b.kernel * b.kernel)); }

latency_table corners_at(std::initializer_list<int> resolutions) {
  latency_table table;
  for (int r : resolutions)
    for (int k : {3, 7})
      for (int e : {3, 6}) {
        const plan p = make_plan(space, deepest(space, r, k, e));
        for (std::size_t b = 0; b < p.blocks.size(); ++b)
          table.resolutions[r][timed_key(p, b)].mean = cost(p.blocks[b]);
      }
  return table;
}

} // namespace

TEST_CASE("corners give every entry, exactly where the cost is linear") {
  latency_table table = corners_at({32, 64});
  const auto measured = table.resolutions.at(32).size();
  const interpolation_report report = interpolate_missing(table, space, all);
  CHECK(report.interpolated == 2 * 50 + 95);
  random_stream random(1);
  for (int i = 0; i < 30; ++i) {
    const arch a = random_arch(space, random);
    const plan p = make_plan(space, a);
    for (std::size_t b = 0; b < p.blocks.size(); ++b) {
      const latency_entry& e = table.at(a.r, timed_key(p, b));
      CHECK(e.mean.count() == doctest::Approx(cost(p.blocks[b]).count()));
      for_each_operation(p, b, [&](const operation_key& key) { CHECK(table.find(a.r, to_string(key)) != nullptr); });
    }
  }
  std::size_t marked = 0;
  for (const auto& [key, e] : table.resolutions.at(32)) marked += e.interpolated && !e.fused;
  CHECK(marked == 95 - measured);
}

TEST_CASE("errors are taken where the truth is known") {
  latency_table table = corners_at({32, 48, 64});
  for (auto& [key, e] : table.resolutions.at(48)) e.mean *= 1.25; // not between its neighbours any more
  const interpolation_report report = interpolate_missing(table, space, all);
  CHECK(report.held_out == 45);
  CHECK(report.median_error == doctest::Approx(0.2).epsilon(0.01));
}

TEST_CASE("what cannot be interpolated changes nothing") {
  latency_table table = corners_at({48, 64});
  const latency_table before = table;
  CHECK(support::sentence([&] {
          interpolate_missing(table, space, all);
        }).starts_with("interpolated latency table: expected a resolution between two measured ones, got 32"));
  CHECK(table == before);
  table.resolutions.at(48).erase(table.resolutions.at(48).begin());
  const latency_table damaged = table;
  const int two[] = {48, 64};
  CHECK(support::sentence([&] { interpolate_missing(table, space, two); }).find("expected an entry") !=
        std::string::npos);
  CHECK(table == damaged);
}

TEST_CASE("ResNet: ratios between the corners, at the widths that were measured") {
  const space_description& resnet = support::tiny_resnet_space::description;
  const auto time = [](const block& b) { // linear in mid channels, different for all widths
    return milliseconds(1e-3 * (1 + b.in_channels) + 1e-4 * b.out_channels + 1e-5 * b.mid_channels);
  };
  latency_table table;
  for (int r : {32, 64})
    for_each_deepest(resnet, r, [&](const arch& a) {
      if (a.e[0] == decimal(0.25)) return;
      const plan p = make_plan(resnet, a);
      for (std::size_t b = 0; b < p.blocks.size(); ++b) table.resolutions[r][timed_key(p, b)].mean = time(p.blocks[b]);
    });
  const interpolation_report report = interpolate_missing(table, resnet, all);
  CHECK(report.interpolated > 0);
  random_stream random(1);
  for (int i = 0; i < 50; ++i) {
    const arch a = random_arch(resnet, random);
    const plan p = make_plan(resnet, a);
    for (std::size_t b = 0; b < p.blocks.size(); ++b)
      CHECK(table.at(a.r, timed_key(p, b)).mean.count() == doctest::Approx(time(p.blocks[b]).count()));
  }
}

} // namespace dynofa_test::latency_interpolate
