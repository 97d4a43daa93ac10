#pragma once
#include "dynofa/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace dynofa {

namespace detail {
inline void require_pairs(std::span<const double> x, std::span<const double> y) {
  require_argument(x.size() == y.size() && x.size() >= 2, "statistic of pairs", "two lists of one length, 2 or more",
                   x.size(), " and ", y.size());
}

/// Sorts and counts the exchanges that a bubble sort would make.
inline std::uint64_t sort_counting(std::span<double> values) {
  if (values.size() < 2) return 0;
  const auto low = values.first(values.size() / 2), high = values.subspan(low.size());
  std::uint64_t exchanges = sort_counting(low) + sort_counting(high);
  std::size_t before = 0; // of the low half, what stays in front
  for (const double value : high) {
    while (before < low.size() && !(value < low[before])) ++before;
    exchanges += low.size() - before;
  }
  std::inplace_merge(values.begin(), high.begin(), values.end());
  return exchanges;
}
} // namespace detail

/// Root of the mean squared difference.
inline double rmse(std::span<const double> x, std::span<const double> y) {
  detail::require_pairs(x, y);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

/// Linear correlation; 0 where one list is constant.
inline double pearson(std::span<const double> x, std::span<const double> y) {
  detail::require_pairs(x, y);
  const double n = static_cast<double>(x.size());
  const double mx = std::accumulate(x.begin(), x.end(), 0.0) / n, my = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double sxx = 0, syy = 0, sxy = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sxx += (x[i] - mx) * (x[i] - mx), syy += (y[i] - my) * (y[i] - my), sxy += (x[i] - mx) * (y[i] - my);
  return sxx > 0 && syy > 0 ? sxy / std::sqrt(sxx * syy) : 0;
}

/// Ranks from 1; equal values share the mean of theirs.
inline std::vector<double> ranks(std::span<const double> x) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] < x[b]; });
  std::vector<double> rank(x.size());
  for (std::size_t i = 0, end; i < order.size(); i = end) {
    for (end = i; end < order.size() && x[order[end]] == x[order[i]]; ++end) {
    }
    for (std::size_t j = i; j < end; ++j) rank[order[j]] = static_cast<double>(i + 1 + end) / 2;
  }
  return rank;
}

/// Rank correlation.
inline double spearman(std::span<const double> x, std::span<const double> y) { return pearson(ranks(x), ranks(y)); }

/// Kendall's tau-b, ties counted as in Kendall 1945, in n log n (Knight 1966); 0 where one list is constant.
inline double kendall_tau(std::span<const double> x, std::span<const double> y) {
  detail::require_pairs(x, y);
  const std::size_t n = x.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b]; });
  const auto tied = [&](auto same) { // pairs of neighbours in order that are the same
    double pairs = 0;
    for (std::size_t i = 0, end; i < n; i = end) {
      for (end = i + 1; end < n && same(i, end); ++end) {
      }
      pairs += static_cast<double>(end - i) * static_cast<double>(end - i - 1) / 2;
    }
    return pairs;
  };
  const double in_x = tied([&](auto i, auto j) { return x[order[i]] == x[order[j]]; });
  const double in_both = tied([&](auto i, auto j) { return x[order[i]] == x[order[j]] && y[order[i]] == y[order[j]]; });
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = y[order[i]];
  const auto discordant = static_cast<double>(detail::sort_counting(values));
  const double in_y = tied([&](auto i, auto j) { return values[i] == values[j]; });
  const double all = static_cast<double>(n) * static_cast<double>(n - 1) / 2;
  const double bottom = std::sqrt(all - in_x) * std::sqrt(all - in_y);
  return bottom > 0 ? (all - in_x - in_y + in_both - 2 * discordant) / bottom : 0;
}

} // namespace dynofa
