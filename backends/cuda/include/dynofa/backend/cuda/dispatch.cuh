#pragma once
#include "dynofa/backend/cuda/expand_depthwise.cuh"
#include "dynofa/backend/cuda/expand_pool.cuh"
#include "dynofa/backend/cuda/front.cuh"
#include "dynofa/backend/cuda/gate.cuh"
#include "dynofa/backend/cuda/pointwise.cuh"

namespace dynofa::backend::cuda_detail {

/// Every (kernel size, stride) of a depthwise convolution, and every shape of a pointwise kernel:  #define X(kernel,
/// stride) …
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
  auto of_type = [&]<class T>(T) {
    visit(front<T>), visit(gate<T>), visit(vector_product<T>), visit(expand_pool<T>);
#define DYNOFA_VISIT(id) visit(pointwise<T, kernel_id::id>);
    DYNOFA_FOR_EACH_POINTWISE(DYNOFA_VISIT)
#undef DYNOFA_VISIT
#define DYNOFA_VISIT(kernel, step_of) visit(expand_depthwise<T, kernel, step_of>);
    DYNOFA_FOR_EACH_DEPTHWISE(DYNOFA_VISIT)
#undef DYNOFA_VISIT
  };
  of_type(half{});
  of_type(float{});
}

} // namespace dynofa::backend::cuda_detail
