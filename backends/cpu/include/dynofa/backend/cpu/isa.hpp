#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/core/error.hpp"

#include <string>
#include <string_view>
#include <vector>

// A program of many units may compile the kernels once: cpu.cpp is one of them, and the others define
// DYNOFA_CPU_KERNELS_LINKED. That saves 15 s of g++ and 90 s of a sanitizer build in each.
#ifndef DYNOFA_CPU_KERNELS_LINKED
#include "dynofa/backend/cpu/isa_avx2.hpp"
#include "dynofa/backend/cpu/isa_avx512.hpp"
#include "dynofa/backend/cpu/isa_avx512_bf16.hpp"
#include "dynofa/backend/cpu/isa_neon.hpp"
#include "dynofa/backend/cpu/isa_portable.hpp"
#endif
#ifndef DYNOFA_CPU_KERNELS_HERE
#define DYNOFA_CPU_KERNELS_HERE inline
#endif

namespace dynofa::backend::cpu_detail {

struct isa {
  std::string_view name;
  const kernel_table* kernels;
};

/// The instruction sets this machine can run, best first; "portable" is always the last. "avx512" has the dot products
/// of bf16 where the machine has; "avx512f" is what it would be without.
#ifdef DYNOFA_CPU_KERNELS_LINKED
std::vector<isa> available_isas();
#else
DYNOFA_CPU_KERNELS_HERE std::vector<isa> available_isas() {
  std::vector<isa> found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2_too = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2_too && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    if (__builtin_cpu_supports("avx512bf16")) found.push_back({"avx512", &avx512_bf16::kernels});
    found.push_back({found.empty() ? "avx512" : "avx512f", &avx512::kernels});
  }
  if (avx2_too) found.push_back({"avx2", &avx2::kernels});
#elif defined(__aarch64__)
  found.push_back({"neon", &neon::kernels});
#endif
  found.push_back({"portable", &portable::kernels});
  return found;
}
#endif

/// The one called `name`, or the best for "". Throws naming what is available.
inline isa find_isa(std::string_view name) {
  const std::vector<isa> all = available_isas();
  if (name.empty()) return all.front();
  std::string names;
  for (const isa& i : all) {
    if (i.name == name) return i;
    names += names.empty() ? "" : " or ";
    names += i.name;
  }
  throw error(errc::invalid_argument, "cpu backend isa", names + " on this machine", std::string(name));
}

} // namespace dynofa::backend::cpu_detail
