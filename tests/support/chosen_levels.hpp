#pragma once
#include "dynofa/family/family.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>

namespace support {

/// A level whose every stage has the same depth, expand ratio and kernel size.
struct level_choice {
  std::uint8_t d, e, k;
  std::uint16_t r;
};

/// Adds levels to a family, with its network's own statistics. Top-1 is made up: `correct` of 1000, `more` for each.
inline void add_levels(dynofa::family& f, std::initializer_list<level_choice> levels, int correct, int more) {
  for (const level_choice& c : levels) {
    dynofa::arch a = largest(f.space());
    std::fill(a.d.begin(), a.d.end(), c.d);
    std::fill(a.e.begin(), a.e.end(), c.e);
    std::fill(a.ks.begin(), a.ks.end(), c.k);
    a.r = c.r;
    f.add({a, stored_statistics(*f.net(), a), {1000, correct, 900}, {}});
    correct += more;
  }
}

} // namespace support
