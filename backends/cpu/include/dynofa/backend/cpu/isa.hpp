#pragma once
#include "dynofa/backend/cpu/kernel_table.hpp"
#include "dynofa/core/error.hpp"

#include <string>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

// A program of many units may compile the kernels once: cpu.cpp is one of them, and the others define
// DYNOFA_CPU_KERNELS_LINKED. That saves 15 s of g++ and 90 s of a sanitizer build in each.
#ifndef DYNOFA_CPU_KERNELS_LINKED
#include "dynofa/backend/cpu/isa_avx2.hpp"
#include "dynofa/backend/cpu/isa_avx512.hpp"
#include "dynofa/backend/cpu/isa_avx512_bf16.hpp"
#include "dynofa/backend/cpu/isa_avx512_vnni.hpp"
#include "dynofa/backend/cpu/isa_neon.hpp"
#include "dynofa/backend/cpu/isa_neon_dot.hpp"
#include "dynofa/backend/cpu/isa_neon_half.hpp"
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

/// What a processor, and its operating system, lets a program use.
struct processor_features {
  bool avx2 = false, fma = false, f16c = false;
  bool avx512f = false, avx512bw = false, avx512vl = false, avx512dq = false, avx512bf16 = false, avx512vnni = false;
  bool dot_products = false, half_arithmetic = false; ///< of AArch64
};

inline processor_features query_features() {
  processor_features f;
#if defined(__x86_64__)
  __builtin_cpu_init();
  f.avx2 = __builtin_cpu_supports("avx2"), f.fma = __builtin_cpu_supports("fma");
  f.avx512f = __builtin_cpu_supports("avx512f"), f.avx512bw = __builtin_cpu_supports("avx512bw");
  f.avx512vl = __builtin_cpu_supports("avx512vl"), f.avx512dq = __builtin_cpu_supports("avx512dq");
  f.avx512bf16 = __builtin_cpu_supports("avx512bf16"), f.avx512vnni = __builtin_cpu_supports("avx512vnni");
  unsigned a = 0, b = 0, c = 0, d = 0; // clang 14 does not know "f16c"
  f.f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
#elif defined(__aarch64__) && defined(__linux__)
  const unsigned long found = getauxval(AT_HWCAP), halves = HWCAP_FPHP | HWCAP_ASIMDHP;
  f.dot_products = (found & HWCAP_ASIMDDP) != 0, f.half_arithmetic = (found & halves) == halves;
#else // of macOS, whose compilers know the oldest machine that a program will meet
#if defined(__ARM_FEATURE_DOTPROD)
  f.dot_products = true;
#endif
#if defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)
  f.half_arithmetic = true;
#endif
#endif
  return f;
}

/// The instruction sets that run with these features, best first; "portable" is always the last. "avx512" and "neon"
/// have the dot products of bf16 and of bytes and the arithmetic of halves that the machine has; "avx512f" and "neonv8"
/// are what they would be without. The kernels of x86 convert halves: a virtual machine may have AVX2 and hide F16C.
#ifdef DYNOFA_CPU_KERNELS_LINKED
std::vector<isa> isas_of(const processor_features& f);
#else
DYNOFA_CPU_KERNELS_HERE std::vector<isa> isas_of([[maybe_unused]] const processor_features& f) {
  std::vector<isa> found;
#if defined(__x86_64__)
  const bool avx2_too = f.avx2 && f.fma && f.f16c;
  if (avx2_too && f.avx512f && f.avx512bw && f.avx512vl && f.avx512dq) {
    static constexpr kernel_table bytes = avx512_vnni::with_bytes(avx512::kernels),
                                  bytes_and_bf16 = avx512_vnni::with_bytes(avx512_bf16::kernels);
    if (f.avx512bf16)
      found.push_back({"avx512", f.avx512vnni ? &bytes_and_bf16 : &avx512_bf16::kernels});
    else if (f.avx512vnni)
      found.push_back({"avx512", &bytes});
    found.push_back({found.empty() ? "avx512" : "avx512f", &avx512::kernels});
  }
  if (avx2_too) found.push_back({"avx2", &avx2::kernels});
#elif defined(__aarch64__)
  static constexpr kernel_table with_dot_products = neon_dot::with_bytes(neon::kernels),
                                with_halves = neon_half::with_halves(neon::kernels),
                                with_both = neon_half::with_halves(with_dot_products);
  if (f.dot_products)
    found.push_back({"neon", f.half_arithmetic ? &with_both : &with_dot_products});
  else if (f.half_arithmetic)
    found.push_back({"neon", &with_halves});
  found.push_back({found.empty() ? "neon" : "neonv8", &neon::kernels});
#endif
  found.push_back({"portable", &portable::kernels});
  return found;
}
#endif

/// Those that this machine can run.
inline std::vector<isa> available_isas() { return isas_of(query_features()); }

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
