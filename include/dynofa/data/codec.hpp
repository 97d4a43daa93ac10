#pragma once
#include "dynofa/core/error.hpp"

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <string_view>

// What the JPEG and the PNG reader share: limits, and a bridge over the longjmp by which both C libraries report
// errors.

namespace dynofa::data {

/// What a file may cost to decode: a few hostile bytes must take neither gigabytes nor minutes. A header that claims
/// more is refused before anything is allocated, and so is one whose picture the file is too short to hold.
struct decode_limits {
  std::int64_t pixels = 100'000'000; ///< height × width
  std::int64_t side = 65'535;        ///< height, width
  std::int64_t bytes = 512 << 20;    ///< of memory: the picture, and a progressive JPEG's coefficients
  int scans = 64;                    ///< of a progressive JPEG, each a pass over the picture; encoders write 4 to 30
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

/// `needed` is what decoding allocates; `fewest` is the least number of bytes that can hold a picture of this size.
inline void check_cost(const decode_limits& limits, std::string_view where, std::int64_t needed, std::int64_t fewest,
                       std::size_t file_size) {
  if (needed > limits.bytes)
    throw error(errc::bad_file, where, text("an image that ", limits.bytes, " bytes of memory suffice to decode"),
                text("one that takes ", needed));
  if (fewest > static_cast<std::int64_t>(file_size))
    throw error(errc::bad_file, where, text("at least ", fewest, " bytes for a picture of its size"),
                text(file_size, " bytes"));
}

} // namespace detail
} // namespace dynofa::data
