#pragma once
#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// What a batch in the middle of a network needs when whole tensors are kept: 8.4 MB a picture for ResNet-50D at 224.
struct whole_memory {
  /// One of every picture, [C/16][pixels][16].
  struct tensors {
    float* first = nullptr;
    std::size_t step = 0;
    float* of(int n) const { return first + static_cast<std::size_t>(n) * step; }
  };
  struct scratch {
    float *rows, *work, *a, *b;
    std::int32_t* row_offset;
  };

  tensors image;                        ///< [r,r,3], kept: a batch that failed may be tried again
  tensors now;                          ///< what the block reads; while a shortcut is normalised, its raw output
  tensors raw;                          ///< of the block's last convolution but a shortcut's
  tensors mid;                          ///< of its k×k convolution, where another follows
  float *scale[4] = {}, *shift[4] = {}; ///< of the block's batch norms
  std::size_t vectors = 0;              ///< floats of each of these
  std::vector<scratch> own;             ///< by thread

  whole_memory(const bound_level& l, std::size_t l2, int capacity, int threads)
      : l2_{l2} {
    std::size_t rows = 0, work = 0, tallest = 0, outer = 0, inner = 0;
    const std::size_t values = round(static_cast<std::size_t>(l.plan.blocks[0].in_values()));
    for (const step& s : l.steps) {
      const block& b = s.b;
      const std::size_t in = area(b.in_size), out = area(b.out_size);
      const bool pools = b.kind == block_kind::final_expand;
      vectors = std::max({vectors, at(s.in_blocks), at(s.mid_blocks), at(s.out_blocks), at(blocks_of(b.se_channels))});
      outer = std::max({outer, b.kind == block_kind::stem ? 0 : in * at(s.in_blocks),
                        (pools ? in : out) * at(s.out_blocks), s.expand ? in * at(s.mid_blocks) : 0});
      if (b.kind == block_kind::stem) rows = std::max(rows, 3 * arena_sizes::stem_row(b.in_size));
      if (b.has_dense()) rows = std::max(rows, s.tiles.ring_floats);
      if (s.depthwise) rows = std::max(rows, at(b.in_size + b.kernel - 1) * static_cast<std::size_t>(b.in_size));
      tallest = std::max(tallest, static_cast<std::size_t>(b.in_size));
      if (b.mid_channels == 0) continue;
      inner = std::max({inner, out * at(s.mid_blocks), b.projects_shortcut() ? out * at(s.in_blocks) : 0});
      const int run = run_of(b.mid_channels, b.se_channels > 0 ? static_cast<int>(out) : 1);
      work = std::max(work, static_cast<std::size_t>(run) * at(s.mid_blocks));
    }
    outer = round(outer), inner = round(inner);
    const auto pictures = static_cast<std::size_t>(capacity);
    batch_ = aligned_bytes{(values + 2 * outer + inner) * pictures * sizeof(float), false};
    float* cursor = batch_.as<float>();
    const auto take = [&](std::size_t floats) { return std::exchange(cursor, cursor + round(floats)); };
    image = {take(values * pictures), values}, now = {take(outer * pictures), outer},
    raw = {take(outer * pictures), outer}, mid = {take(inner * pictures), inner};

    const std::size_t per_thread = round(rows) + round(work) + 2 * round(vectors) + round(tallest);
    small_ = aligned_bytes{(per_thread * static_cast<std::size_t>(threads) + 8 * round(vectors)) * sizeof(float)};
    cursor = small_.as<float>();
    for (float*& v : scale) v = take(vectors);
    for (float*& v : shift) v = take(vectors);
    for (int t = 0; t < threads; ++t)
      own.push_back(
          {take(rows), take(work), take(vectors), take(vectors), reinterpret_cast<std::int32_t*>(take(tallest))});
    sums_ = aligned_bytes{2 * vectors * pictures * sizeof(double)};
  }

  /// Sums of picture n by channel, and `vectors` behind them those of squares.
  double* sums(int n) const { return sums_.as<double>() + 2 * vectors * static_cast<std::size_t>(n); }
  void turn_over() { std::swap(now, raw); }

  /// Pixels that one product of k channels takes: what fits in a part of L2, but enough that reading the weights costs
  /// little, and multiples of `whole`.
  int run_of(int k, int whole) const {
    const auto fit = static_cast<int>(l2_ / 4 / sizeof(float) / at(blocks_of(k)));
    return std::max(1, std::max(fit, 128) / whole) * whole;
  }
  /// Of the output of convolution i of a block.
  static int size_of(const step& s, int i) {
    const bool before = s.b.kind == block_kind::final_expand || (s.expand && i == 0);
    return before ? s.b.in_size : s.b.out_size;
  }

  static std::size_t at(int blocks) { return floats_of(blocks); }
  static std::size_t area(int size) { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }
  std::size_t bytes() const { return batch_.size() + small_.size() + sums_.size(); }

private:
  std::size_t l2_;
  aligned_bytes batch_, small_, sums_;

  static std::size_t round(std::size_t floats) { return (floats + 15) / 16 * 16; }
};

} // namespace dynofa::backend::cpu_detail
