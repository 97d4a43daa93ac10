#pragma once
#include "dynofa/backend/cpu/aligned.hpp"
#include "dynofa/backend/cpu/bound_level.hpp"
#include "dynofa/backend/cpu/covariance.hpp"
#include "dynofa/backend/cpu/image_run.hpp"
#include "dynofa/backend/cpu/tiling.hpp"
#include "dynofa/backend/cpu/workspace.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dynofa::backend::cpu_detail {

/// Images that calibration works on together: activations [C/16][images·H·W][16].
struct image_group {
  std::size_t index;
  int first, images;
  std::vector<double> sum, square; ///< of the last convolution's channels
};

/// What a batch in the middle of a network needs, and how it is divided: into groups for the threads, and within a
/// image_group into what stays in L2.
struct calibration_memory {
  static constexpr int most_in_lot = 8;   ///< images
  static constexpr int gram_pixels = 512; ///< summed in fp32

  struct scratch {
    float *rows, *work, *gram, *a, *b;
    std::int32_t* row_offset;
  };
  /// How many panels of how many images are expanded at once.
  struct group {
    int panels, images;
  };

  float *ones = nullptr, *zeros = nullptr;
  float *scale = nullptr, *shift = nullptr;           ///< of the last batch norm
  float *stem_scale = nullptr, *stem_shift = nullptr; ///< of the first
  float* offset = nullptr;                            ///< minus the means of `now`, nearly
  float *means = nullptr, *variances = nullptr;       ///< of the last convolution
  std::size_t vectors = 0;                            ///< floats of each of these
  std::vector<scratch> own;                           ///< by thread
  std::vector<image_group> groups;
  std::size_t used = 0; ///< of them, for this batch
  input_covariance inputs;

  calibration_memory(const bound_level& l, std::size_t l2, int capacity, int threads)
      : l2_{l2} {
    std::size_t padded_rows = std::max(3 * arena_sizes::stem_row(l.plan.blocks[0].in_size), at(gram_pixels));
    std::size_t work = 0, tallest = 0;
    int input_blocks = 1;
    for (const step& s : l.steps) {
      const bool last = s.b.kind == block_kind::final_expand;
      narrow_ = std::max({narrow_, s.b.kind == block_kind::stem ? 0 : area(s.b.in_size) * at(s.in_blocks),
                          last ? 0 : area(s.b.out_size) * at(s.out_blocks)});
      vectors =
          std::max({vectors, at(s.in_blocks), at(s.mid_blocks), at(s.out_blocks), at(blocks_of(s.b.se_channels))});
      if (s.expand || last) {
        input_blocks = std::max(input_blocks, s.in_blocks);
        work = std::max({work, at(chunk_panels * s.in_blocks * lane_block), at(gram_pixels * s.in_blocks)});
      }
      if (last) work = std::max(work, area(s.b.in_size) * at(chunk_panels));
      if (s.b.mid_channels == 0) continue;
      wide_ = std::max(wide_, area(s.b.out_size) * at(s.mid_blocks));
      const group g = depthwise_group(s);
      padded_rows = std::max(padded_rows, row_of(s) * static_cast<std::size_t>(g.panels * g.images * s.b.in_size));
      work =
          std::max({work, at(chunk_panels * expanded_rows(s) * s.b.in_size), at(s.mid_blocks * projected_pixels(s))});
      tallest = std::max(tallest, static_cast<std::size_t>(s.b.in_size));
    }
    narrow_ = round(narrow_), wide_ = round(wide_);
    image_ = round(static_cast<std::size_t>(l.plan.blocks[0].in_values()));

    const auto images = static_cast<std::size_t>(capacity);
    batch_ = aligned_bytes{(image_ + 2 * narrow_ + wide_) * images * sizeof(float), false};
    float* cursor = batch_.as<float>();
    const auto take = [&](std::size_t floats) { return std::exchange(cursor, cursor + round(floats)); };
    input_ = take(image_ * images), now_ = take(narrow_ * images), next_ = take(narrow_ * images);
    raw_ = take(wide_ * images);

    const std::size_t gram = input_covariance::square(input_blocks);
    std::size_t per_thread = 0;
    for (const std::size_t s : {padded_rows, work, gram, 2 * round(vectors), tallest}) per_thread += round(s);
    small_ = aligned_bytes{(per_thread * static_cast<std::size_t>(threads) + 9 * round(vectors)) * sizeof(float)};
    cursor = small_.as<float>();
    for (float** v : {&ones, &zeros, &scale, &shift, &stem_scale, &stem_shift, &offset, &means, &variances})
      *v = take(vectors);
    std::fill_n(ones, vectors, 1.f);
    for (int t = 0; t < threads; ++t)
      own.push_back({take(padded_rows), take(work), take(gram), take(vectors), take(vectors),
                     reinterpret_cast<std::int32_t*>(take(tallest))});
    groups.resize(static_cast<std::size_t>(groups_of(capacity)));
    inputs = input_covariance{groups.size(), input_blocks};
  }

  /// The groups of a batch of `count` images.
  void arrange(int count) {
    used = static_cast<std::size_t>(groups_of(count));
    for (std::size_t i = 0; i < used; ++i) {
      const share images = share::of(count, static_cast<int>(i), static_cast<int>(used));
      groups[i].index = i, groups[i].first = images.begin, groups[i].images = images.end - images.begin;
    }
  }

  float* input(std::size_t n) const { return input_ + n * image_; }
  float* now(const image_group& l) const {
    return now_ + static_cast<std::size_t>(l.first) * narrow_;
  } ///< a block's input
  float* next(const image_group& l) const {
    return next_ + static_cast<std::size_t>(l.first) * narrow_;
  } ///< and its output
  float* raw(const image_group& l) const {
    return raw_ + static_cast<std::size_t>(l.first) * wide_;
  } ///< of a depthwise
  void turn_over() { std::swap(now_, next_); }

  group depthwise_group(const step& s) const {
    const std::size_t image = row_of(s) * static_cast<std::size_t>(s.b.in_size);
    const int images = static_cast<int>(l2_ / 2 / sizeof(float) / image), panels = std::clamp(images, 1, chunk_panels);
    return {panels, std::clamp(images / panels, 1, most_in_lot)};
  }
  /// Rows that one product expands.
  static int expanded_rows(const step& s) { return std::max(1, 128 / s.b.in_size); }
  /// Pixels that one product projects: of whole images where squeeze-excite wants them.
  int projected_pixels(const step& s) const {
    const auto fit = static_cast<int>(l2_ / 4 / sizeof(float) / at(s.mid_blocks));
    const auto image = static_cast<int>(area(s.b.out_size));
    return s.b.se_channels > 0 ? std::clamp(fit / image, 1, most_in_lot) * image : std::max(fit, 16);
  }
  /// A row of the depthwise convolution's input, with zeros on both sides.
  static std::size_t row_of(const step& s) { return at(s.b.in_size + s.b.kernel - 1); }

  static std::size_t at(int blocks) { return floats_of(blocks); }
  static std::size_t area(int size) { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }
  std::size_t bytes() const { return batch_.size() + small_.size() + inputs.bytes(); }

private:
  std::size_t l2_, narrow_ = 0, wide_ = 0, image_ = 0; ///< bytes; floats of an image's buffers
  aligned_bytes batch_, small_;
  float *input_ = nullptr, *now_ = nullptr, *next_ = nullptr, *raw_ = nullptr;

  static std::size_t round(std::size_t floats) { return (floats + 15) / 16 * 16; }
  /// A multiple of four where there are images enough, so that two or four threads have equal shares.
  static int groups_of(int images) { return std::min(images, ((images + most_in_lot - 1) / most_in_lot + 3) / 4 * 4); }
};

} // namespace dynofa::backend::cpu_detail
