#pragma once
#include <cstdint>

// Read by nvcc too, in C++17.

namespace dynofa {

/// What follows a batch norm. A NaN stays NaN, so that a broken weight shows in the logits, on the reference, on the
/// CPU kernels of every instruction set and on the GPU. In int8 it becomes a code.
enum class activation : std::uint8_t {
  identity,  ///< x
  relu,      ///< max(x, 0)
  h_swish,   ///< x · relu6(x + 3) / 6
  h_sigmoid, ///< relu6(x + 3) / 6
  relu6,     ///< min(max(x, 0), 6)
};

} // namespace dynofa
