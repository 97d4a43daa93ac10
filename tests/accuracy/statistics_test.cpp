#include "dynofa/accuracy/statistics.hpp"
#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include <array>

namespace dynofa_test::accuracy_statistics {

using namespace dynofa;

namespace {

/// Kendall's tau-b by its definition: every pair looked at.
double tau_of_all_pairs(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0, in_x = 0, in_y = 0;
  const auto sign = [](double v) { return double(v > 0) - double(v < 0); };
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const double a = sign(x[i] - x[j]), b = sign(y[i] - y[j]);
      sum += a * b, in_x += a * a, in_y += b * b;
    }
  return sum / std::sqrt(in_x * in_y);
}

} // namespace

TEST_CASE("values worked out by hand") {
  const std::array x{1.0, 2.0, 3.0, 4.0, 5.0}, y{1.0, 3.0, 2.0, 5.0, 4.0};
  CHECK(rmse(x, y) == doctest::Approx(std::sqrt(4.0 / 5)));
  CHECK(kendall_tau(x, y) == doctest::Approx(0.6)); // 8 of 10 pairs agree
  CHECK(spearman(x, y) == doctest::Approx(0.8));    // 1 − 6 · 4 / (5 · 24)
  CHECK(pearson(x, y) == doctest::Approx(0.8));
  CHECK(ranks(std::array{2.0, 1.0, 2.0, 3.0}) == std::vector<double>{2.5, 1, 2.5, 4});
}

TEST_CASE("extremes and constants") {
  const std::array x{1.0, 2.0, 3.0}, falling{9.0, 4.0, 1.0}, flat{5.0, 5.0, 5.0};
  CHECK(kendall_tau(x, falling) == doctest::Approx(-1));
  CHECK(spearman(x, falling) == doctest::Approx(-1));
  CHECK(kendall_tau(x, x) == doctest::Approx(1));
  CHECK(kendall_tau(x, flat) == 0);
  CHECK(spearman(flat, x) == 0);
  CHECK(support::sentence([&] { (void)rmse(x, std::array{1.0}); }) ==
        "statistic of pairs: expected two lists of one length, 2 or more, got 3 and 1");
  CHECK(support::sentence([&] { (void)kendall_tau({}, {}); }).starts_with("statistic of pairs"));
}

TEST_CASE("tau in n log n is tau over all pairs, ties included") {
  random_stream random(3, "tau");
  for (std::uint32_t n : {2u, 3u, 10u, 137u})
    for (std::uint32_t kinds : {2u, 5u, 1000u})
      for (int repeat = 0; repeat < 20; ++repeat) {
        std::vector<double> x, y;
        for (std::uint32_t i = 0; i < n; ++i) x.push_back(random.below(kinds)), y.push_back(random.below(kinds));
        const double wanted = tau_of_all_pairs(x, y);
        if (std::isfinite(wanted)) CHECK(kendall_tau(x, y) == doctest::Approx(wanted));
      }
}

} // namespace dynofa_test::accuracy_statistics
