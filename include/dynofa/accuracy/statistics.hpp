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
  if (x.size() != y.size() || x.size() < 2)
    throw error(errc::invalid_argument, "statistic of pairs", "two lists of one length, 2 or more",
                text(x.size(), " and ", y.size()));
}

/// Sorts and counts the exchanges that a bubble sort would make.
inline std::uint64_t sort_counting(std::span<double> values, std::span<double> scratch) {
  if (values.size() < 2) return 0;
  const std::size_t half = values.size() / 2;
  std::uint64_t exchanges = sort_counting(values.first(half), scratch) + sort_counting(values.subspan(half), scratch);
  std::size_t i = 0, j = half, k = 0;
  while (i < half && j < values.size()) {
    if (values[j] < values[i])
      exchanges += half - i, scratch[k++] = values[j++];
    else
      scratch[k++] = values[i++];
  }
  while (i < half) scratch[k++] = values[i++];
  std::copy(scratch.begin(), scratch.begin() + static_cast<std::ptrdiff_t>(k), values.begin()); // the tail is in place
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
  std::vector<double> values(n), scratch(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = y[order[i]];
  const auto discordant = static_cast<double>(detail::sort_counting(values, scratch));
  const double in_y = tied([&](auto i, auto j) { return values[i] == values[j]; });
  const double all = static_cast<double>(n) * static_cast<double>(n - 1) / 2;
  const double bottom = std::sqrt(all - in_x) * std::sqrt(all - in_y);
  return bottom > 0 ? (all - in_x - in_y + in_both - 2 * discordant) / bottom : 0;
}

} // namespace dynofa
