#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa {

/// The items that no other beats in both cost (less is better) and value (more is better): strictly ascending in both.
/// Of equal ones the first that came stays. `Cost` and `Value` are pointers to members of T.
template <class T, auto Cost, auto Value>
class pareto_front {
public:
  using cost_type = std::remove_cvref_t<std::invoke_result_t<decltype(Cost), const T&>>; ///< of what `Cost` points to

  /// Takes `item` in if nothing here is at least as good in both; whatever it beats leaves. True if it came in.
  bool insert(T item) {
    auto at = behind(std::invoke(Cost, item)); // the first dearer one; before it stands the best of the others
    if (at != members_.begin() && std::invoke(Value, *std::prev(at)) >= std::invoke(Value, item)) return false;
    auto first = at;
    if (first != members_.begin() && std::invoke(Cost, *std::prev(first)) == std::invoke(Cost, item)) --first;
    while (at != members_.end() && std::invoke(Value, *at) <= std::invoke(Value, item)) ++at;
    members_.insert(members_.erase(first, at), std::move(item));
    return true;
  }
  /// The member of most value within a cost, or null.
  const T* best_within(const cost_type& most) const {
    const auto at = behind(most);
    return at == members_.begin() ? nullptr : &*std::prev(at);
  }
  const std::vector<T>& members() const { return members_; } ///< ascending in cost and value

private:
  auto behind(const cost_type& cost) const {
    return std::upper_bound(members_.begin(), members_.end(), cost,
                            [](const cost_type& c, const T& m) { return c < std::invoke(Cost, m); });
  }
  std::vector<T> members_;
};

/// The indices below `n` that no other beats in `cost(i)` and `value(i)`, in ascending order of both.
template <class Cost, class Value>
std::vector<std::size_t> front_of_indices(std::size_t n, Cost cost, Value value) {
  struct point {
    double cost, value;
    std::size_t index;
  };
  pareto_front<point, &point::cost, &point::value> front;
  for (std::size_t i = 0; i < n; ++i) front.insert({cost(i), value(i), i});
  std::vector<std::size_t> indices;
  for (const point& p : front.members()) indices.push_back(p.index);
  return indices;
}

} // namespace dynofa
