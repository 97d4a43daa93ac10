#pragma once
#include "dynofa/runtime/level_figures.hpp"

#include <string>
#include <vector>

namespace support {

struct level_table {
  std::string name;
  std::vector<dynofa::runtime::level_figures> levels;
};

/// The six networks of the paper's GPU file, and ten made-up levels with wider steps.
inline std::vector<level_table> level_tables() {
  return {{"paper_6",
           {{41.16, 74.202}, {45.42, 74.968}, {49.44, 76.134}, {51.08, 77.540}, {56.75, 78.346}, {61.73, 79.030}}},
          {"ten",
           {{12.0, 71.9},
            {14.1, 73.6},
            {16.3, 74.9},
            {18.8, 75.9},
            {21.9, 76.8},
            {25.3, 77.5},
            {29.4, 78.1},
            {34.0, 78.6},
            {39.5, 79.0},
            {46.0, 79.3}}}};
}

} // namespace support
