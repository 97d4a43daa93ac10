#pragma once
#include <algorithm>
#include <chrono>
#include <string>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace dynofa {

namespace fma_peak_detail {

// Twelve independent sums cover the latency of two pipes on every core we know: four cycles, five of VPDPBUSD. They are
// operands of one statement. As an array clang 14 stores FMA's sums in every round and g++ 12 those of bytes, and the
// peak comes out at a half or a third.
inline constexpr int sums = 12;
inline constexpr long rounds = 800'000;

// sum = sum + a · b for each of twelve, by an instruction of three operands.
#define DYNOFA_TWELVE(one, kind, a, b)                                                                                 \
  asm(one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7) one(8) one(9) one(10) one(11)                            \
      : "+" kind(s0), "+" kind(s1), "+" kind(s2), "+" kind(s3), "+" kind(s4), "+" kind(s5), "+" kind(s6),              \
        "+" kind(s7), "+" kind(s8), "+" kind(s9), "+" kind(s10), "+" kind(s11)                                         \
      : kind(a), kind(b))
#define DYNOFA_SUMS(type, zero)                                                                                        \
  type s0 = (zero), s1 = (zero), s2 = (zero), s3 = (zero), s4 = (zero), s5 = (zero), s6 = (zero), s7 = (zero),         \
       s8 = (zero), s9 = (zero), s10 = (zero), s11 = (zero)

#if defined(__x86_64__)
#define DYNOFA_FMA(i) "vfmadd231ps %13, %12, %" #i "\n\t"
#define DYNOFA_BYTES(i) "vpdpbusd %13, %12, %" #i "\n\t"
__attribute__((target("avx512f"), noinline)) inline float chain_avx512() {
  const __m512 a = _mm512_set1_ps(1.0001f), b = _mm512_set1_ps(0.999f);
  DYNOFA_SUMS(__m512, _mm512_setzero_ps());
  for (long i = 0; i < rounds; ++i) DYNOFA_TWELVE(DYNOFA_FMA, "v", a, b);
  float total = 0;
  for (const __m512& s : {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11}) total += _mm512_cvtss_f32(s);
  return total;
}
__attribute__((target("avx2,fma"), noinline)) inline float chain_avx2() {
  const __m256 a = _mm256_set1_ps(1.0001f), b = _mm256_set1_ps(0.999f);
  DYNOFA_SUMS(__m256, _mm256_setzero_ps());
  for (long i = 0; i < rounds; ++i) DYNOFA_TWELVE(DYNOFA_FMA, "x", a, b);
  float total = 0;
  for (const __m256& s : {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11}) total += _mm256_cvtss_f32(s);
  return total;
}
/// Four products of bytes and their sum in each of 16 lanes.
__attribute__((target("avx512f,avx512vnni"), noinline)) inline float chain_vnni() {
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2);
  DYNOFA_SUMS(__m512i, _mm512_setzero_si512());
  for (long i = 0; i < rounds; ++i) DYNOFA_TWELVE(DYNOFA_BYTES, "v", a, b);
  int total = 0;
  for (const __m512i& s : {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11}) total += _mm512_cvtsi512_si32(s);
  return static_cast<float>(total);
}
/// The same in 8 lanes, by pairs of 16-bit sums: three instructions, of which only the last waits for a sum.
__attribute__((target("avx2"), noinline)) inline float chain_byte_pairs() {
  const __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2), ones = _mm256_set1_epi16(1);
  __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0, p0, p1, p2, p3;
  for (long i = 0; i < rounds; ++i)
    for (int third = 0; third < sums / 4; ++third)
      asm("vpmaddubsw %9, %8, %4\n\tvpmaddubsw %9, %8, %5\n\tvpmaddubsw %9, %8, %6\n\tvpmaddubsw %9, %8, %7\n\t"
          "vpmaddwd %10, %4, %4\n\tvpmaddwd %10, %5, %5\n\tvpmaddwd %10, %6, %6\n\tvpmaddwd %10, %7, %7\n\t"
          "vpaddd %4, %0, %0\n\tvpaddd %5, %1, %1\n\tvpaddd %6, %2, %2\n\tvpaddd %7, %3, %3"
          : "+x"(s0), "+x"(s1), "+x"(s2), "+x"(s3), "=&x"(p0), "=&x"(p1), "=&x"(p2), "=&x"(p3)
          : "x"(a), "x"(b), "x"(ones));
  int total = 0;
  for (const __m256i& s : {s0, s1, s2, s3}) total += _mm256_cvtsi256_si32(s);
  return static_cast<float>(total);
}
#undef DYNOFA_FMA
#undef DYNOFA_BYTES
#elif defined(__aarch64__)
#define DYNOFA_FMA(i) "fmla %" #i ".4s, %12.4s, %13.4s\n\t"
inline float chain_neon() {
  const float32x4_t a = vdupq_n_f32(1.0001f), b = vdupq_n_f32(0.999f);
  DYNOFA_SUMS(float32x4_t, vdupq_n_f32(0));
  for (long i = 0; i < rounds; ++i) DYNOFA_TWELVE(DYNOFA_FMA, "w", a, b);
  float total = 0;
  for (const float32x4_t& s : {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11}) total += vgetq_lane_f32(s, 0);
  return total;
}
#undef DYNOFA_FMA
#endif
#undef DYNOFA_TWELVE
#undef DYNOFA_SUMS

template <class Chain>
double gflops(Chain chain, int lanes) {
  double best = 0;
  volatile float sink = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    sink = sink + chain();
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * sums * rounds * lanes / s / 1e9);
  }
  return best;
}

} // namespace fma_peak_detail

/// The most fp32 multiply-adds one core can do, ×2, in 10^9 per second: register-only FMA chains, best of five
/// (about 20 ms). The compute floor of a network is 2 · MACs over this. `isa` as `backend::cpu` names it, "" for the
/// best.
inline double fma_peak_gflops(const std::string& isa = "") {
  static_cast<void>(isa);
#if defined(__x86_64__)
  if ((isa.empty() || isa == "avx512") && __builtin_cpu_supports("avx512f"))
    return fma_peak_detail::gflops(fma_peak_detail::chain_avx512, 16);
  if (__builtin_cpu_supports("fma")) return fma_peak_detail::gflops(fma_peak_detail::chain_avx2, 8);
  return 0;
#elif defined(__aarch64__)
  return fma_peak_detail::gflops(fma_peak_detail::chain_neon, 4);
#else
  return 0;
#endif
}

/// The most products of bytes one core can add up, in 10^9 multiply-adds per second, measured in the same way: the
/// compute floor of an int8 level is its MACs over this. 0 where it is not known how.
inline double byte_peak_gmacs(const std::string& isa = "") {
  static_cast<void>(isa);
#if defined(__x86_64__)
  if ((isa.empty() || isa == "avx512") && __builtin_cpu_supports("avx512vnni"))
    return fma_peak_detail::gflops(fma_peak_detail::chain_vnni, 64) / 2;
  if (__builtin_cpu_supports("avx2")) return fma_peak_detail::gflops(fma_peak_detail::chain_byte_pairs, 32) / 2;
#endif
  return 0;
}

} // namespace dynofa
