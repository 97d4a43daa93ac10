#pragma once
#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/kernel_table.hpp"

#include <cstddef>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// Mean and covariance of the channels of a batch, from which follow those of any 1×1 convolution of it: an output
/// Σ w·x has mean w·μ and variance w'Cw. For C inputs and M outputs that is C/2M of the convolution's arithmetic, and
/// its output, the widest tensor of a block, need not exist.
///
/// Channels are counted from an offset near their mean, so that little cancels in C; sums are fp32 over what one `add`
/// brings, doubles above. Parts are summed on any thread and put together in their order: the same bits whatever the
/// threads.
class input_covariance {
public:
  input_covariance() = default;
  /// For `parts` parts of at most `blocks` · 16 channels.
  input_covariance(std::size_t parts, int blocks)
      : parts_(parts)
      , memory_{(square(blocks) + floats_of(blocks)) * sizeof(float)} {}

  /// Forgets all parts; from now on `blocks` · 16 channels.
  void start(int blocks) {
    blocks_ = blocks;
    for (part& p : parts_) p.gram.resize(square(blocks)), p.sum.resize(floats_of(blocks)), p.empty = true;
  }

  /// centred [blocks][plane / 16][16], `pixels` of it, to part i. `scratch`: 256 · blocks² floats of the thread.
  void add(const kernel_table& k, std::size_t i, const float* centred, std::size_t plane, int pixels, float* scratch) {
    part& to = parts_[i];
    alignas(64) float sum[lane_block], unused[lane_block];
    for (int b = 0; b < blocks_; ++b) {
      k.moments(centred + static_cast<std::size_t>(b) * plane, pixels, sum, unused);
      for (std::size_t c = 0; c < lane_block; ++c)
        to.sum[floats_of(b) + c] = double(sum[c]) + (to.empty ? 0.0 : to.sum[floats_of(b) + c]);
    }
    k.gram({centred, plane, blocks_, pixels, scratch});
    const std::size_t panel = floats_of(blocks_) * lane_block;
    for (int b = 0; b < blocks_; ++b) {
      const std::size_t from = static_cast<std::size_t>(b) * panel, known = floats_of(b + 1) * lane_block;
      for (std::size_t j = from; j < from + known; ++j) to.gram[j] = double(scratch[j]) + (to.empty ? 0.0 : to.gram[j]);
    }
    to.empty = false;
  }

  /// The mean of all parts: offsets are what `add`'s input had been moved by. Before `combine`.
  void average(std::size_t parts, double pixels, const float* offset) {
    pixels_ = pixels, used_ = parts;
    moved_.assign(floats_of(blocks_), 0.0);
    float* const mean = this->mean();
    for (std::size_t c = 0; c < moved_.size(); ++c) {
      for (std::size_t i = 0; i < parts; ++i) moved_[c] += parts_[i].sum[c];
      moved_[c] /= pixels;
      mean[c] = static_cast<float>(moved_[c] - double(offset[c]));
    }
  }
  /// Columns of blocks [begin, end) and the rows that mirror them; threads share the blocks.
  void combine(int begin, int end) const {
    const std::size_t rows = floats_of(blocks_), panel = rows * lane_block;
    for (auto b = static_cast<std::size_t>(begin); b < static_cast<std::size_t>(end); ++b) {
      std::vector<double> total(floats_of(static_cast<int>(b) + 1) * lane_block, 0.0);
      for (std::size_t i = 0; i < used_; ++i)
        for (std::size_t j = 0; j < total.size(); ++j) total[j] += parts_[i].gram[b * panel + j];
      for (std::size_t k = 0; k < total.size() / lane_block; ++k)
        for (std::size_t l = 0; l < lane_block; ++l) {
          const std::size_t c = b * lane_block + l;
          const auto value = static_cast<float>(total[k * lane_block + l] / pixels_ - moved_[k] * moved_[c]);
          covariance()[b * panel + k * lane_block + l] = value;
          covariance()[k / lane_block * panel + c * lane_block + k % lane_block] = value;
        }
    }
  }

  /// [blocks][k = 16·blocks][16], symmetric: as weights are packed, and as activations lie.
  float* covariance() const { return memory_.as<float>(); }
  float* mean() const { return memory_.as<float>() + square(blocks_); }
  std::size_t plane() const { return floats_of(blocks_) * lane_block; }
  int blocks() const { return blocks_; }

  static std::size_t square(int blocks) { return floats_of(blocks) * floats_of(blocks); }
  std::size_t bytes() const { return memory_.size() * (1 + 2 * parts_.size()); }

private:
  struct part {
    std::vector<double> gram, sum; ///< [blocks][k][16], of it what k ≤ channel's block; per channel
    bool empty = true;
  };
  int blocks_ = 0;
  std::size_t used_ = 0;
  double pixels_ = 1;
  std::vector<part> parts_;
  std::vector<double> moved_; ///< mean of what `add` saw
  aligned_bytes memory_;
};

} // namespace dynofa::backend::cpu_detail
