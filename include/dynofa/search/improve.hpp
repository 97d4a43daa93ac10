#pragma once
#include "dynofa/search/candidate.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>

namespace dynofa::search {

/// Climbs from an architecture to one that no single change and no planned combination of changes improves, within a
/// limit of cost. Resolution stays.
///
/// Each step asks the predictor for every single change (kernel and ratio of a block together, depth of a stage, a
/// width), then treats these gains and the cost differences as additive and solves the multiple-choice knapsack "at
/// most m changes within the slack" exactly by dynamic programming over 128 bins of cost; the solutions for m = 2 … 6
/// are predicted truly, and the best of all is taken. About 200 predictions a step. From an architecture over the
/// limit, the same plan with a negative slack brings it back.
template <accuracy_model Accuracy, cost_model Cost>
class improver {
public:
  /// Models are kept as their types say: by reference or by value.
  improver(const space_description& space, std::type_identity_t<Accuracy> accuracy, std::type_identity_t<Cost> cost)
      : space_{space}
      , accuracy_{std::forward<Accuracy>(accuracy)}
      , cost_{std::forward<Cost>(cost)} {}

  /// `visit(candidate)` sees every architecture that was predicted. Ends after `most_steps` steps at the latest, or
  /// where `known(arch hash)` says that an earlier climb within this limit has been: the way on is the same. The result
  /// is over the limit only if no way under it was found.
  template <class Visit, class Known>
  candidate operator()(const arch& start, double limit, Visit visit, Known known, int most_steps = 60) {
    steps_.clear();
    candidate now = judge(start.canonical(), visit);
    for (int step = 0; step < most_steps; ++step) {
      if (known(now.arch.hash())) break;
      steps_.push_back(now.arch.hash());
      list_changes(now);
      predict(visit, 0);
      const std::size_t singles = tried_.size();
      plan_combinations(now, limit);
      predict(visit, singles);
      const candidate* best = nullptr;
      for (const candidate& c : tried_)
        if (c.cost <= limit && (!best || c.accuracy > best->accuracy)) best = &c;
      if (now.cost <= limit) {
        if (!best || best->accuracy <= now.accuracy) break;
      } else if (!best) { // nothing within the limit yet: go where it is cheapest
        for (const candidate& c : tried_)
          if (c.cost < now.cost && (!best || c.cost < best->cost)) best = &c;
        if (!best) break;
      }
      now = *best;
    }
    return now;
  }

  std::size_t evaluations() const { return evaluations_; } ///< accuracy predictions so far
  /// Hashes of the architectures that the last climb went through.
  const std::vector<std::uint64_t>& steps() const { return steps_; }

private:
  static constexpr int bins = 128, most_changes = 6;

  struct change {
    std::uint8_t stage = 0;
    std::int16_t d = -1;     ///< −1: the depth stays
    std::int16_t block = -1; ///< −1: its choices stay
    block_choice choice = {};
    std::int16_t width = -1; ///< which of the widths changes; −1: none
    std::uint8_t to = 0;     ///< what it becomes
  };

  template <class Visit>
  candidate judge(const arch& a, Visit& visit) {
    candidate c{a, accuracy_(a), cost_(a)};
    ++evaluations_;
    visit(c);
    return c;
  }
  arch apply(arch a, const change& c) const {
    if (c.d >= 0) a.d[c.stage] = static_cast<std::uint8_t>(c.d);
    if (c.width >= 0) a.w[static_cast<std::size_t>(c.width)] = c.to;
    if (c.block >= 0) a.choose(static_cast<std::size_t>(c.block), c.choice);
    return a;
  }

  void list_changes(const candidate& now) {
    changes_.clear(), group_ends_.clear(), tried_.clear();
    const arch& a = now.arch;
    for (std::size_t s = 0; s < space_.stages.size(); ++s) {
      const auto& stage = space_.stages[s];
      const auto s8 = static_cast<std::uint8_t>(s);
      const std::size_t first = space_.first_block(s);
      const std::size_t active = space_.active_blocks(s, a.d[s]);
      const auto each_choice = [&](std::size_t block, std::int16_t depth, bool but_present) {
        for (std::size_t i = 0; i < stage.variant_count(); ++i)
          if (const block_choice c = stage.variant(i); !but_present || c != a.choice(block))
            changes_.push_back({.stage = s8, .d = depth, .block = static_cast<std::int16_t>(block), .choice = c});
      };
      for (std::size_t block = first; block < first + active; ++block) {
        each_choice(block, -1, true);
        close_group();
      }
      for (auto d : stage.depths)
        if (d < a.d[s] || (d > a.d[s] && space_.blocks_of(s) == 0)) // a deep stem has no blocks
          changes_.push_back({.stage = s8, .d = d});
        else if (d > a.d[s]) // the block that comes in takes every choice; a second one stays as the genes say
          each_choice(first + active, d, false);
      close_group();
    }
    for (std::size_t w = 0; w < a.w.size(); ++w) {
      for (std::size_t to = 0; to < space_.widths.size(); ++to)
        if (to != a.w[w])
          changes_.push_back({.width = static_cast<std::int16_t>(w), .to = static_cast<std::uint8_t>(to)});
      close_group();
    }
    for (const change& c : changes_) add(apply(a, c));
  }
  void close_group() {
    if (changes_.size() > (group_ends_.empty() ? 0 : group_ends_.back())) group_ends_.push_back(changes_.size());
  }
  void add(const arch& a) { tried_.push_back({a, 0, cost_(a)}); }

  template <class Visit>
  void predict(Visit& visit, std::size_t first) {
    archs_.clear();
    for (std::size_t i = first; i < tried_.size(); ++i) archs_.push_back(tried_[i].arch);
    values_.resize(archs_.size());
    predict_all(accuracy_, std::span<const arch>(archs_), std::span<double>(values_));
    evaluations_ += archs_.size();
    for (std::size_t i = first; i < tried_.size(); ++i) {
      tried_[i].accuracy = values_[i - first];
      visit(tried_[i]);
    }
  }

  /// The knapsack. gain_[m][b]: the most accuracy that m changes bring when their cost, rounded up to bins, sums to
  /// b; bin `zero` stands for no change of cost and the last bin for the whole slack.
  void plan_combinations(const candidate& now, double limit) {
    const double slack = limit - now.cost;
    double widest = 0;
    for (const candidate& c : tried_)
      if (const double change = std::abs(c.cost - now.cost); std::isfinite(change)) widest = std::max(widest, change);
    if (!std::isfinite(slack) || !(widest > 0)) return;
    const double room = std::max(2 * widest, -4 * slack), up = std::clamp(slack, 0.0, room);
    const double width = width_ = (room + up) / (bins - 2);
    const int zero = static_cast<int>(room / width) + 1;
    const int last = std::min(bins - 1, zero + static_cast<int>(std::floor(std::min(slack, up) / width + 1e-9)));

    constexpr float none = -1e30f;
    for (auto& row : gain_) row.fill(none);
    gain_[0][static_cast<std::size_t>(zero)] = 0;
    choice_.resize(group_ends_.size());
    std::size_t first = 0;
    for (std::size_t g = 0; g < group_ends_.size(); first = group_ends_[g++]) {
      for (auto& row : choice_[g]) row.fill(-1);
      for (int m = most_changes; m > 0; --m) { // from the top, so that a group gives one change
        auto& to = gain_[static_cast<std::size_t>(m)];
        const auto& from = gain_[static_cast<std::size_t>(m - 1)];
        auto& chosen = choice_[g][static_cast<std::size_t>(m)];
        for (std::size_t i = first; i < group_ends_[g]; ++i) {
          if (!std::isfinite(tried_[i].cost)) continue;
          const int shift = bins_of(i, now);
          const auto gain = static_cast<float>(tried_[i].accuracy - now.accuracy);
          const auto item = static_cast<std::int16_t>(i - first);
          for (int b = std::max(0, -shift); b < std::min(bins, bins - shift); ++b) {
            const float value = from[static_cast<std::size_t>(b)] + gain;
            if (value > to[static_cast<std::size_t>(b + shift)]) {
              to[static_cast<std::size_t>(b + shift)] = value;
              chosen[static_cast<std::size_t>(b + shift)] = item;
            }
          }
        }
      }
    }
    // the frontier over bins for every number of changes, best first
    for (int m = 2; m <= most_changes; ++m) {
      auto& row = gain_[static_cast<std::size_t>(m)];
      for (int pick = 0; pick < 10; ++pick) {
        int b = -1;
        for (int i = 0; i <= last; ++i)
          if (row[static_cast<std::size_t>(i)] > none / 2 &&
              (b < 0 || row[static_cast<std::size_t>(i)] > row[static_cast<std::size_t>(b)]))
            b = i;
        if (b < 0) break;
        if (const auto a = combine(now, m, b); a && cost_(*a) <= limit) add(*a);
        row[static_cast<std::size_t>(b)] = none;
      }
    }
  }

  /// Follows the choices back from `changes` changes in bin `b`: in each group the choice stands where that group last
  /// improved the sum, so walking from the last group to the first meets exactly the sum's own changes.
  std::optional<arch> combine(const candidate& now, int changes, int b) const {
    arch a = now.arch;
    for (std::size_t g = group_ends_.size(); g-- > 0 && changes > 0;) {
      const std::int16_t item = choice_[g][static_cast<std::size_t>(changes)][static_cast<std::size_t>(b)];
      if (item < 0) continue;
      const std::size_t i = (g ? group_ends_[g - 1] : 0) + static_cast<std::size_t>(item);
      a = apply(a, changes_[i]);
      b -= bins_of(i, now);
      if (b < 0 || b >= bins) return std::nullopt;
      --changes;
    }
    if (changes) return std::nullopt;
    return a.canonical();
  }
  /// Cost of a single change in bins, rounded up so that a plan within the slack stays within it.
  int bins_of(std::size_t i, const candidate& now) const {
    return static_cast<int>(
        std::clamp(std::ceil((tried_[i].cost - now.cost) / width_ - 1e-9), -double(bins), double(bins)));
  }

  space_description space_;
  Accuracy accuracy_; ///< a value or a reference, see `kept_model`
  Cost cost_;
  std::size_t evaluations_ = 0;
  std::vector<std::uint64_t> steps_;
  double width_ = 1;
  std::vector<change> changes_;
  std::vector<std::size_t> group_ends_;
  std::vector<candidate> tried_;
  std::vector<arch> archs_;
  std::vector<double> values_;
  std::array<std::array<float, bins>, most_changes + 1> gain_;
  std::vector<std::array<std::array<std::int16_t, bins>, most_changes + 1>> choice_;
};
/// Keeps references to models that outlive it, copies of temporaries.
template <class Accuracy, class Cost>
improver(const space_description&, Accuracy&&, Cost&&) -> improver<kept_model<Accuracy>, kept_model<Cost>>;

} // namespace dynofa::search
