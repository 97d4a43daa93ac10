#pragma once
#include <cstdint>
#include <limits>
#include <string_view>

namespace dynofa {

/// Mixes 64 bits so that every input bit reaches every output bit (the finaliser of splitmix64).
constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// FNV-1a of the bytes of `name`, 64 bits.
constexpr std::uint64_t fnv1a64(std::string_view name) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return h;
}

/// A counter-based stream of random 64-bit words: word i is a function of (seed, name, i) and of nothing else.
///
/// The same bits come out on every compiler and machine, in any order (`at`) or one after the other (`operator()`);
/// two names give two independent streams of one seed. 16 bytes of state, so a search can store and resume it.
/// Satisfies std::uniform_random_bit_generator; prefer `below`, `uniform` and `normal`, since the distributions of the
/// standard library give different values with different standard libraries.
class random_stream {
public:
  ///@{
  /// As std::uniform_random_bit_generator asks: every value of 64 bits.
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  ///@}

  /// Streams of one seed and different names are independent.
  constexpr explicit random_stream(std::uint64_t seed, std::string_view name = "")
      : key_{mix64(fnv1a64(name) + mix64(seed + gamma))} {}
  /// A stream at a stored state.
  static constexpr random_stream resume(std::uint64_t key, std::uint64_t counter) {
    random_stream s{0};
    s.key_ = key;
    s.counter_ = counter;
    return s;
  }

  ///@{
  /// What `resume` takes.
  constexpr std::uint64_t key() const { return key_; }
  constexpr std::uint64_t counter() const { return counter_; }
  ///@}
  /// Number i of the stream, whatever has been drawn.
  constexpr std::uint64_t at(std::uint64_t i) const { return mix64(key_ + (i + 1) * gamma); }
  constexpr result_type operator()() { return at(counter_++); } ///< the next number

  /// Uniform in 0 … n−1, n ≥ 1 (multiply and shift; the bias is below n/2^32).
  constexpr std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(((*this)() >> 32) * n >> 32); }
  /// Uniform in [0, 1) with 53 bits.
  constexpr double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }
  /// True with probability p.
  constexpr bool chance(double p) { return uniform() < p; }
  /// Approximately standard normal: the sum of four 16-bit uniforms, scaled to unit variance, within ±3.464.
  constexpr double normal() { return normal_of((*this)(), 1.0); }

  /// The `std`-scaled normal of one word. Product and division are single double operations, so every IEEE-754 compiler
  /// gives the same bits, fused multiply-add or not.
  static constexpr double normal_of(std::uint64_t u, double std) {
    const std::uint64_t lanes = (u & 0xFFFF) + (u >> 16 & 0xFFFF) + (u >> 32 & 0xFFFF) + (u >> 48);
    return static_cast<double>(static_cast<std::int64_t>(lanes) - 131070) * (std / 37837.22723720648);
  }
  /// `lo` + uniform in [0, 1) with 24 bits: exact in double.
  static constexpr double uniform_of(std::uint64_t u, double lo) { return static_cast<double>(u >> 40) * 0x1p-24 + lo; }

private:
  static constexpr std::uint64_t gamma = 0x9E3779B97F4A7C15u;
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

} // namespace dynofa
