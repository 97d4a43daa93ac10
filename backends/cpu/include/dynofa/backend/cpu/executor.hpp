#pragma once

namespace dynofa::backend {

/// Threads that a caller brings: `run` calls task(context, i) for every i below `tasks`, on whatever threads and in
/// whatever order it likes, and returns when all are done. Tasks of one call never wait for each other.
struct executor {
  void* self = nullptr;
  void (*run)(void* self, int tasks, void (*task)(void* context, int index), void* context) = nullptr;
};

} // namespace dynofa::backend
