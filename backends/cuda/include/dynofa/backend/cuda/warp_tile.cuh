#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

/// A 32×32 tile of sums in the registers of one warp, 32 per lane: out[row][column] += Σ_k a[row][k] · b[column][k].
/// `value(i)` of a lane belongs to `row(i)`, `column(i)`; lanes of one `row_group()` (0 … 7) hold the same rows.
///
/// Both operands lie in shared memory with k running fastest and `operand_pitch` values from row to row. fp16 runs on
/// the tensor cores, fp32 as plain multiply-adds (TF32 would lose the tolerance of the golden data).
template <class T>
struct warp_tile;

template <>
struct warp_tile<half> {
  float sums[2][4][4] = {}; ///< [16 rows][8 columns][register of the fragment]

  DYNOFA_DEVICE float value(int i) const { return sums[i / 16][i % 16 / 4][i % 4]; }
  DYNOFA_DEVICE static int row_group() { return thread_index() % 32 / 4; }
  DYNOFA_DEVICE static int row(int i) { return i / 16 * 16 + i % 4 / 2 * 8 + row_group(); }
  DYNOFA_DEVICE static int column(int i) { return i % 16 / 4 * 8 + thread_index() % 4 * 2 + i % 2; }

  /// `depth`: a multiple of 16.
  DYNOFA_DEVICE void multiply(const half* a, int a_pitch, const half* b, int b_pitch, int depth) {
    const int group = row_group(), pair = thread_index() % 4 * 2;
    for (int k = 0; k < depth; k += 16) {
      std::uint32_t left[2][4], right[4][2];
      DYNOFA_UNROLL
      for (int m = 0; m < 2; ++m) DYNOFA_UNROLL
      for (int j = 0; j < 4; ++j)
        left[m][j] = pair_at(a + (m * 16 + group + j % 2 * 8) * a_pitch + k + pair + j / 2 * 8);
      DYNOFA_UNROLL
      for (int n = 0; n < 4; ++n) DYNOFA_UNROLL
      for (int j = 0; j < 2; ++j) right[n][j] = pair_at(b + (n * 8 + group) * b_pitch + k + pair + j * 8);
      DYNOFA_UNROLL
      for (int m = 0; m < 2; ++m) DYNOFA_UNROLL
      for (int n = 0; n < 4; ++n) multiply_fragments(sums[m][n], left[m], right[n]);
    }
  }

private:
  DYNOFA_DEVICE static std::uint32_t pair_at(const half* p) { return *reinterpret_cast<const std::uint32_t*>(p); }
};

template <>
struct warp_tile<float> {
  float sums[8][4] = {}; ///< [4 rows][8 columns]

  DYNOFA_DEVICE float value(int i) const { return sums[i / 4][i % 4]; }
  DYNOFA_DEVICE static int row_group() { return thread_index() % 32 / 8; }
  DYNOFA_DEVICE static int row(int i) { return i / 4 * 4 + row_group(); }
  DYNOFA_DEVICE static int column(int i) { return i % 4 * 8 + thread_index() % 8; }

  /// `depth`: a multiple of 4.
  DYNOFA_DEVICE void multiply(const float* a, int a_pitch, const float* b, int b_pitch, int depth) {
    for (int k = 0; k < depth; k += 4) {
      packet_view<float> right[4] = {at(b, b_pitch, 0, k), at(b, b_pitch, 1, k), at(b, b_pitch, 2, k),
                                     at(b, b_pitch, 3, k)};
      DYNOFA_UNROLL
      for (int r = 0; r < 8; ++r) {
        const packet_view<float> left{load_packet(a + (r * 4 + row_group()) * a_pitch + k)};
        DYNOFA_UNROLL
        for (int c = 0; c < 4; ++c) DYNOFA_UNROLL
        for (int j = 0; j < 4; ++j) sums[r][c] += left.values[j] * right[c].values[j];
      }
    }
  }

private:
  DYNOFA_DEVICE static packet_view<float> at(const float* b, int pitch, int c, int k) {
    return packet_view<float>{load_packet(b + (c * 8 + thread_index() % 8) * pitch + k)};
  }
};

} // namespace dynofa::backend::cuda_detail
