#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dynofa::backend::cpu_detail {

/// Bytes, zeroed, on a cache-line boundary; from 2 MiB on in huge pages where the system grants them, since one image
/// streams 20–40 MB of weights and would miss the TLB every 4 KiB.
class aligned_bytes {
public:
  aligned_bytes() = default;
  /// Unless `zeroed`, what is there is not told, and pages come in when they are first written.
  explicit aligned_bytes(std::size_t size, bool zeroed = true)
      : size_{size} {
    if (size == 0) return;
    constexpr std::size_t huge = std::size_t(2) << 20;
    const std::size_t alignment = size >= huge ? huge : 64;
    const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded)));
    if (!data_) throw std::bad_alloc{};
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (alignment == huge) (void)madvise(data_.get(), rounded, MADV_HUGEPAGE); // a wish; refused, nothing changes
#endif
    if (zeroed) std::memset(data_.get(), 0, rounded);
  }

  std::size_t size() const { return size_; }
  template <class T>
  T* as(std::size_t byte = 0) const {
    return reinterpret_cast<T*>(data_.get() + byte);
  }

private:
  struct release {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, release> data_;
  std::size_t size_ = 0;
};

} // namespace dynofa::backend::cpu_detail
