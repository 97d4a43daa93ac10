#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/core/number.hpp"
#include "dynofa/report/program.hpp"

#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

// What the programs `tests/<name>_check.cpp` have in common: a line per case, then "N passed, N failed".

namespace support {

inline int passed = 0, failed = 0;

inline void check(bool good, const std::string& what) {
  (good ? passed : failed) += 1;
  std::cout << (good ? "pass  " : "FAIL  ") << what << std::endl;
}

using dynofa::fixed;

/// Runs the cases and prints the last line. Returns the program's exit status: 0 where all passed, 2 where it could not
/// go on.
template <class Cases>
int count_checks(Cases cases) {
  const auto counted = [&](int, char**) {
    try {
      cases();
    } catch (...) {
      std::cout << passed << " passed, " << failed + 1 << " failed\n";
      const int status = dynofa::report::explain_fault(std::cerr);
      return dynofa::report::interrupted() ? status : 2;
    }
    std::cout << passed << " passed, " << failed << " failed\n";
    return failed == 0 ? 0 : 1;
  };
  return dynofa::report::run_program(counted, 0, nullptr);
}

/// Seeds from `first` to `last`, "A:B" or "A" on a command line.
struct seed_range {
  std::uint64_t first = 1, last = 30;
};
inline seed_range read_seeds(const std::string& value) {
  seed_range seeds;
  std::string_view rest = value;
  const auto first = dynofa::take_number<std::uint64_t>(rest);
  seeds.first = seeds.last = first.value_or(0);
  if (rest.starts_with(':')) {
    rest.remove_prefix(1);
    seeds.last = dynofa::take_number<std::uint64_t>(rest).value_or(0);
  }
  if (!first || !rest.empty() || seeds.first > seeds.last || seeds.last - seeds.first >= 10000)
    throw dynofa::error(dynofa::errc::invalid_argument, "--seeds", "A:B, A not above B, at most 10000 seeds", value);
  return seeds;
}

} // namespace support
