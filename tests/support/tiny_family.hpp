#pragma once
#include "dynofa/family/file.hpp"

#include "support/tiny_space.hpp"
#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace support {

/// A family of three levels that take some 0.05 to 0.5 ms, with random weights and ten classes: for tests of very many
/// frames. Level 2 does some ten times the work of level 0.
inline dynofa::family tiny_family() {
  using namespace dynofa;
  const auto net = tiny_supernet();
  std::vector<data::class_name> names;
  for (const char* name : {"ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay"})
    names.push_back({text("n0", names.size()), name});
  family f(net, data::exact_preprocessing(), names);
  struct choice {
    std::uint8_t d, e, k;
    std::uint16_t r;
  };
  int correct = 500;
  for (const choice& c : std::array<choice, 3>{{{2, 3, 3, 32}, {3, 4, 3, 48}, {4, 6, 7, 64}}}) {
    arch a = largest(tiny_space::description);
    std::fill(a.d.begin(), a.d.end(), c.d);
    std::fill(a.e.begin(), a.e.end(), c.e);
    std::fill(a.ks.begin(), a.ks.end(), c.k);
    a.r = c.r;
    f.add({a, stored_statistics(*net, a), {1000, correct, 900}, {}});
    correct += 100;
  }
  return f;
}

/// The same as a file.
inline std::filesystem::path write_tiny_family(const std::filesystem::path& file) {
  dynofa::save_family(file, tiny_family());
  return file;
}

} // namespace support
