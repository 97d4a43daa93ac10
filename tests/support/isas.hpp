#pragma once
#include "dynofa/backend/cpu/isa.hpp"

#include <string>
#include <vector>

namespace dynofa_test {

/// The instruction sets whose kernels a test runs: all that this machine has. Under an emulator, where a test takes
/// fifty times as long, only the emulated machine's own: the portable kernels are the same source everywhere.
inline std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const auto& i : dynofa::backend::cpu_detail::available_isas()) names.emplace_back(i.name);
#ifdef DYNOFA_EMULATED
  names.resize(1);
#endif
  return names;
}

inline bool computes_in_half(const std::string& isa) {
  return dynofa::backend::cpu_detail::find_isa(isa).kernels->computes_in_half();
}

/// `full`, or what an emulator does in the time.
#ifdef DYNOFA_EMULATED
template <class T>
constexpr T unless_emulated(T, T instead) {
  return instead;
}
#else
template <class T>
constexpr T unless_emulated(T full, T) {
  return full;
}
#endif

} // namespace dynofa_test
