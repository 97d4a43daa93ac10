// What of the run-time part reads and writes files, for programs whose own units define DYNOFA_RUNTIME_LINKED: what
// dynofa::runtime is made of.
#define DYNOFA_RUNTIME_HERE
#include "dynofa/family/file.hpp"
#include "dynofa/family/latency_cache.hpp"
