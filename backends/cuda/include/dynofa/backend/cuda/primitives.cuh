#pragma once
#include "dynofa/backend/cuda/step.hpp"

#include <cstdint>

// The few things of CUDA that the kernels use, under names of our own. The tests compile the same kernels for the CPU
// with an emulation of these names (tests/backends/cuda/emulation.hpp), one fibre per GPU thread.

#if defined(__CUDACC__)
#include <cuda_fp16.h>

#define DYNOFA_KERNEL __global__ void __launch_bounds__(::dynofa::backend::cuda_detail::threads_per_block)
#define DYNOFA_DEVICE __device__ __forceinline__
#define DYNOFA_UNROLL _Pragma("unroll")
#define DYNOFA_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

namespace dynofa::backend::cuda_detail {

using half = __half;

DYNOFA_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
DYNOFA_DEVICE int block_x() { return static_cast<int>(blockIdx.x); }
DYNOFA_DEVICE int block_y() { return static_cast<int>(blockIdx.y); }
DYNOFA_DEVICE int block_z() { return static_cast<int>(blockIdx.z); }
DYNOFA_DEVICE int blocks_x() { return static_cast<int>(gridDim.x); }
DYNOFA_DEVICE int blocks_y() { return static_cast<int>(gridDim.y); }

DYNOFA_DEVICE void block_barrier() { __syncthreads(); }
DYNOFA_DEVICE void warp_barrier() { __syncwarp(); }
DYNOFA_DEVICE float from_lane_xor(float x, int mask) { return __shfl_xor_sync(0xFFFFFFFFu, x, mask); }

DYNOFA_DEVICE float to_float(half x) { return __half2float(x); }
DYNOFA_DEVICE void from_float(float x, half& to) { to = __float2half_rn(x); }

/// c [16×8] += a [16×16] · b [16×8] by the warp's tensor cores, in the register layout of mma.m16n8k16.
DYNOFA_DEVICE void multiply_fragments(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else // Turing multiplies half as deep
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(b[0]));
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[2]), "r"(a[3]), "r"(b[1]));
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

DYNOFA_DEVICE float activate(activation act, float x) {
  if (act == activation::relu) return x > 0.f ? x : 0.f;
  if (act == activation::h_swish) {
    const float gate = x + 3.f;
    return x * (gate < 0.f ? 0.f : gate > 6.f ? 6.f : gate) * (1.f / 6.f);
  }
  return x;
}

DYNOFA_DEVICE float sum_over_warp(float x) {
  for (int mask = 16; mask > 0; mask /= 2) x += from_lane_xor(x, mask);
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

template <class T>
inline constexpr precision precision_of = sizeof(T) == 2 ? precision::fp16 : precision::fp32;

} // namespace dynofa::backend::cuda_detail
