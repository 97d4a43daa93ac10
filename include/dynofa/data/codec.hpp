#pragma once
#include "dynofa/core/error.hpp"

#include <csetjmp>
#include <cstdint>
#include <string_view>

// What the JPEG and the PNG reader share: limits, and a bridge over the longjmp by which both C libraries report
// errors.

namespace dynofa::data {

/// What a header may claim before anything is allocated: a few hostile bytes must not cost gigabytes.
struct decode_limits {
  std::int64_t pixels = 100'000'000; ///< height × width
  std::int64_t side = 65'535;        ///< height, width
};

namespace detail {

/// Runs `step(state)` and says whether it came to its end; `std::longjmp(state.jump, 1)` inside it ends it early.
///
/// A jump over an object with a destructor is undefined, so a step is a plain function whose locals are all trivial;
/// what needs a destructor lives in `state`, and what throws runs between two steps.
template <class State>
bool completes(State& state, void (*step)(State&)) {
  if (setjmp(state.jump) != 0) return false;
  step(state);
  return true;
}

inline void check_size(const decode_limits& limits, std::string_view where, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > limits.side || width > limits.side || height > limits.pixels / width)
    throw error(errc::bad_file, where,
                text("an image of at most ", limits.pixels, " pixels and ", limits.side, " per side"),
                text("a header that says ", width, "×", height));
}

} // namespace detail
} // namespace dynofa::data
