#pragma once
#include "dynofa/latency/table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// How well interpolation did where the truth was measured as well.
struct interpolation_report {
  std::size_t interpolated = 0;               ///< entries that were filled in
  std::size_t held_out = 0;                   ///< measured entries that were also interpolated, from the others
  double median_error = 0, largest_error = 0; ///< relative, over those
};

namespace detail {

/// Fills a table from its corners: within a resolution linearly in mid channels and in the area of the kernel, between
/// resolutions linearly in the block's MACs. Linear pieces rise where their ends do. Widths are all measured: an entry
/// is made from others of the same channels before and behind it.
class table_interpolator {
public:
  table_interpolator(const latency_table& table, const space_description& space)
      : table_{table}
      , space_{space} {
    for (const auto& [r, entries] : table.resolutions) measured_.push_back(r);
  }

  /// A block by its choices, and the widths of the network that it stands in.
  struct variant {
    block_choice choice;
    decltype(arch::w) widths;
    friend auto operator<=>(const variant&, const variant&) = default;
  };
  /// Block `n` of the deepest networks at resolution r.
  const block& block_at(int r, std::size_t n, const variant& v) const { return plan_at(r, v).blocks[n]; }

  /// The time of block `n`, from measured resolutions only; `skip` counts as not measured.
  latency_entry between(int r, std::size_t n, const variant& c, int skip = 0) const {
    int below = 0, above = 0;
    for (int m : measured_)
      if (m != skip) {
        if (m <= r) below = m;
        if (m >= r && above == 0) above = m;
      }
    if (below == 0 || above == 0)
      throw error(errc::invalid_argument, "interpolated latency table", "a resolution between two measured ones",
                  text(r));
    if (below == above) return within(below, n, c);
    const auto macs = [&](int at) { return static_cast<double>(block_at(at, n, c).macs()); };
    const double low = macs(below), high = macs(above);
    const double t = high > low ? (macs(r) - low) / (high - low) : 0.5;
    return mix(entry(below, n, c), entry(above, n, c), t);
  }
  /// The measured time of block `n`, or one from the corners of its resolution.
  latency_entry entry(int r, std::size_t n, const variant& c) const {
    const auto* found = table_.find(r, timed_key(plan_at(r, c), n));
    return found ? *found : within(r, n, c);
  }
  /// From the four corners.
  latency_entry within(int r, std::size_t n, const variant& c) const {
    const block& b = block_at(r, n, c);
    if (b.gene < 0) return table_.at(r, timed_key(plan_at(r, c), n));
    const auto& stage = space_.stages[space_.stage_of(static_cast<std::size_t>(b.gene))];
    const std::array kernels{stage.kernels.min(), stage.kernels.max()};
    const std::array expands{stage.expands.min(), stage.expands.max()};
    const auto corner = [&](std::size_t i, std::size_t j) -> const plan& {
      return plan_at(r, {{kernels[i], expands[j]}, c.widths});
    };
    const auto mid = [&](std::size_t j) { return corner(0, j).blocks[n].mid_channels; };
    const auto share = [](double x, double low, double high) { return high > low ? (x - low) / (high - low) : 0.0; };
    const double tk = share(b.kernel * b.kernel, kernels[0] * kernels[0], kernels[1] * kernels[1]);
    const double te = share(b.mid_channels, mid(0), mid(1));
    const auto row = [&](std::size_t i) {
      return mix(table_.at(r, timed_key(corner(i, 0), n)), table_.at(r, timed_key(corner(i, 1), n)), te);
    };
    return mix(row(0), row(1), tk);
  }

  const std::vector<int>& measured() const { return measured_; }

private:
  const plan& plan_at(int r, const variant& v) const {
    auto& p = plans_[{r, v}];
    if (!p.blocks.empty()) return p;
    arch a = deepest(space_, r, v.choice.kernel, v.choice.expand);
    a.w = v.widths;
    return p = make_plan(space_, a);
  }
  static latency_entry mix(const latency_entry& a, const latency_entry& b, double t) {
    const auto between = [&](milliseconds x, milliseconds y) { return x + (y - x) * t; };
    latency_entry e;
    e.mean = between(a.mean, b.mean);
    e.std = between(a.std, b.std);
    const auto both = [&](std::optional<milliseconds> latency_entry::*field) {
      if (a.*field && b.*field) e.*field = between(*(a.*field), *(b.*field));
    };
    both(&latency_entry::p50), both(&latency_entry::p95), both(&latency_entry::min);
    e.interpolated = true;
    return e;
  }

  const latency_table& table_;
  const space_description& space_;
  std::vector<int> measured_;
  mutable std::map<std::pair<int, variant>, plan> plans_;
};

} // namespace detail

/// Fills in whatever networks of the space need at `resolutions` and the table lacks. The table must have, at some
/// resolutions, the corners of every block (least and largest kernel and ratio) between all widths and the other
/// operations; wanted
/// resolutions lie between two such. What was measured besides is used, and is what the errors are taken on.
/// Throws errc::missing_key for a corner that is not there, errc::invalid_argument for a resolution outside.
inline interpolation_report interpolate_missing(latency_table& table, const space_description& space,
                                                std::span<const int> resolutions) {
  const latency_table given = table;
  const detail::table_interpolator from(given, space);
  latency_table filled = given; // the table stays as it was if an entry cannot be made
  interpolation_report report;
  std::vector<double> errors;
  const auto compare = [&](const latency_entry& guess, const latency_entry& truth) {
    const double is = figure(truth, latency_statistic::median).count();
    if (is > 0) errors.push_back(std::abs(figure(guess, latency_statistic::median).count() / is - 1));
  };
  std::set<std::pair<int, std::string>> seen; // later blocks of a stage share keys
  const auto visit = [&](int r, const plan& p, std::size_t n, const detail::table_interpolator::variant& c) {
    const block& b = p.blocks[n];
    const std::string key = timed_key(p, n);
    if (!seen.insert({r, key}).second) return;
    bool inside = false; // the first operation, which has the time
    for_each_operation(p, n, [&](const operation_key& operation) {
      if (!std::exchange(inside, true)) return;
      const std::string inner = to_string(operation);
      if (!given.find(r, inner)) filled.resolutions[r][inner].fused = true;
    });
    if (const auto* truth = given.find(r, key)) {
      if (b.gene >= 0 && !space.stages[space.stage_of(static_cast<std::size_t>(b.gene))].is_corner(c.choice))
        compare(from.within(r, n, c), *truth);
      if (r != from.measured().front() && r != from.measured().back()) compare(from.between(r, n, c, r), *truth);
      return;
    }
    filled.resolutions[r][key] = from.between(r, n, c);
    ++report.interpolated;
  };
  for (int r : resolutions)
    for_each_deepest(space, r, [&](const arch& a) {
      const plan p = make_plan(space, a);
      for (std::size_t n = 0; n < p.blocks.size(); ++n)
        visit(r, p, n, {a.choice(static_cast<std::size_t>(std::max<int>(0, p.blocks[n].gene))), a.w});
    });
  table = std::move(filled);
  report.held_out = errors.size();
  if (!errors.empty()) {
    std::sort(errors.begin(), errors.end());
    report.median_error = errors[errors.size() / 2];
    report.largest_error = errors.back();
  }
  return report;
}

} // namespace dynofa
