#pragma once
#include <cstddef>

#if defined(__unix__)
#include <unistd.h>
#endif

namespace dynofa::backend::cpu_detail {

/// What one core has to itself, in bytes; where the system does not say, what most cores of the last ten years have.
struct caches {
  std::size_t l1 = 32 * 1024, l2 = 512 * 1024;
  bool shared_image = false; ///< several cores work on one image, and what one writes the others read
};

inline caches query_caches() {
  caches c;
#if defined(_SC_LEVEL1_DCACHE_SIZE) && defined(_SC_LEVEL2_CACHE_SIZE)
  if (const long l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE); l1 >= 8 * 1024) c.l1 = static_cast<std::size_t>(l1);
  if (const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE); l2 >= 64 * 1024) c.l2 = static_cast<std::size_t>(l2);
#endif
  return c;
}

} // namespace dynofa::backend::cpu_detail
