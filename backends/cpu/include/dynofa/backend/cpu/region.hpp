#pragma once

#define DYNOFA_CPU_FN inline __attribute__((always_inline))

// Fully unrolls the loop that follows: its trip count is a constant, its arrays are registers.
#if defined(__clang__)
#define DYNOFA_CPU_UNROLL _Pragma("clang loop unroll(full)")
#else
#define DYNOFA_CPU_UNROLL _Pragma("GCC unroll 128")
#endif
