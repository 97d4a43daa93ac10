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

// Twenty-four independent accumulators cover the latency of two FMA pipes on every core we know.
inline constexpr int accumulators = 24;
inline constexpr long rounds = 400'000;

#if defined(__x86_64__)
__attribute__((target("avx512f"), noinline)) inline float chain_avx512() {
  __m512 sum[accumulators];
  for (auto& s : sum) s = _mm512_setzero_ps();
  const __m512 a = _mm512_set1_ps(1.0001f), b = _mm512_set1_ps(0.999f);
  for (long i = 0; i < rounds; ++i) {
#pragma GCC unroll 24
    for (auto& s : sum) s = _mm512_fmadd_ps(a, b, s);
  }
  float total = 0;
  for (auto& s : sum) total += _mm512_cvtss_f32(s);
  return total;
}
__attribute__((target("avx2,fma"), noinline)) inline float chain_avx2() {
  __m256 sum[12]; // sixteen registers
  for (auto& s : sum) s = _mm256_setzero_ps();
  const __m256 a = _mm256_set1_ps(1.0001f), b = _mm256_set1_ps(0.999f);
  for (long i = 0; i < 2 * rounds; ++i) {
#pragma GCC unroll 12
    for (auto& s : sum) s = _mm256_fmadd_ps(a, b, s);
  }
  float total = 0;
  for (auto& s : sum) total += _mm256_cvtss_f32(s);
  return total;
}
/// Four products of bytes and their sum in each of 16 lanes. g++ 12 is told the form: left to choose, it spills sums.
__attribute__((target("avx512f,avx512vnni"), noinline)) inline float chain_vnni() {
  __m512i sum[accumulators];
  for (auto& s : sum) s = _mm512_setzero_si512();
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2);
  for (long i = 0; i < rounds; ++i) {
#pragma GCC unroll 24
    for (auto& s : sum) asm("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(a), "v"(b));
  }
  int total = 0;
  for (auto& s : sum) total += _mm512_cvtsi512_si32(s);
  return static_cast<float>(total);
}
/// The same in 8 lanes, by pairs of 16-bit sums.
__attribute__((target("avx2"), noinline)) inline float chain_byte_pairs() {
  __m256i sum[12];
  for (auto& s : sum) s = _mm256_setzero_si256();
  __m256i a = _mm256_set1_epi8(3);
  const __m256i b = _mm256_set1_epi8(-2), ones = _mm256_set1_epi16(1);
  for (long i = 0; i < 2 * rounds; ++i) {
    asm("" : "+x"(a)); // the products are not the same each time
#pragma GCC unroll 12
    for (auto& s : sum) {
      __m256i pairs;
      asm("vpmaddubsw %2, %1, %0" : "=x"(pairs) : "x"(a), "x"(b));
      s = _mm256_add_epi32(s, _mm256_madd_epi16(pairs, ones));
    }
  }
  int total = 0;
  for (auto& s : sum) total += _mm256_cvtsi256_si32(s);
  return static_cast<float>(total);
}
#elif defined(__aarch64__)
inline float chain_neon() {
  float32x4_t sum[accumulators];
  for (auto& s : sum) s = vdupq_n_f32(0);
  const float32x4_t a = vdupq_n_f32(1.0001f), b = vdupq_n_f32(0.999f);
  for (long i = 0; i < rounds; ++i)
    for (auto& s : sum) s = vfmaq_f32(s, a, b);
  float total = 0;
  for (auto& s : sum) total += vgetq_lane_f32(s, 0);
  return total;
}
#endif

template <class Chain>
double gflops(Chain chain, int lanes) {
  double best = 0;
  volatile float sink = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    sink = sink + chain();
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * accumulators * rounds * lanes / s / 1e9);
  }
  return best;
}

} // namespace fma_peak_detail

/// The most fp32 multiply-adds one core can do, ×2, in 10^9 per second: register-only FMA chains, best of five
/// (about 20 ms). The compute floor of a network is 2 · MACs over this. `isa` as `backend::cpu` names it, "" for the
/// best.
inline double fma_peak_gflops(const std::string& isa = "") {
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
#if defined(__x86_64__)
  if ((isa.empty() || isa == "avx512") && __builtin_cpu_supports("avx512vnni"))
    return fma_peak_detail::gflops(fma_peak_detail::chain_vnni, 64) / 2;
  if (__builtin_cpu_supports("avx2")) return fma_peak_detail::gflops(fma_peak_detail::chain_byte_pairs, 32) / 2;
#endif
  static_cast<void>(isa);
  return 0;
}

} // namespace dynofa
