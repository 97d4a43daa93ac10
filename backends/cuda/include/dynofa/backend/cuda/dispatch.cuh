#pragma once
#include "dynofa/backend/cuda/calibration.cuh"
#include "dynofa/backend/cuda/convolution.cuh"
#include "dynofa/backend/cuda/expand_depthwise.cuh"
#include "dynofa/backend/cuda/expand_pool.cuh"
#include "dynofa/backend/cuda/front.cuh"
#include "dynofa/backend/cuda/gate.cuh"
#include "dynofa/backend/cuda/pointwise.cuh"
#include "dynofa/backend/cuda/pooling.cuh"
#include "dynofa/backend/cuda/preprocess.cuh"

namespace dynofa::backend::cuda_detail {

/// Every (kernel size, stride) of a depthwise convolution, and every shape of a pointwise and of a convolution's
/// kernel:  #define X(kernel, stride) …
#define DYNOFA_FOR_EACH_DEPTHWISE(X) X(3, 1) X(3, 2) X(5, 1) X(5, 2) X(7, 1) X(7, 2)
#define DYNOFA_FOR_EACH_POINTWISE(X) X(pointwise_wide) X(pointwise_narrow) X(pointwise_deep) X(pointwise_deepest)

/// Calls `launch(kernel, arguments)` for the kernel of a step whose values are T.
template <class T, class Launch>
void dispatch_as(const step& s, Launch&& launch) {
  switch (s.kernel) {
  case kernel_id::front: launch(front<T>, s.front); break;
  case kernel_id::expand_depthwise:
#define DYNOFA_CASE(kernel, step_of)                                                                                   \
  if (s.depthwise_size == kernel && s.stride == step_of)                                                               \
    launch(expand_depthwise<T, kernel, step_of>, s.expand_depthwise);
    DYNOFA_FOR_EACH_DEPTHWISE(DYNOFA_CASE)
#undef DYNOFA_CASE
    break;
  case kernel_id::gate: launch(gate<T>, s.gate); break;
#define DYNOFA_CASE(id)                                                                                                \
  case kernel_id::id: launch(pointwise<T, kernel_id::id>, s.pointwise); break;
    DYNOFA_FOR_EACH_POINTWISE(DYNOFA_CASE)
#undef DYNOFA_CASE
  case kernel_id::vector: launch(vector_product<T>, s.pointwise); break;
  case kernel_id::expand_pool: launch(expand_pool<T>, s.expand_pool); break;
#define DYNOFA_CASE(id, ...)                                                                                           \
  case kernel_id::id: launch(convolution<T, kernel_id::id>, s.convolution); break;
    DYNOFA_FOR_EACH_CONVOLUTION(DYNOFA_CASE)
#undef DYNOFA_CASE
  case kernel_id::max_pool: launch(max_pool<T>, s.window); break;
  case kernel_id::average_pool: launch(average_pool<T>, s.window); break;
  case kernel_id::depthwise_alone: launch(depthwise_alone, s.depthwise_alone); break;
  case kernel_id::normalise: launch(normalise, s.normalise); break;
  case kernel_id::sum_channels: launch(sum_channels, s.sum_channels); break;
  case kernel_id::sum_parts: launch(sum_parts, s.sum_parts); break;
  case kernel_id::mean_pool: launch(mean_pool, s.mean_pool); break;
  case kernel_id::resize_rows: launch(resize_rows, s.picture); break;
  case kernel_id::resize_columns: launch(resize_columns, s.picture); break;
  case kernel_id::interpolate: launch(interpolate, s.picture); break;
  }
}

template <class Launch>
void dispatch(const step& s, Launch&& launch) {
  if (s.values == precision::fp16)
    dispatch_as<half>(s, launch);
  else
    dispatch_as<float>(s, launch);
}

/// Calls `visit(kernel)` for every kernel there is: to set attributes once.
template <class Visit>
void for_each_kernel(Visit&& visit) {
  auto of_type = [&](auto value) {
    using T = decltype(value);
    visit(front<T>), visit(gate<T>), visit(vector_product<T>), visit(expand_pool<T>);
    visit(max_pool<T>), visit(average_pool<T>);
#define DYNOFA_VISIT(id) visit(pointwise<T, kernel_id::id>);
    DYNOFA_FOR_EACH_POINTWISE(DYNOFA_VISIT)
#undef DYNOFA_VISIT
#define DYNOFA_VISIT(id, ...) visit(convolution<T, kernel_id::id>);
    DYNOFA_FOR_EACH_CONVOLUTION(DYNOFA_VISIT)
#undef DYNOFA_VISIT
#define DYNOFA_VISIT(kernel, step_of) visit(expand_depthwise<T, kernel, step_of>);
    DYNOFA_FOR_EACH_DEPTHWISE(DYNOFA_VISIT)
#undef DYNOFA_VISIT
  };
  of_type(half{});
  of_type(float{});
  visit(depthwise_alone), visit(normalise), visit(sum_channels), visit(sum_parts), visit(mean_pool);
  visit(resize_rows), visit(resize_columns), visit(interpolate);
}

} // namespace dynofa::backend::cuda_detail
