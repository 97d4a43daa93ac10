#pragma once
#include "dynofa/runtime/level_figures.hpp"

#include <vector>

/// The six networks of the paper's GPU file.
inline const std::vector<dynofa::runtime::level_figures> paper_six = {
    {41.16, 74.202}, {45.42, 74.968}, {49.44, 76.134}, {51.08, 77.540}, {56.75, 78.346}, {61.73, 79.030}};
