// The kernels of every instruction set, for programs whose other units define DYNOFA_CPU_KERNELS_LINKED.
#define DYNOFA_CPU_KERNELS_HERE
#include "dynofa/backend/cpu/isa.hpp"
