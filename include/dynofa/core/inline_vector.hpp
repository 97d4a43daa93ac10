#pragma once
#include <algorithm>
#include <array>
#include <cassert>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>

namespace dynofa {

/// A vector of at most `Capacity` elements stored in place: constexpr, trivially copyable, never allocates.
///
/// It is what lets an architecture be a constexpr value, a map key and a hot-loop local at once.
/// (boost::container::static_vector is not constexpr in Debian 12's Boost 1.74.)
template <class T, std::size_t Capacity>
class inline_vector {
public:
  ///@{
  /// What standard containers call it.
  using value_type = T;
  static constexpr std::size_t capacity = Capacity;
  ///@}

  constexpr inline_vector() = default;
  /// `size` times `value`; asserts size ≤ Capacity.
  constexpr explicit inline_vector(std::size_t size, T value = {}) { resize(size, value); }
  ///@{
  /// Asserts that there are at most Capacity.
  constexpr inline_vector(std::initializer_list<T> values)
      : inline_vector(values.begin(), values.end()) {}
  template <std::input_iterator Iterator, std::sentinel_for<Iterator> Sentinel>
  constexpr inline_vector(Iterator first, Sentinel last) {
    for (; first != last; ++first) push_back(static_cast<T>(*first));
  }
  ///@}

  /// Asserts that there is room.
  constexpr void push_back(T value) {
    assert(size_ < Capacity);
    items_[size_++] = value;
  }
  /// Keeps ascending order; a value that is there already is not added again.
  constexpr void insert(T value) {
    std::size_t at = 0;
    while (at < size_ && items_[at] < value) ++at;
    if (at < size_ && items_[at] == value) return;
    push_back(value);
    std::rotate(begin() + at, end() - 1, end());
  }
  /// New elements are `value`; asserts size ≤ Capacity.
  constexpr void resize(std::size_t size, T value = {}) {
    assert(size <= Capacity);
    for (std::size_t i = size_; i < size; ++i) items_[i] = value;
    for (std::size_t i = size; i < size_; ++i) items_[i] = T{}; // the tail stays T{} so that copies are reproducible
    size_ = size;
  }

  ///@{
  /// As std::vector's; indices are asserted.
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T* data() { return items_.data(); }
  constexpr const T* data() const { return items_.data(); }
  constexpr T* begin() { return items_.data(); }
  constexpr T* end() { return items_.data() + size_; }
  constexpr const T* begin() const { return items_.data(); }
  constexpr const T* end() const { return items_.data() + size_; }
  constexpr T& operator[](std::size_t i) { return assert(i < size_), items_[i]; }
  constexpr const T& operator[](std::size_t i) const { return assert(i < size_), items_[i]; }
  constexpr const T& front() const { return (*this)[0]; }
  constexpr const T& back() const { return (*this)[size_ - 1]; }
  ///@}

  /// One pass over the elements.
  constexpr bool contains(const T& value) const { return std::find(begin(), end(), value) != end(); }
  ///@{
  /// Asserts that there is an element.
  constexpr T max() const { return assert(!empty()), *std::max_element(begin(), end()); }
  constexpr T min() const { return assert(!empty()), *std::min_element(begin(), end()); }
  ///@}

  ///@{
  /// Compares elements, then lengths.
  friend constexpr bool operator==(const inline_vector& a, const inline_vector& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  friend constexpr auto operator<=>(const inline_vector& a, const inline_vector& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
  }
  ///@}

private:
  std::array<T, Capacity> items_{};
  std::size_t size_ = 0;
};

} // namespace dynofa
