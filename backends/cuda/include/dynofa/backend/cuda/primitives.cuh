#pragma once
#include "dynofa/backend/cuda/step.hpp"

#include <cstdint>

// The few things of CUDA that the kernels use, under names of our own. The tests compile the same kernels for the CPU
// with an emulation of these names (tests/backends/cuda/emulation.hpp), one fibre per GPU thread.
//
// nvcc reads this file, what it includes and cuda.cu as C++17: CUDA 11, of older boards, has no later standard.

// Whose instructions the kernels use: those of the architecture compiled for. A newer GPU runs older ones' too, so
// -DDYNOFA_CUDA_INSTRUCTIONS=720 tests there what a Xavier runs.
#if !defined(DYNOFA_CUDA_INSTRUCTIONS) && defined(__CUDA_ARCH__)
#define DYNOFA_CUDA_INSTRUCTIONS __CUDA_ARCH__
#elif !defined(DYNOFA_CUDA_INSTRUCTIONS) // what nvcc compiles for the host, and the emulation
#define DYNOFA_CUDA_INSTRUCTIONS 900
#endif

#if defined(__CUDACC__)
#include <cuda_fp16.h>

#define DYNOFA_KERNEL __global__ void __launch_bounds__(::dynofa::backend::cuda_detail::most_threads)
#define DYNOFA_DEVICE __device__ __forceinline__
#define DYNOFA_GRID_CONSTANT __grid_constant__
#define DYNOFA_UNROLL _Pragma("unroll")
#define DYNOFA_UNROLL_8 _Pragma("unroll 8")
#define DYNOFA_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

namespace dynofa::backend::cuda_detail {

using half = __half;

DYNOFA_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
DYNOFA_DEVICE int block_threads() { return static_cast<int>(blockDim.x); }
DYNOFA_DEVICE int block_x() { return static_cast<int>(blockIdx.x); }
DYNOFA_DEVICE int block_y() { return static_cast<int>(blockIdx.y); }
DYNOFA_DEVICE int block_z() { return static_cast<int>(blockIdx.z); }
DYNOFA_DEVICE int blocks_x() { return static_cast<int>(gridDim.x); }
DYNOFA_DEVICE int blocks_y() { return static_cast<int>(gridDim.y); }

// From compute capability 9.0 on a kernel of a graph starts as soon as all thread blocks of the one before have started
// (`let_next_start`): it fetches its weights and then waits (`wait_for_activations`) until that one has finished. Every
// thread block of every kernel waits, so that whoever passes knows all earlier kernels finished. The host goes by the
// device (`capture`), so these two go by the architecture whatever the other instructions are.
DYNOFA_DEVICE void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
DYNOFA_DEVICE void wait_for_activations() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

DYNOFA_DEVICE void block_barrier() { __syncthreads(); }
DYNOFA_DEVICE void warp_barrier() { __syncwarp(); }
DYNOFA_DEVICE float from_lane_xor(float x, int mask) { return __shfl_xor_sync(0xFFFFFFFFu, x, mask); }

DYNOFA_DEVICE float saturate(float x) { return __saturatef(x); }
/// max(x, 0), NaN for NaN.
DYNOFA_DEVICE float max_of_zero(float x) {
#if DYNOFA_CUDA_INSTRUCTIONS >= 800
  float most;
  asm("max.NaN.f32 %0, %1, 0f00000000;" : "=f"(most) : "f"(x));
  return most;
#else // Volta and Turing have no such instruction
  return x < 0.f ? 0.f : x;
#endif
}
DYNOFA_DEVICE float to_float(half x) { return __half2float(x); }
DYNOFA_DEVICE void from_float(float x, half& to) { to = __float2half_rn(x); }

/// Two values at once.
DYNOFA_DEVICE std::uint32_t multiply_halves(std::uint32_t a, std::uint32_t b) {
  const __half2 product = __hmul2(*reinterpret_cast<__half2*>(&a), *reinterpret_cast<__half2*>(&b));
  return *reinterpret_cast<const std::uint32_t*>(&product);
}
DYNOFA_DEVICE void load_pair(const half* from, float& x, float& y) {
  const float2 both = __half22float2(*reinterpret_cast<const __half2*>(from));
  x = both.x, y = both.y;
}
DYNOFA_DEVICE void store_pair(half* to, float x, float y) { *reinterpret_cast<__half2*>(to) = __floats2half2_rn(x, y); }

#if DYNOFA_CUDA_INSTRUCTIONS >= 750
/// Four 8×8 matrices from shared memory into the registers of `multiply_fragments`: lane i names row i % 8 of matrix
/// i / 8, eight values at a multiple of 16 bytes.
DYNOFA_DEVICE void load_matrices(const half* row, std::uint32_t (&to)[4]) {
  const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(at)
               : "memory");
}

/// c [16×8] += a [16×16] · b [16×8] by the warp's tensor cores, in the register layout of mma.m16n8k16.
DYNOFA_DEVICE void multiply_fragments(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#if DYNOFA_CUDA_INSTRUCTIONS >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else // Turing multiplies half as deep
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(b0));
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}
#else
/// Volta: four products at once, each c [8×8] += a [8×4] · b [4×8] by one of the warp's quad pairs, in the register
/// layout of mma.m8n8k4. `a` and `b`: four halves of the lane's own row and column.
DYNOFA_DEVICE void multiply_quads(float (&c)[8], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0,
                                  std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9}, {%10,%11}, "
               "{%0,%1,%2,%3,%4,%5,%6,%7};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]), "+f"(c[6]), "+f"(c[7])
               : "r"(a0), "r"(a1), "r"(b0), "r"(b1));
}
#endif

/// What this thread wrote before is seen by those of other thread blocks who see what it writes next.
DYNOFA_DEVICE void device_fence() { __threadfence(); }
/// One more; returns how many it was before.
DYNOFA_DEVICE std::uint32_t count_one(std::uint32_t* counter) { return atomicAdd(counter, 1u); }
/// Past the nearest cache, for what other thread blocks of the same launch wrote.
DYNOFA_DEVICE float4 load_from_others(const float* from) { return __ldcg(reinterpret_cast<const float4*>(from)); }

// 16 bytes from global to shared memory, zeros if not `inside`, without a register in between and without waiting.
// `from` must be an address in either case. `start_copy_again`: what other thread blocks or taps read too, which the L1
// cache should keep. What a thread started until `end_copies` is a group.
DYNOFA_DEVICE void start_copy(void* to, const void* from, bool inside) {
#if DYNOFA_CUDA_INSTRUCTIONS >= 800
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(to))),
      "l"(from), "r"(inside ? 16 : 0)
      : "memory");
#else // Volta and Turing wait
  *static_cast<uint4*>(to) = inside ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
#endif
}
DYNOFA_DEVICE void start_copy_again(void* to, const void* from, bool inside) {
#if DYNOFA_CUDA_INSTRUCTIONS >= 800
  asm volatile(
      "cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(to))),
      "l"(from), "r"(inside ? 16 : 0)
      : "memory");
#else
  start_copy(to, from, inside);
#endif
}
DYNOFA_DEVICE void end_copies() {
#if DYNOFA_CUDA_INSTRUCTIONS >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits for the thread's own groups but the last `left`, of 0, 1 or 2.
DYNOFA_DEVICE void await_copies(int left) {
#if DYNOFA_CUDA_INSTRUCTIONS >= 800
  if (left == 0)
    asm volatile("cp.async.wait_group 0;" ::: "memory");
  else if (left == 1)
    asm volatile("cp.async.wait_group 1;" ::: "memory");
  else
    asm volatile("cp.async.wait_group 2;" ::: "memory");
#endif
}

} // namespace dynofa::backend::cuda_detail
#elif defined(DYNOFA_CUDA_EMULATION)
#include DYNOFA_CUDA_EMULATION
#else
#error                                                                                                                 \
    "dynofa: the .cuh headers are for nvcc (or for the emulation in the tests); include dynofa/backend/cuda.hpp instead"
#endif

namespace dynofa::backend::cuda_detail {

DYNOFA_DEVICE float to_float(float x) { return x; }
DYNOFA_DEVICE void from_float(float x, float& to) { to = x; }

DYNOFA_DEVICE void load_pair(const float* from, float& x, float& y) { x = from[0], y = from[1]; }
DYNOFA_DEVICE void store_pair(float* to, float x, float y) { to[0] = x, to[1] = y; }

/// A gate; `saturate` alone makes NaN 0.
DYNOFA_DEVICE float h_sigmoid(float x) { return x != x ? x : saturate(x * (1.f / 6.f) + 0.5f); }

DYNOFA_DEVICE float activate(activation act, float x) {
  if (act == activation::relu) return max_of_zero(x);
  if (act == activation::h_swish) return x * saturate(x * (1.f / 6.f) + 0.5f); // NaN · 0 is NaN
  if (act == activation::relu6) return x != x ? x : 6.f * saturate(x * (1.f / 6.f));
  return x;
}

/// Calls `work` with the activation as a constant: a loop inside then holds no choice.
template <activation Act>
struct constant_activation {
  DYNOFA_DEVICE float operator()(float x) const { return activate(Act, x); }
};
/// ReLU6 and none share a loop: a loop of its own cost the others 10 % of a batch of 64 on an H200.
struct other_activation {
  activation act;
  DYNOFA_DEVICE float operator()(float x) const {
    return act == activation::relu6 ? activate(activation::relu6, x) : x;
  }
};
template <class Work>
DYNOFA_DEVICE void with_activation(activation act, Work work) {
  if (act == activation::relu)
    work(constant_activation<activation::relu>{});
  else if (act == activation::h_swish)
    work(constant_activation<activation::h_swish>{});
  else
    work(other_activation{act});
}

/// Division by a number that the compiler does not know, exact while dividend · divisor < 2²⁰ and the quotient < 2¹².
class small_division {
public:
  DYNOFA_DEVICE explicit small_division(int divisor)
      : factor_{(1u << 20) / static_cast<std::uint32_t>(divisor) + 1} {}
  DYNOFA_DEVICE int operator()(int x) const { return static_cast<int>(static_cast<std::uint32_t>(x) * factor_ >> 20); }

private:
  std::uint32_t factor_;
};

/// The sum over `Lanes` neighbouring lanes, which all get it.
template <int Lanes = 32>
DYNOFA_DEVICE float sum_over_lanes(float x) {
  DYNOFA_UNROLL
  for (int mask = Lanes / 2; mask > 0; mask /= 2) x += from_lane_xor(x, mask);
  return x;
}

/// 16 bytes: what one load or store of a thread moves.
struct alignas(16) packet {
  std::uint32_t word[4];
};
template <class T>
inline constexpr int packet_values = 16 / static_cast<int>(sizeof(T));

DYNOFA_DEVICE packet load_packet(const void* from) { return *static_cast<const packet*>(from); }
DYNOFA_DEVICE void store_packet(void* to, const packet& p) { *static_cast<packet*>(to) = p; }
DYNOFA_DEVICE packet zero_packet() { return {{0, 0, 0, 0}}; }

template <class T>
union packet_view {
  packet bits;
  T values[packet_values<T>];
  DYNOFA_DEVICE explicit packet_view(const packet& p)
      : bits{p} {}
};

/// All threads of a block copy `count` packets: `from(i)` is where packet i lies, or null for zeros, `to(i)` where it
/// goes. Four at a time are under way.
template <class From, class To>
DYNOFA_DEVICE void copy_packets(int count, From from, To to) {
  constexpr int at_once = 4;
  const int threads = block_threads();
  for (int first = thread_index(); first < count; first += at_once * threads) {
    packet bits[at_once];
    DYNOFA_UNROLL
    for (int j = 0; j < at_once; ++j) {
      const void* source = first + j * threads < count ? from(first + j * threads) : nullptr;
      bits[j] = source != nullptr ? load_packet(source) : zero_packet();
    }
    DYNOFA_UNROLL
    for (int j = 0; j < at_once; ++j)
      if (first + j * threads < count) store_packet(to(first + j * threads), bits[j]);
  }
}

/// Value by value.
template <class T>
DYNOFA_DEVICE packet product_of(const packet& a, const packet& b) {
  if constexpr (sizeof(T) == 2) {
    packet both;
    DYNOFA_UNROLL
    for (int i = 0; i < 4; ++i) both.word[i] = multiply_halves(a.word[i], b.word[i]);
    return both;
  } else {
    packet_view<T> x{a};
    const packet_view<T> y{b};
    DYNOFA_UNROLL
    for (int i = 0; i < packet_values<T>; ++i) x.values[i] *= y.values[i];
    return x.bits;
  }
}

/// Eight values from registers to memory.
template <class T>
DYNOFA_DEVICE void store_floats(const float (&from)[8], T* to) {
  DYNOFA_UNROLL
  for (int i = 0; i < 8; i += packet_values<T>) {
    packet_view<T> values{zero_packet()};
    DYNOFA_UNROLL
    for (int j = 0; j < packet_values<T>; ++j) from_float(from[i + j], values.values[j]);
    store_packet(to + i, values.bits);
  }
}

template <class T>
inline constexpr precision precision_of = sizeof(T) == 2 ? precision::fp16 : precision::fp32;

} // namespace dynofa::backend::cuda_detail
