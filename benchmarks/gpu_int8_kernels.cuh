#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

#include <cstdint>
#include <type_traits>

// The kernels of bench_gpu_int8.cu. They are not fused. The expansion writes planes, a channel's pixels side by side,
// since dp4a takes four neighbouring bytes; the depthwise convolution reads planes and writes the channels side by
// side, as the projection multiplies them. Rows of a plane end in at least kernel/2 bytes of padding, which are the
// next row's left border too.

namespace bench {

using namespace dynofa;
using namespace dynofa::backend::cuda_detail;

namespace {

constexpr int threads = 128;

// --- From sums to codes ----------------------------------------------------------------------------------------------

/// As dynofa::code_line, and what makes Σ code · weight into Σ (code − zero) · weight.
struct alignas(16) channel_line {
  float scale, shift, bend, zero; ///< zero: the output's
  int bias;                       ///< minus the input's zero · Σ weights
  int zero_before;                ///< the input's, of this channel
  int unused[2];
};

/// The code is the low byte of the result's bits: adding 1.5 · 2²³ rounds to even as the rule does, and no conversion
/// is needed.
constexpr float rounder = 12582912.f;
constexpr int rounder_bits = 0x4B400000;
DYNOFA_DEVICE std::uint32_t code_bits(float x) { return __float_as_uint(fminf(fmaxf(x, 0.f), 255.f) + rounder) & 255; }
template <bool Swish>
DYNOFA_DEVICE std::uint32_t code_of(float sum, const channel_line& line) {
  const float y = __fmaf_rn(sum, line.scale, line.shift);
  return code_bits(Swish ? __fmaf_rn(y, __saturatef(__fmaf_rn(y, line.bend, .5f)), line.zero)
                         : fmaxf(y, 0.f) + line.zero);
}
template <class Work>
DYNOFA_DEVICE void with_swish(bool swish, Work work) {
  if (swish)
    work(std::true_type{});
  else
    work(std::false_type{});
}

// --- Tensor cores ----------------------------------------------------------------------------------------------------

/// c [16×8] += a [16×32] · b [32×8]; of a and b one is signed, the weights.
template <bool LeftIsWeights>
DYNOFA_DEVICE void multiply_bytes(int (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#define DYNOFA_BYTES(types)                                                                                            \
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32." types                                                          \
               ".s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                            \
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])                                                        \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
#define DYNOFA_TURING(types, row, depth)                                                                               \
  asm volatile("mma.sync.aligned.m8n8k16.row.col.s32." types ".s32 {%0,%1}, {%2}, {%3}, {%0,%1};"                      \
               : "+r"(c[2 * row]), "+r"(c[2 * row + 1])                                                                \
               : "r"(a[2 * depth + row]), "r"(depth ? b1 : b0))
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  if (LeftIsWeights)
    DYNOFA_BYTES("s8.u8");
  else
    DYNOFA_BYTES("u8.s8");
#else
  DYNOFA_UNROLL
  for (int row = 0; row < 2; ++row) DYNOFA_UNROLL
  for (int depth = 0; depth < 2; ++depth)
    if (LeftIsWeights)
      DYNOFA_TURING("s8.u8", row, depth);
    else
      DYNOFA_TURING("u8.s8", row, depth);
#endif
}
// --- Expansion and projection ----------------------------------------------------------------------------------------

struct product_args {
  const std::uint8_t* in; ///< [pixels][k]
  const std::int8_t* w;   ///< [n][k], k a multiple of 16
  const channel_line* lines;
  std::uint8_t* codes;  ///< expansion: [images][n][plane]; projection: [pixels][code_pitch], the next block's input
  half* out;            ///< of the projection, as are these: [pixels][n]
  const half* residual; ///< or null
  int k, n, pixels, code_pitch; ///< pixels: of all images, an expansion's with their padding
  int size, row_pitch, plane;   ///< of an expansion
  float next_inverse, next_zero;
  bool swish;
};
DYNOFA_DEVICE const half* as_halves(const unsigned char* bytes) { return reinterpret_cast<const half*>(bytes); }

/// Four warps, two by two, make a tile of Pixels × Channels; three stages of 64 inner values are in shared memory or on
/// their way. The left operand of the tensor cores is what shall not run fastest in the output. Grid: (tiles of
/// channels, tiles of pixels). Thread blocks that take several tiles, the next one's operands on their way, were no
/// quicker.
template <bool Expands, int Pixels, int Channels>
__global__ void __launch_bounds__(threads) product(const product_args p) {
  DYNOFA_SHARED(shared);
  constexpr int depth = 64, pitch = depth + 16, stages = 3, stage_bytes = (Pixels + Channels) * pitch;
  constexpr int left_rows = Expands ? Channels : Pixels, right_rows = Expands ? Pixels : Channels;
  constexpr int left_tiles = left_rows / 32, right_tiles = right_rows / 16;
  __shared__ __align__(4) std::uint8_t inside_of[Pixels]; // 255, or 0 for padding
  const int lane = thread_index() % 32, warp_left = thread_index() / 64, warp_right = thread_index() / 32 % 2;
  const int c0 = block_x() * Channels, p0 = block_y() * Pixels;
  const int own_row = thread_index() / 4, own_k = thread_index() % 4 * 16;

  auto fetch_weights = [&](int step) {
    const int k = step * depth + own_k;
    DYNOFA_UNROLL
    for (int i = 0; i < Channels; i += 32) {
      const bool inside = c0 + own_row + i < p.n && k < p.k;
      start_copy(shared + step % stages * stage_bytes + (Pixels + own_row + i) * pitch + own_k,
                 p.w + (inside ? (c0 + own_row + i) * p.k + k : 0), inside);
    }
  };
  const std::uint8_t* from[Pixels / 32];
  DYNOFA_UNROLL
  for (int i = 0; i < Pixels / 32; ++i) {
    const int own = p0 + own_row + 32 * i, image = Expands ? own / p.plane : 0, in_plane = own - image * p.plane;
    const int y = Expands ? in_plane / p.row_pitch : 0, x = in_plane - y * p.row_pitch;
    const bool inside = own < p.pixels && (!Expands || (y < p.size && x < p.size));
    from[i] =
        inside ? p.in + static_cast<std::int64_t>(Expands ? (image * p.size + y) * p.size + x : own) * p.k : nullptr;
    if (Expands && own_k == 0) inside_of[own_row + 32 * i] = inside ? 255 : 0;
  }
  auto fetch_pixels = [&](int step) {
    const int k = step * depth + own_k;
    DYNOFA_UNROLL
    for (int i = 0; i < Pixels / 32; ++i) {
      const bool inside = from[i] != nullptr && k < p.k;
      start_copy(shared + step % stages * stage_bytes + (own_row + 32 * i) * pitch + own_k, inside ? from[i] + k : p.in,
                 inside);
    }
  };

  const int steps = (p.k + depth - 1) / depth;
  let_next_start();
  for (int step = 0; step < stages - 1; ++step)
    if (step < steps) fetch_weights(step);
  wait_for_activations();
  for (int step = 0; step < stages - 1; ++step) {
    if (step < steps) fetch_pixels(step);
    end_copies();
  }
  int sums[left_tiles][right_tiles][4] = {};
  for (int step = 0; step < steps; ++step) {
    await_copies(stages - 2);
    block_barrier();
    if (step + stages - 1 < steps) fetch_weights(step + stages - 1), fetch_pixels(step + stages - 1);
    end_copies();
    const unsigned char* stage = shared + step % stages * stage_bytes;
    const unsigned char* left =
        stage + ((Expands ? Pixels : 0) + warp_left * left_rows / 2 + lane % 16) * pitch + lane / 16 * 16;
    const unsigned char* right =
        stage + ((Expands ? 0 : Pixels) + warp_right * right_rows / 2 + lane / 16 * 8 + lane % 8) * pitch +
        lane / 8 % 2 * 16;
    DYNOFA_UNROLL
    for (int k = 0; k < depth; k += 32) {
      if (step * depth + k >= p.k) break;
      std::uint32_t a[left_tiles][4], b[right_tiles / 2][4];
      DYNOFA_UNROLL
      for (int i = 0; i < left_tiles; ++i) load_matrices(as_halves(left + i * 16 * pitch + k), a[i]);
      DYNOFA_UNROLL
      for (int j = 0; j < right_tiles / 2; ++j) load_matrices(as_halves(right + j * 16 * pitch + k), b[j]);
      DYNOFA_UNROLL
      for (int i = 0; i < left_tiles; ++i) DYNOFA_UNROLL
      for (int j = 0; j < right_tiles; ++j)
        multiply_bytes<Expands>(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
  await_copies(0);
  block_barrier();

  // A lane has two neighbours of rows lane/4 and lane/4 + 8; through shared memory they become packets.
  const int first_left = warp_left * left_rows / 2 + lane / 4, first_right = warp_right * right_rows / 2 + lane % 4 * 2;
  if constexpr (Expands) {
    constexpr int tile_pitch = Pixels + 16;
    with_swish(p.swish, [&](auto swish) {
      DYNOFA_UNROLL
      for (int i = 0; i < 2 * left_tiles; ++i) {
        const int row = first_left + 8 * i;
        const channel_line line = p.lines[c0 + row < p.n ? c0 + row : 0];
        const std::uint32_t zeros = static_cast<std::uint32_t>(line.zero) * 0x101u;
        DYNOFA_UNROLL
        for (int j = 0; j < right_tiles; ++j) {
          const int own = first_right + 8 * j, *sum = sums[i / 2][j] + i % 2 * 2;
          const std::uint32_t inside = *reinterpret_cast<const std::uint16_t*>(inside_of + own);
          const std::uint32_t x = code_of<decltype(swish)::value>(static_cast<float>(sum[0] + line.bias), line);
          const std::uint32_t y = code_of<decltype(swish)::value>(static_cast<float>(sum[1] + line.bias), line);
          *reinterpret_cast<std::uint16_t*>(shared + row * tile_pitch + own) =
              static_cast<std::uint16_t>(((x | y << 8) & inside) | (zeros & ~inside));
        }
      }
    });
    block_barrier();
    for (int i = thread_index(); i < Channels * Pixels / 16; i += threads) {
      const int row = i / (Pixels / 16), column = i % (Pixels / 16) * 16, image = (p0 + column) / p.plane;
      if (c0 + row < p.n && p0 + column < p.pixels)
        store_packet(p.codes + (static_cast<std::int64_t>(image) * (p.n - 1) + c0 + row) * p.plane + p0 + column,
                     load_packet(shared + row * tile_pitch + column));
    }
  } else {
    constexpr int tile_pitch = Channels + 4, eights = Channels / 8;
    int* totals = reinterpret_cast<int*>(shared); // [Pixels][tile_pitch]
    DYNOFA_UNROLL
    for (int i = 0; i < 2 * left_tiles; ++i) DYNOFA_UNROLL
    for (int j = 0; j < right_tiles; ++j)
      *reinterpret_cast<int2*>(totals + (first_left + 8 * i) * tile_pitch + first_right + 8 * j) =
          *reinterpret_cast<const int2*>(sums[i / 2][j] + i % 2 * 2);
    block_barrier();
    const int own = thread_index() % eights * 8, n = c0 + own;
    if (n >= p.n) return;
    channel_line lines[8];
    DYNOFA_UNROLL
    for (int j = 0; j < 8; ++j) lines[j] = p.lines[n + j];
    for (int row = thread_index() / eights; row < Pixels && p0 + row < p.pixels; row += threads / eights) {
      const std::int64_t pixel = p0 + row;
      packet_view<half> before{p.residual != nullptr ? load_packet(p.residual + pixel * p.n + n) : zero_packet()};
      float values[8];
      std::uint32_t codes[2] = {0, 0};
      DYNOFA_UNROLL
      for (int j = 0; j < 8; ++j) {
        const auto sum = static_cast<float>(totals[row * tile_pitch + own + j] + lines[j].bias);
        values[j] = __fadd_rn(__fmaf_rn(sum, lines[j].scale, lines[j].shift), to_float(before.values[j]));
        codes[j / 4] |= code_bits(__fmaf_rn(values[j], p.next_inverse, p.next_zero)) << j % 4 * 8;
      }
      store_floats(values, p.out + pixel * p.n + n);
      *reinterpret_cast<uint2*>(p.codes + pixel * p.code_pitch + n) = make_uint2(codes[0], codes[1]);
    }
  }
}

// --- Depthwise convolution -------------------------------------------------------------------------------------------

struct plane_args {
  const std::uint32_t* in;   ///< [images][channels][plane_words]
  const std::uint32_t* taps; ///< rows of taps moved to where each of four outputs wants them, see `moved_taps`
  const std::int8_t* plain;  ///< [kernel²][channels]
  const channel_line* lines;
  std::uint8_t* out; ///< [images][out_size][out_size][out_pitch]
  int in_size, out_size, channels, row_words, plane_words, out_pitch, tile_rows;
  int shared_words; ///< of a channel: odd, so that the lanes of a warp meet all banks
  bool swish;
};

DYNOFA_DEVICE void start_word(std::uint32_t* to, const std::uint32_t* from) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
#else
  *to = *from;
#endif
}

/// Four neighbouring outputs look at so many words of a row, from the one before theirs on, and output o at the bytes
/// from lead + stride · o on.
constexpr int words_of_four(int stride) { return stride == 1 ? 3 : 4; }
constexpr int lead(int kernel) { return 4 - kernel / 2; }
constexpr bool meet(int kernel, int stride, int output, int word) {
  const int first = lead(kernel) + stride * output;
  return 4 * word + 3 >= first && 4 * word < first + kernel;
}

/// The rows that a tile looks at, of 32 channels, one word more at the front; beyond the image the code of zero.
template <int Kernel, int Stride>
DYNOFA_DEVICE void load_planes(const plane_args& p, std::uint32_t* planes) {
  const int first = (block_y() * p.tile_rows * Stride - Kernel / 2) * p.row_words - 1, end = p.in_size * p.row_words;
  const int count = ((p.tile_rows - 1) * Stride + Kernel) * p.row_words + 2;
  for (int c = thread_index() / 32; c < channel_chunk; c += threads / 32) {
    const int channel = block_x() * channel_chunk + c;
    if (channel >= p.channels) break;
    const std::uint32_t* from = p.in + (static_cast<std::int64_t>(block_z()) * p.channels + channel) * p.plane_words;
    const std::uint32_t zeros = static_cast<std::uint32_t>(p.lines[channel].zero_before) * 0x01010101u;
    std::uint32_t* to = planes + c * p.shared_words;
    for (int i = thread_index() % 32; i < count; i += 32)
      if (static_cast<unsigned>(first + i) < static_cast<unsigned>(end))
        start_word(to + i, from + first + i);
      else
        to[i] = zeros;
  }
  end_copies();
  await_copies(0);
  block_barrier();
}

/// A lane is a channel and makes 4×4 outputs at a time, by dp4a, two to three taps each, or with the bytes made floats
/// by as many multiply-adds as the fp16 kernel has. Sums stay below 2²², so both are exact. Grid: (chunks of 32
/// channels, tiles of rows, images).
///
/// Tried on an H200 and left out: thread blocks that take several tiles, the next one on its way (6 % slower); band
/// matrices of taps on the tensor cores, 16 rows × 8 columns of outputs at a time (1.6 to 2.1 times dp4a's time).
template <int Kernel, int Stride, bool Floats>
__global__ void __launch_bounds__(threads, 4) depthwise(const plane_args p) {
  DYNOFA_SHARED(shared);
  constexpr int rows = 4, words = words_of_four(Stride);
  auto* planes = reinterpret_cast<std::uint32_t*>(shared);
  const int lane = thread_index() % 32, channel = block_x() * channel_chunk + lane;
  const int own = channel < p.channels ? channel : 0;
  std::uint32_t taps[Floats ? 1 : Kernel][4][words];
  float values[Floats ? Kernel : 1][Kernel];
  DYNOFA_UNROLL
  for (int ky = 0; ky < Kernel; ++ky) {
    DYNOFA_UNROLL
    for (int i = 0; i < 4 * words && !Floats; ++i)
      if (meet(Kernel, Stride, i / words, i % words))
        taps[ky][i / words][i % words] = p.taps[(ky * 4 * words + i) * p.channels + own];
    DYNOFA_UNROLL
    for (int kx = 0; kx < Kernel && Floats; ++kx)
      values[ky][kx] = static_cast<float>(p.plain[(ky * Kernel + kx) * p.channels + own]);
  }
  const channel_line line = p.lines[own];
  let_next_start();
  wait_for_activations();
  load_planes<Kernel, Stride>(p, planes);
  if (channel >= p.channels) return;

  const int groups = (p.out_size + 3) / 4, first_row = block_y() * p.tile_rows;
  const int last = p.out_size - first_row < p.tile_rows ? p.out_size - first_row : p.tile_rows;
  with_swish(p.swish, [&](auto swish) {
    for (int task = thread_index() / 32; task < (last + rows - 1) / rows * groups; task += threads / 32) {
      const int y = task / groups * rows, x = task % groups * 4;
      const std::uint32_t* at = planes + lane * p.shared_words + y * Stride * p.row_words + x / 4 * Stride;
      int sums[rows][4];
      float floats[rows][4];
      DYNOFA_UNROLL
      for (int i = 0; i < 4 * rows; ++i)
        sums[i / 4][i % 4] = line.bias + rounder_bits, floats[i / 4][i % 4] = static_cast<float>(line.bias);
      DYNOFA_UNROLL
      for (int r = 0; r < (rows - 1) * Stride + Kernel; ++r) {
        std::uint32_t row[words];
        float bytes[3 * Stride + Kernel];
        DYNOFA_UNROLL
        for (int i = 0; i < words; ++i) row[i] = at[r * p.row_words + i];
        DYNOFA_UNROLL
        for (int i = 0; i < 3 * Stride + Kernel && Floats; ++i) { // 2²³ + byte, as bits, needs no conversion
          const int byte = lead(Kernel) + i;
          bytes[i] = __uint_as_float(__byte_perm(row[byte / 4], 0x4B000000u, 0x7440u + byte % 4)) - 8388608.f;
        }
        DYNOFA_UNROLL
        for (int out = 0; out < rows; ++out) {
          const int ky = r - out * Stride;
          if (ky < 0 || ky >= Kernel) continue;
          DYNOFA_UNROLL
          for (int o = 0; o < 4; ++o) {
            DYNOFA_UNROLL
            for (int i = 0; i < words && !Floats; ++i)
              if (meet(Kernel, Stride, o, i))
                asm("dp4a.u32.s32 %0, %1, %2, %0;" : "+r"(sums[out][o]) : "r"(row[i]), "r"(taps[ky][o][i]));
            DYNOFA_UNROLL
            for (int kx = 0; kx < Kernel && Floats; ++kx)
              floats[out][o] = __fmaf_rn(bytes[o * Stride + kx], values[ky][kx], floats[out][o]);
          }
        }
      }
      DYNOFA_UNROLL
      for (int out = 0; out < rows; ++out) DYNOFA_UNROLL
      for (int o = 0; o < 4; ++o) {
        if (first_row + y + out >= p.out_size || x + o >= p.out_size) continue;
        const float sum = Floats ? floats[out][o] : __int_as_float(sums[out][o]) - rounder;
        const int pixel = (block_z() * p.out_size + first_row + y + out) * p.out_size + x + o;
        p.out[static_cast<std::int64_t>(pixel) * p.out_pitch + channel] =
            static_cast<std::uint8_t>(code_of<decltype(swish)::value>(sum, line));
      }
    }
  });
}

struct copy_args {
  const std::uint8_t* from;
  std::uint8_t* to;
};
/// Four packets of a thread.
__global__ void __launch_bounds__(threads) copy(const copy_args p) {
  const std::int64_t first = (static_cast<std::int64_t>(block_x()) * 4 * threads + thread_index()) * 16;
  packet bits[4];
  DYNOFA_UNROLL
  for (int i = 0; i < 4; ++i) bits[i] = load_packet(p.from + first + i * threads * 16);
  DYNOFA_UNROLL
  for (int i = 0; i < 4; ++i) store_packet(p.to + first + i * threads * 16, bits[i]);
}

} // namespace

} // namespace bench
