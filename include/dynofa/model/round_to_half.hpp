#pragma once
#include "dynofa/core/half.hpp"
#include "dynofa/model/supernet.hpp"

#include <string>
#include <vector>

namespace dynofa {

/// The super-network with its matrices rounded to half precision: a family file of it has half the size. Batch norm,
/// biases and depthwise kernels (8 % of the weights) stay as they are. Calibrate and evaluate the rounded one: its hash
/// differs. Throws errc::unsupported for a weight beyond ±65504.
inline supernet round_to_half(supernet net) {
  visit_weights(net, [](const std::string& name, std::vector<float>& values, const shape_type& shape) {
    if (shape.size() != 2) return;
    for (float& v : values) v = half_to_float(weight_to_half(v, name));
  });
  return net;
}

} // namespace dynofa
