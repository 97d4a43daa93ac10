#pragma once
#include "dynofa/backend/cuda/step.hpp"
#include "dynofa/core/half.hpp"

#include <ucontext.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

// What primitives.cuh takes from CUDA, on the CPU: every GPU thread is a fibre of one CPU thread, a barrier hands over
// to the next fibre. Slow and exact: it lets the conformance tests run the real kernels where there is no GPU, with the
// sanitizers watching every access to shared and global memory.

#define DYNOFA_KERNEL inline void
#define DYNOFA_DEVICE inline
#define DYNOFA_GRID_CONSTANT
#define DYNOFA_UNROLL
#define DYNOFA_UNROLL_8
#define DYNOFA_SHARED(name) unsigned char* const name = ::dynofa::backend::cuda_detail::emulated().shared.data()

namespace dynofa::backend::cuda_detail {

struct half {
  std::uint16_t bits;
};

/// One thread block at a time.
class emulated_block {
public:
  std::vector<unsigned char> shared;
  int thread = 0, threads = 0;
  std::array<int, 3> block{}, grid{};

  /// Runs `body` on every thread of every block.
  void launch(std::array<int, 3> blocks, int threads_of_block, std::size_t shared_bytes,
              const std::function<void()>& body) {
    grid = blocks;
    threads = threads_of_block;
    waits_.fill(wait::end);
    body_ = &body;
    for (block[2] = 0; block[2] < grid[2]; ++block[2])
      for (block[1] = 0; block[1] < grid[1]; ++block[1])
        for (block[0] = 0; block[0] < grid[0]; ++block[0]) {
          shared.assign(shared_bytes, 0xFF); // NaN: reading what nobody wrote shows
          run_block();
        }
  }

  enum class wait { nothing, warp, block, end };
  void pause(wait what) {
    const int me = thread;
    waits_[std::size_t(me)] = what;
    swapcontext(&fibres_[std::size_t(me)], &scheduler_);
  }

  /// Everybody in the warp sees what everybody put.
  template <class T>
  const T* exchange(const T& mine) {
    static std::array<T, most_threads> values;
    pause(wait::warp); // nobody still reads the last exchange
    values[std::size_t(thread)] = mine;
    pause(wait::warp);
    return values.data() + thread / 32 * 32;
  }

private:
  static constexpr std::size_t stack_bytes = 256 * 1024;
  const std::function<void()>* body_ = nullptr;
  ucontext_t scheduler_{};
  std::array<ucontext_t, most_threads> fibres_{};
  std::array<wait, most_threads> waits_{};
  std::vector<char> stacks_ = std::vector<char>(stack_bytes * most_threads);

  static void enter();

  void run_block() {
    for (int t = 0; t < threads; ++t) {
      auto& fibre = fibres_[std::size_t(t)];
      getcontext(&fibre);
      fibre.uc_stack.ss_sp = stacks_.data() + stack_bytes * std::size_t(t);
      fibre.uc_stack.ss_size = stack_bytes;
      fibre.uc_link = &scheduler_;
      makecontext(&fibre, &emulated_block::enter, 0);
      waits_[std::size_t(t)] = wait::nothing;
    }
    for (bool running = true; running;) {
      for (thread = 0; thread < threads; ++thread)
        if (waits_[std::size_t(thread)] == wait::nothing) swapcontext(&scheduler_, &fibres_[std::size_t(thread)]);
      running = release();
    }
  }

  /// Lets those go on whose barrier is complete; finished threads count as arrived. False when all have finished.
  bool release() {
    bool all_done = true, block_complete = true;
    for (const wait w : waits_) {
      all_done = all_done && w == wait::end;
      block_complete = block_complete && (w == wait::block || w == wait::end);
    }
    for (std::size_t first = 0; first < std::size_t(threads); first += 32) {
      bool warp_complete = true;
      for (std::size_t t = first; t < first + 32; ++t)
        warp_complete = warp_complete && (waits_[t] == wait::warp || waits_[t] == wait::end);
      for (std::size_t t = first; t < first + 32; ++t)
        if ((warp_complete && waits_[t] == wait::warp) || (block_complete && waits_[t] == wait::block))
          waits_[t] = wait::nothing;
    }
    return !all_done;
  }
};

inline emulated_block& emulated() {
  static emulated_block one;
  return one;
}
inline void emulated_block::enter() {
  (*emulated().body_)();
  emulated().waits_[std::size_t(emulated().thread)] = wait::end;
}

inline int thread_index() { return emulated().thread; }
inline int block_threads() { return emulated().threads; }
inline int block_x() { return emulated().block[0]; }
inline int block_y() { return emulated().block[1]; }
inline int block_z() { return emulated().block[2]; }
inline int blocks_x() { return emulated().grid[0]; }
inline int blocks_y() { return emulated().grid[1]; }
inline void let_next_start() {}
inline void wait_for_activations() {}
inline void block_barrier() { emulated().pause(emulated_block::wait::block); }
inline void warp_barrier() { emulated().pause(emulated_block::wait::warp); }
inline float from_lane_xor(float x, int mask) { return emulated().exchange(x)[(thread_index() % 32) ^ mask]; }

inline float saturate(float x) { return x > 0.f ? x < 1.f ? x : 1.f : 0.f; } // NaN becomes 0, as CUDA has it
inline float max_of_zero(float x) { return x < 0.f ? 0.f : x; }
inline float to_float(half h) { return half_to_float(h.bits); }
inline void from_float(float x, half& to) { to.bits = float_to_half(x); }

inline void load_pair(const half* from, float& x, float& y) { x = to_float(from[0]), y = to_float(from[1]); }
inline void store_pair(half* to, float x, float y) { from_float(x, to[0]), from_float(y, to[1]); }
inline std::uint32_t multiply_halves(std::uint32_t a, std::uint32_t b) {
  auto product = [&](int shift) -> std::uint32_t {
    return float_to_half(half_to_float(static_cast<std::uint16_t>(a >> shift)) *
                         half_to_float(static_cast<std::uint16_t>(b >> shift)));
  };
  return product(0) | product(16) << 16;
}

struct float4 {
  float x, y, z, w;
};
inline void device_fence() {}
inline std::uint32_t count_one(std::uint32_t* counter) { return (*counter)++; }
inline float4 load_from_others(const float* from) { return {from[0], from[1], from[2], from[3]}; }

/// Copies to shared memory happen as late as CUDA allows, in `await_copies`: who forgets to wait sees it.
struct late_copies {
  struct copy {
    void* to;
    const void* from;
    bool inside;
  };
  std::vector<copy> started;
  std::deque<std::vector<copy>> groups;
};
inline late_copies& own_copies() {
  static std::array<late_copies, most_threads> of_threads;
  return of_threads[std::size_t(thread_index())];
}
inline void start_copy(void* to, const void* from, bool inside) { own_copies().started.push_back({to, from, inside}); }
inline void start_copy_again(void* to, const void* from, bool inside) { start_copy(to, from, inside); }
inline void end_copies() {
  own_copies().groups.push_back(std::move(own_copies().started));
  own_copies().started.clear();
}
inline void await_copies(int left) {
  auto& groups = own_copies().groups;
  for (; groups.size() > std::size_t(left); groups.pop_front())
    for (const auto& c : groups.front())
      if (c.inside)
        std::memcpy(c.to, c.from, 16);
      else
        std::memset(c.to, 0, 16);
}

#if DYNOFA_CUDA_INSTRUCTIONS >= 750
inline void load_matrices(const half* row, std::uint32_t (&to)[4]) {
  const half* const* rows = emulated().exchange(row);
  const int lane = thread_index() % 32;
  for (int i = 0; i < 4; ++i) {
    const half* pair = rows[i * 8 + lane / 4] + lane % 4 * 2;
    to[i] = pair[0].bits | std::uint32_t(pair[1].bits) << 16;
  }
}

/// The register layout of mma.m16n8k16 (PTX ISA, "Matrix fragments for mma.m16n8k16"): group = lane / 4, pair = lane %
/// 4; a = rows (group, group + 8) × k (2·pair, 2·pair + 8), b = k × column group, c = rows × columns 2·pair.
inline void multiply_fragments(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  struct fragments {
    std::uint32_t a[4], b[2];
  };
  const fragments* lanes = emulated().exchange(fragments{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  auto half_of = [](std::uint32_t pair, int which) {
    return half_to_float(static_cast<std::uint16_t>(pair >> (16 * which)));
  };
  const int group = thread_index() % 32 / 4, pair = thread_index() % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = group + i / 2 * 8, column = pair * 2 + i % 2;
    for (int k = 0; k < 16; ++k) {
      const fragments& left = lanes[row % 8 * 4 + k % 8 / 2];
      const fragments& right = lanes[column * 4 + k % 8 / 2];
      c[i] += half_of(left.a[row / 8 + k / 8 * 2], k % 2) * half_of(right.b[k / 8], k % 2);
    }
  }
}
#else
/// The register layout of mma.m8n8k4 (PTX ISA, "Matrix fragments for mma.m8n8k4"): lanes 4q … 4q + 3 and 16 more are
/// quad pair q; a lane has row and column lane % 4, of those 16 more 4 further; c = rows lane % 2 (+ 2) × columns
/// lane / 2 % 2 · 2 (+ 1, + 4, + 5), the rows of those 16 more 4 further.
inline void multiply_quads(float (&c)[8], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0, std::uint32_t b1) {
  struct fragments {
    std::uint32_t a[2], b[2];
  };
  const fragments* lanes = emulated().exchange(fragments{{a0, a1}, {b0, b1}});
  auto half_of = [](const std::uint32_t(&pairs)[2], int k) {
    return half_to_float(static_cast<std::uint16_t>(pairs[k / 2] >> (16 * (k % 2))));
  };
  const int lane = thread_index() % 32, quad = lane % 16 / 4 * 4;
  for (int i = 0; i < 8; ++i) {
    const int row = lane % 2 + i / 2 % 2 * 2 + lane / 16 * 4, column = i / 4 * 4 + lane / 2 % 2 * 2 + i % 2;
    const fragments &left = lanes[quad + row % 4 + row / 4 * 16], &right = lanes[quad + column % 4 + column / 4 * 16];
    for (int k = 0; k < 4; ++k) c[i] += half_of(left.a, k) * half_of(right.b, k);
  }
}
#endif

} // namespace dynofa::backend::cuda_detail
