#pragma once
#include <atomic>
#include <cerrno>
#include <cstddef>

// Counts every way to the heap, and closes it for one allocation if asked to: the C functions are replaced where the C
// library lets us (glibc keeps the originals under __libc_ names), and with them operator new, which calls malloc.
// Sanitizers bring their own and are left alone: then SUPPORT_COUNTS_ALLOCATIONS is 0. For one source file of a
// program.
#ifdef SUPPORT_COUNTS_ALLOCATIONS // said by a build that links a sanitizer into what was compiled without
#elif defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SUPPORT_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef SUPPORT_COUNTS_ALLOCATIONS
#define SUPPORT_COUNTS_ALLOCATIONS 1
#endif
#else
#define SUPPORT_COUNTS_ALLOCATIONS 0
#endif

namespace support {
inline std::atomic<long> allocations{0};
inline std::atomic<long> refused_allocation{0}; ///< the number of the one that finds no memory; 0: none
/// Counts one, and says whether there is memory for it; errno says the same, as the C library asserts.
inline bool allow_allocation() {
  if (++allocations != refused_allocation) return true;
  errno = ENOMEM;
  return false;
}
} // namespace support

#if SUPPORT_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) { return support::allow_allocation() ? __libc_malloc(n) : nullptr; }
void* calloc(std::size_t n, std::size_t m) { return support::allow_allocation() ? __libc_calloc(n, m) : nullptr; }
void* realloc(void* p, std::size_t n) { return support::allow_allocation() ? __libc_realloc(p, n) : nullptr; }
void* memalign(std::size_t a, std::size_t n) { return support::allow_allocation() ? __libc_memalign(a, n) : nullptr; }
void* aligned_alloc(std::size_t a, std::size_t n) {
  return support::allow_allocation() ? __libc_memalign(a, n) : nullptr;
}
int posix_memalign(void** p, std::size_t a, std::size_t n) {
  return support::allow_allocation() && (*p = __libc_memalign(a, n)) ? 0 : ENOMEM;
}
}
#endif
