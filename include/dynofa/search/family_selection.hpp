#pragma once
#include "dynofa/search/candidate.hpp"

namespace dynofa::search {

namespace detail {
/// The cheapest member of an ascending front that reaches an accuracy.
template <class Member>
const Member& cheapest_reaching(const std::vector<Member>& members, double accuracy) {
  const auto at = std::ranges::lower_bound(members, accuracy, {}, &Member::accuracy);
  return at == members.end() ? members.back() : *at;
}
template <class Member, class Targets>
std::vector<Member> pick(const std::vector<Member>& members, std::size_t count, Targets target) {
  std::vector<Member> family;
  for (std::size_t i = 0; i < count; ++i) {
    const Member& c = cheapest_reaching(members, target(i));
    if (family.empty() || !same_level(family.back(), c)) family.push_back(c);
  }
  return family;
}
} // namespace detail

/// A family whose accuracies lie about `step` apart (the paper: 1 point), ascending: for the most accurate member and
/// for every step below it, the cheapest member of the front that reaches it. Throws errc::invalid_argument for a step
/// that is not above 0 or would give more than 256 levels, errc::infeasible for an empty front. `Front`: `front`, or
/// `front_in_formats`.
template <class Front = front>
auto select_by_accuracy_step(const Front& all, double step) {
  if (all.members().empty()) throw error(errc::infeasible, "family selection", "a front with members", "an empty one");
  const double least = all.members().front().accuracy, most = all.members().back().accuracy;
  require_argument(step > 0 && (most - least) / step <= 255, "family selection",
                   "an accuracy step above 0 that gives at most 256 levels", step);
  // a whole number of steps below the top; rounding must not add a level
  const auto steps = static_cast<std::size_t>((most - least) / step + 1e-9);
  return detail::pick(all.members(), steps + 1,
                      [&](std::size_t i) { return i == steps ? most : most - double(steps - i) * step; });
}

/// A family of at most `levels` members at even accuracy steps from the front's least to its most accurate, ascending.
/// Fewer where the front has gaps. Throws errc::invalid_argument for 0 levels, errc::infeasible for an empty front.
template <class Front = front>
auto select_levels(const Front& all, std::size_t levels) {
  if (all.members().empty()) throw error(errc::infeasible, "family selection", "a front with members", "an empty one");
  require_argument(levels >= 1, "family selection", "at least 1 level", "0");
  const double least = all.members().front().accuracy, most = all.members().back().accuracy;
  return detail::pick(all.members(), levels, [&](std::size_t i) {
    return i + 1 == levels ? most : least + (most - least) * double(i) / double(levels - 1);
  });
}

} // namespace dynofa::search
