#pragma once
#include "dynofa/family/file.hpp"

#include "support/chosen_levels.hpp"
#include "support/tiny_space.hpp"
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
  add_levels(f, {{2, 3, 3, 32}, {3, 4, 3, 48}, {4, 6, 7, 64}}, 500, 100);
  return f;
}

/// The same as a file.
inline std::filesystem::path write_tiny_family(const std::filesystem::path& file) {
  dynofa::save_family(file, tiny_family());
  return file;
}

} // namespace support
