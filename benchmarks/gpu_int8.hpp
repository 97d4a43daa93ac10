#pragma once
#include "dynofa/core/block.hpp"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// What bench_gpu_int8.cu, which nvcc compiles, offers to gpu_int8.cpp: nvcc does not compile the headers of plans and
// sessions.

namespace bench {

/// An inverted residual in int8: expansion, depthwise convolution and projection with random weights, a launch each,
/// in several variants. Squeeze-excite is left out.
class int8_prototype {
public:
  int8_prototype(const dynofa::block& b, int batch);
  ~int8_prototype();

  /// Runs every variant of every part and compares it with plain loops on the host, bit by bit: what differs.
  std::vector<std::string> differences();

  /// ms.
  struct times {
    std::array<double, 3> parts = {}; ///< of the best variant of each
    std::array<std::string, 3> names;
    double dp4a = 1e9, floats = 1e9; ///< of the depthwise convolution
    double whole = 0;                ///< the three best, in one graph
  };
  /// Medians over `rounds`, everything in turn; `beside` is called once in each round of the whole block.
  times time(int rounds, const std::function<void()>& beside);

  /// Bytes that the three launches cannot avoid moving: their operands once.
  double least_bytes() const;

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// Bytes per ms that a large copy on the device reads and writes.
double copy_rate();

} // namespace bench
