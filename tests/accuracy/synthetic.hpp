#pragma once
#include "dynofa/accuracy/data.hpp"
#include "dynofa/space/sampling.hpp"

#include <cmath>

namespace support {

/// An accuracy with the shape of real ones: every block adds by its choices, less the later it comes, resolution adds
/// by its logarithm and more to deep networks. About 0.4 … 0.7.
inline double synthetic_accuracy(const dynofa::space_description& space, const dynofa::arch& a) {
  double sum = 0;
  const auto place = [&](std::size_t g) { return double(g - space.first_block(space.stage_of(g))); };
  for (std::size_t g = 0; g < a.ks.size(); ++g)
    if (a.active(g)) sum += (1 + 0.2 * a.ks[g] + 0.3 * a.e[g].value()) / (1 + place(g));
  return 0.4 + 0.25 * std::tanh(sum / 40) + 0.03 * std::log(a.r / 32.0) * (1 + sum / 60);
}

/// `n` random architectures with their synthetic accuracy and noise of a deviation.
inline std::vector<dynofa::measured_arch> synthetic_data(const dynofa::space_description& space, int n, double noise,
                                                         std::uint64_t seed) {
  dynofa::random_stream random(seed, "synthetic");
  std::vector<dynofa::measured_arch> data;
  for (int i = 0; i < n; ++i) {
    const auto a = dynofa::random_arch(space, random);
    data.push_back({a, synthetic_accuracy(space, a) + noise * random.normal()});
  }
  return data;
}

} // namespace support
