#pragma once

namespace dynofa_test {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DYNOFA_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DYNOFA_SANITIZED
#endif

/// `full`, or what a sanitizer's build, ten times as slow, does in the time.
#ifdef DYNOFA_SANITIZED
template <class T>
constexpr T unless_sanitized(T, T instead) {
  return instead;
}
#else
template <class T>
constexpr T unless_sanitized(T full, T) {
  return full;
}
#endif

} // namespace dynofa_test
