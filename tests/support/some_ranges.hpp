#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/model/ranges.hpp"

#include <cmath>
#include <cstdint>

namespace support {

/// Ranges that a level might have, none like another; the first is that of a dead channel.
inline dynofa::activation_ranges some_ranges(const dynofa::plan& p, std::uint64_t seed = 1) {
  dynofa::random_stream random(seed, "ranges");
  dynofa::activation_ranges r;
  for (std::size_t i = 0; i < dynofa::range_count(p); ++i) {
    r.low.push_back(i == 0 ? 0.f : static_cast<float>(-std::abs(random.normal())));
    r.high.push_back(i == 0 ? 0.f : static_cast<float>(std::abs(random.normal())));
  }
  return r;
}

} // namespace support
