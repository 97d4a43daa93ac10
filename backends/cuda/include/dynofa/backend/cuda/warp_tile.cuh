#pragma once
#include "dynofa/backend/cuda/primitives.cuh"

namespace dynofa::backend::cuda_detail {

/// A 32×32 tile of sums in the registers of one warp: out[row][column] += Σ_k a[row][k] · b[column][k]. A lane holds
/// `rows` × `columns` of them: `value(r, c)` belongs to row `row(r)` and column `column(c)`.
///
/// Both operands lie in shared memory with k running fastest and `operand_pitch` values from row to row. fp16 runs on
/// the tensor cores, fp32 as plain multiply-adds (TF32 would lose the tolerance of the golden data).
template <class T>
struct warp_tile;

template <>
struct warp_tile<half> {
  static constexpr int rows = 4, columns = 8, row_groups = 8;

#if DYNOFA_CUDA_INSTRUCTIONS >= 750
  float sums[2][4][4] = {}; ///< [16 rows][8 columns][register of the fragment]

  DYNOFA_DEVICE float value(int r, int c) const { return sums[r / 2][c / 2][r % 2 * 2 + c % 2]; }
  DYNOFA_DEVICE static int row_group() { return thread_index() % 32 / 4; } ///< lanes of one group hold the same rows
  DYNOFA_DEVICE static int row(int r) { return r * 8 + row_group(); }
  DYNOFA_DEVICE static int column(int c) { return c / 2 * 8 + thread_index() % 4 * 2 + c % 2; }

  /// `depth`: a multiple of 16.
  DYNOFA_DEVICE void multiply(const half* a, int a_pitch, const half* b, int b_pitch, int depth) {
    const int lane = thread_index() % 32;
    const half* left_row = a + lane % 16 * a_pitch + lane / 16 * 8;
    const half* right_row = b + (lane / 16 * 8 + lane % 8) * b_pitch + lane / 8 % 2 * 8;
    for (int k = 0; k < depth; k += 16) {
      std::uint32_t left[2][4], right[2][4];
      DYNOFA_UNROLL
      for (int m = 0; m < 2; ++m) load_matrices(left_row + m * 16 * a_pitch + k, left[m]);
      DYNOFA_UNROLL
      for (int n = 0; n < 2; ++n) load_matrices(right_row + n * 16 * b_pitch + k, right[n]);
      DYNOFA_UNROLL
      for (int m = 0; m < 2; ++m) DYNOFA_UNROLL
      for (int n = 0; n < 4; ++n)
        multiply_fragments(sums[m][n], left[m], right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]);
    }
  }

#else // Volta: a quad pair, lanes 4q … 4q + 3 and 16 more, multiplies an 8×8 quarter of 16×16 outputs
  float sums[2][2][8] = {}; ///< [16 rows][16 columns][register of the fragment]

  DYNOFA_DEVICE float value(int r, int c) const { return sums[r / 2][c / 4][c % 4 / 2 * 4 + r % 2 * 2 + c % 2]; }
  DYNOFA_DEVICE static int lane() { return thread_index() % 32; }
  DYNOFA_DEVICE static int row_group() { return lane() / 16 * 4 + lane() / 4 % 2 * 2 + lane() % 2; }
  DYNOFA_DEVICE static int row(int r) {
    return r / 2 * 16 + lane() / 4 % 2 * 8 + lane() / 16 * 4 + r % 2 * 2 + lane() % 2;
  }
  DYNOFA_DEVICE static int column(int c) {
    return c / 4 * 16 + lane() / 8 % 2 * 8 + c % 4 / 2 * 4 + lane() / 2 % 2 * 2 + c % 2;
  }

  /// `depth`: a multiple of 8. A lane's operands are the packets of its own row and column as they lie.
  DYNOFA_DEVICE void multiply(const half* a, int a_pitch, const half* b, int b_pitch, int depth) {
    const int own = lane() / 16 * 4 + lane() % 4; // of a quarter's eight rows or columns
    const half* left_row = a + (lane() / 4 % 2 * 8 + own) * a_pitch;
    const half* right_row = b + (lane() / 8 % 2 * 8 + own) * b_pitch;
    for (int k = 0; k < depth; k += 8) {
      const packet left[2] = {load_packet(left_row + k), load_packet(left_row + 16 * a_pitch + k)};
      const packet right[2] = {load_packet(right_row + k), load_packet(right_row + 16 * b_pitch + k)};
      DYNOFA_UNROLL
      for (int four = 0; four < 4; four += 2) DYNOFA_UNROLL
      for (int m = 0; m < 2; ++m) DYNOFA_UNROLL
      for (int n = 0; n < 2; ++n)
        multiply_quads(sums[m][n], left[m].word[four], left[m].word[four + 1], right[n].word[four],
                       right[n].word[four + 1]);
    }
  }
#endif

  /// Writes the lane's values of one row.
  template <class To>
  DYNOFA_DEVICE static void store(To* row, const float (&values)[columns]) {
    DYNOFA_UNROLL
    for (int c = 0; c < columns; c += 2) store_pair(row + column(c), values[c], values[c + 1]);
  }
};

template <>
struct warp_tile<float> {
  static constexpr int rows = 8, columns = 4, row_groups = 4;
  float sums[rows][columns] = {};

  DYNOFA_DEVICE float value(int r, int c) const { return sums[r][c]; }
  DYNOFA_DEVICE static int row_group() { return thread_index() % 32 / 8; }
  DYNOFA_DEVICE static int row(int r) { return r * 4 + row_group(); }
  DYNOFA_DEVICE static int column(int c) { return c * 8 + thread_index() % 8; }
  DYNOFA_DEVICE static void store(float* row, const float (&values)[columns]) {
    DYNOFA_UNROLL
    for (int c = 0; c < columns; ++c) row[column(c)] = values[c];
  }

  /// `depth`: a multiple of 4.
  DYNOFA_DEVICE void multiply(const float* a, int a_pitch, const float* b, int b_pitch, int depth) {
    for (int k = 0; k < depth; k += 4) {
      const packet_view<float> right[columns] = {at(b, b_pitch, 0, k), at(b, b_pitch, 1, k), at(b, b_pitch, 2, k),
                                                 at(b, b_pitch, 3, k)};
      DYNOFA_UNROLL
      for (int r = 0; r < rows; ++r) {
        const packet_view<float> left{load_packet(a + row(r) * a_pitch + k)};
        DYNOFA_UNROLL
        for (int c = 0; c < columns; ++c) DYNOFA_UNROLL
        for (int j = 0; j < 4; ++j) sums[r][c] += left.values[j] * right[c].values[j];
      }
    }
  }

private:
  DYNOFA_DEVICE static packet_view<float> at(const float* b, int pitch, int c, int k) {
    return packet_view<float>{load_packet(b + column(c) * pitch + k)};
  }
};

/// Scale and shift of a lane's own columns, read once; zero beyond the last channel.
template <class T>
struct column_norms {
  static constexpr int columns = warp_tile<T>::columns;
  float scale[columns], shift[columns];

  DYNOFA_DEVICE column_norms(const float* scales, const float* shifts, int first, int channels) {
    DYNOFA_UNROLL
    for (int c = 0; c < columns; ++c) {
      const int channel = first + warp_tile<T>::column(c);
      scale[c] = channel < channels ? scales[channel] : 0.f;
      shift[c] = channel < channels ? shifts[channel] : 0.f;
    }
  }
  DYNOFA_DEVICE float operator()(int c, float x) const { return x * scale[c] + shift[c]; }
};

} // namespace dynofa::backend::cuda_detail
