#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dynofa::backend::cpu_detail {

/// While it lives, this thread's results below 1.2e-38 are zero, and such operands count as zero. An x86 core takes
/// some hundred cycles for an instruction that meets one: an image of values near 1e-39 took 2.7 times as long as any
/// other (Xeon, AVX-512), and weights that decayed to nothing are found in trained networks. Arm's cores need no such
/// help and keep their mode. The caller's mode comes back at the end: it is not ours to choose. Cost: some tens of
/// cycles.
class denormals_as_zero {
public:
  denormals_as_zero(const denormals_as_zero&) = delete;
  denormals_as_zero& operator=(const denormals_as_zero&) = delete;
#if defined(__x86_64__)
  denormals_as_zero() { _mm_setcsr(before_ | flush_results | zero_operands); }
  ~denormals_as_zero() { _mm_setcsr(before_); }

private:
  static constexpr unsigned flush_results = 0x8000, zero_operands = 0x0040;
  unsigned before_ = _mm_getcsr();
#else
  denormals_as_zero() {}
  ~denormals_as_zero() {} // has something to do on x86: a variable of this type is used
#endif
};

} // namespace dynofa::backend::cpu_detail
