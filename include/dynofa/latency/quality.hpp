#pragma once
#include "dynofa/latency/table.hpp"
#include "dynofa/model/plan.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// What is odd about a latency table, before a search trusts it. Nothing here is an error: noise makes entries like
/// these on every device. The published Jetson tables have them by the hundred.
struct table_quality {
  /// More work that was timed as less.
  struct inversion {
    int r;               ///< of the entry with more work
    std::string key;     ///< the entry with more work …
    std::string than;    ///< … and the one with less, which took longer
    milliseconds gap{0}; ///< by this much
    double relative = 0; ///< gap over the time of the lesser work
  };
  /// Pairs of neighbours that were compared, and those that are the wrong way round.
  struct comparison {
    std::size_t pairs = 0;             ///< compared
    std::vector<inversion> inversions; ///< widest relative gap first
  };
  /// Which entry.
  struct entry_name {
    ///@{
    /// As the table files it.
    int r;
    std::string key;
    ///@}
  };
  /// An entry and its noise.
  struct noisy_entry {
    ///@{
    /// As the table files it.
    int r;
    std::string key;
    ///@}
    double spread; ///< std / mean
  };

  std::size_t entries = 0, interpolated = 0, fused = 0; ///< in all, derived from others, timed within another
  comparison kernels;                                   ///< the same block with the next larger kernel
  comparison expands;                                   ///< the same block with the next larger ratio
  comparison resolutions;                               ///< the same block at the next larger resolution
  std::vector<entry_name> missing;                      ///< that networks of the space need
  double median_spread = 0;                             ///< std / mean, over measured entries
  std::vector<noisy_entry> noisy;                       ///< std / mean above `noisy_from`, noisiest first
};

/// Examines what networks of the space can need: the resolutions are the table's (or, where the table has only some of
/// the space's, those). Means are compared, or medians where both entries have one; fused entries are left out. Cost:
/// a look at every entry.
inline table_quality examine(const latency_table& table, const space_description& space, double noisy_from = 0.25) {
  table_quality q;
  // block of the deepest networks, kernel, ratio × 1000, resolution; channels before and behind it
  using place = std::array<int, 6>;
  struct timed {
    std::string key;
    const latency_entry* entry;
  };
  std::map<place, timed> all;
  std::vector<double> spreads;
  for (const auto& of : table.resolutions) {
    const int r = of.first;
    std::set<std::string> seen;
    const auto meet = [&](const std::string& key) -> const latency_entry* {
      const auto* e = table.find(r, key);
      if (!seen.insert(key).second) return e;
      if (!e) {
        q.missing.push_back({r, key});
        return e;
      }
      ++q.entries;
      q.interpolated += e->interpolated;
      q.fused += e->fused;
      if (!e->interpolated && !e->fused && e->mean.count() > 0) {
        spreads.push_back(e->std / e->mean);
        if (spreads.back() > noisy_from) q.noisy.push_back({r, key, spreads.back()});
      }
      return e;
    };
    for_each_deepest(space, r, [&](const arch& a) {
      const plan p = make_plan(space, a, 1, true);
      for (std::size_t n = 0; n < p.blocks.size(); ++n) {
        const block& b = p.blocks[n];
        std::vector<std::string> keys;
        for_each_operation(p, n, [&](const operation_key& key) { keys.push_back(to_string(key)); });
        const latency_entry* entry = meet(keys.front());
        for (std::size_t i = 1; i < keys.size(); ++i) meet(keys[i]);
        if (!entry || entry->fused || b.gene < 0) continue;
        // the second block of a stage stands for the later ones, which share its entry
        const auto gene = static_cast<std::size_t>(b.gene);
        if (gene - space.first_block(space.stage_of(gene)) <= 1)
          all[{static_cast<int>(n), b.kernel, static_cast<int>(a.e[gene].thousandths), r, b.in_channels,
               b.out_channels}] = {keys.front(), entry};
      }
    });
  }
  const auto compare = [&](table_quality::comparison& into, std::size_t axis) {
    std::map<place, std::vector<std::pair<int, const timed*>>> lines; // along the axis, ascending
    for (const auto& [at, entry] : all) {
      place line = at;
      line[axis] = 0;
      lines[line].emplace_back(at[3], &entry);
    }
    for (const auto& [line, members] : lines)
      for (std::size_t i = 0; i + 1 < members.size(); ++i) {
        const timed &less = *members[i].second, &more = *members[i + 1].second;
        ++into.pairs;
        const auto which = less.entry->p50 && more.entry->p50 ? latency_statistic::median : latency_statistic::mean;
        const milliseconds before = figure(*less.entry, which), gap = before - figure(*more.entry, which);
        if (gap.count() > 0) into.inversions.push_back({members[i + 1].first, more.key, less.key, gap, gap / before});
      }
    std::stable_sort(into.inversions.begin(), into.inversions.end(),
                     [](const auto& x, const auto& y) { return x.relative > y.relative; });
  };
  compare(q.kernels, 1);
  compare(q.expands, 2);
  compare(q.resolutions, 3);
  if (!spreads.empty()) {
    std::nth_element(spreads.begin(), spreads.begin() + static_cast<std::ptrdiff_t>(spreads.size() / 2), spreads.end());
    q.median_spread = spreads[spreads.size() / 2];
  }
  std::stable_sort(q.noisy.begin(), q.noisy.end(), [](const auto& a, const auto& b) { return a.spread > b.spread; });
  return q;
}

/// Entries that two tables share to the last bit, zeros aside: nobody measures the same twice, so one device's table
/// was filled from the other's. (In the published Jetson tables the first block's CPU time is the GPU's.)
inline std::vector<table_quality::entry_name> find_copied_entries(const latency_table& a, const latency_table& b) {
  std::vector<table_quality::entry_name> copied;
  for (const auto& [r, entries] : a.resolutions)
    for (const auto& [key, e] : entries)
      if (const auto* other = b.find(r, key);
          other && e.mean.count() > 0 && e.mean == other->mean && e.std == other->std)
        copied.push_back({r, key});
  return copied;
}

/// The report in a few lines of plain text.
inline std::string summary(const table_quality& q) {
  const auto line = [](const char* what, const table_quality::comparison& c) {
    if (c.pairs == 0) return std::string();
    std::string s = text(what, " timed as quicker: ", c.inversions.size(), " of ", c.pairs, " pairs");
    if (!c.inversions.empty())
      s += text(", at worst by ", static_cast<int>(c.inversions.front().relative * 100 + 0.5),
                " % (r = ", c.inversions.front().r, ", ", c.inversions.front().key, ")");
    return s + "\n";
  };
  std::string s = text(q.entries, " entries, ", q.interpolated, " interpolated, ", q.missing.size(), " missing");
  if (!q.missing.empty()) s += text(" (first: r = ", q.missing.front().r, ", ", q.missing.front().key, ")");
  s += text("\nstandard deviation over mean: median ", q.median_spread, ", ", q.noisy.size(), " noisy entries");
  if (!q.noisy.empty())
    s += text(", at worst ", q.noisy.front().spread, " (r = ", q.noisy.front().r, ", ", q.noisy.front().key, ")");
  return s + "\n" + line("larger kernels", q.kernels) + line("larger ratios", q.expands) +
         line("larger resolutions", q.resolutions);
}

} // namespace dynofa
