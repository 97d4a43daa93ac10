#pragma once
#include <cstddef>

namespace dynofa::backend::cpu_detail {

/// Weights that will be wanted soon, in the order in which they will be: the kernels fetch them into L2, a slice per
/// call, while they compute. One image reads 20–37 MB of weights, and half of them are used once per image: without
/// this the core waits for L3 or memory at the start of every chunk of channels.
class lookahead {
public:
  /// `rows` pieces of `bytes`, `step` bytes apart.
  void add(const void* start, std::size_t bytes, std::size_t step = 0, int rows = 1) {
    if (count_ < most && rows > 0 && bytes > 0)
      regions_[count_++] = {static_cast<const std::byte*>(start), bytes, step, rows};
  }
  /// The next piece, at most `size` bytes of it; null if nothing is left.
  const void* next(std::size_t size) {
    if (first_ == count_) return nullptr;
    region& r = regions_[first_];
    const std::byte* piece = r.start + done_;
    done_ += size;
    if (done_ >= r.bytes) {
      done_ = 0;
      r.start += r.step;
      if (--r.rows == 0) ++first_;
    }
    return piece;
  }
  /// How many calls of next(size) give something.
  int slices(std::size_t size) const {
    std::size_t n = 0;
    for (int i = first_; i < count_; ++i)
      n += static_cast<std::size_t>(regions_[i].rows) * ((regions_[i].bytes + size - 1) / size);
    return static_cast<int>(n);
  }

private:
  static constexpr int most = 4;
  struct region {
    const std::byte* start;
    std::size_t bytes, step;
    int rows;
  };
  region regions_[most] = {};
  int first_ = 0, count_ = 0;
  std::size_t done_ = 0;
};

} // namespace dynofa::backend::cpu_detail
