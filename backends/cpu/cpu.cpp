// The CPU backend with the kernels of every instruction set, for programs whose own units define
// DYNOFA_CPU_KERNELS_LINKED: what dynofa::cpu_compiled is made of.
#define DYNOFA_CPU_KERNELS_HERE
#include "dynofa/backend/cpu.hpp"
