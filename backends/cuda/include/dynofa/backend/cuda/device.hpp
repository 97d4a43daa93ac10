#pragma once
#include "dynofa/backend/cuda/step.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

// What the one CUDA translation unit (backends/cuda/cuda.cu) offers to the rest, free of CUDA's own headers. Handles
// are shared_ptr<void>: the last owner frees. Every failure of CUDA becomes a dynofa::error (errc::device) that names
// the call; running out of device memory too.

namespace dynofa::backend::cuda_detail {

struct device_info {
  int index = 0;
  std::string name;   ///< "NVIDIA H200"
  int capability = 0; ///< 90 for 9.0
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t shared_bytes = 0; ///< that one thread block may have at most
  bool integrated = false;      ///< in one memory with the CPU, as on a Jetson: nothing needs to be copied
  device_limits limits() const { return {shared_bytes, multiprocessors}; }
};

/// Readies device `index` for the kernels. Throws `error`, with the reason, if there is no such device or no driver.
device_info open_device(int index);

std::shared_ptr<void> device_memory(int device, std::size_t bytes, const char* purpose);
/// Of the host. A stream copies it without making the host wait, and kernels reach it at `device_address`.
std::shared_ptr<void> pinned_memory(int device, std::size_t bytes, const char* purpose);
std::byte* device_address(int device, void* pinned);

/// A queue of work. `urgent` ones go first where several networks share the GPU.
std::shared_ptr<void> make_stream(int device, bool urgent);
void synchronize(void* stream);

/// Copies that the stream orders; `from` or `to` on the host should be pinned. Where each lies its address tells.
void upload(void* to, const void* from, std::size_t bytes, void* stream);
void download(void* to, const void* from, std::size_t bytes, void* stream);

/// Launches the steps one by one.
void launch(const std::vector<step>& steps, void* stream);
/// The steps as one CUDA graph, ready to run on any stream of the device.
std::shared_ptr<void> capture(int device, const std::vector<step>& steps, void* stream);
void replay(void* graph, void* stream);

/// Milliseconds that the device took for `repeats` replays, by events, per replay.
double time_replays(void* graph, void* stream, int repeats);
/// The same of each step, launched `repeats` times within one graph: what the step adds to a level's graph.
std::vector<double> time_steps(int device, const std::vector<step>& steps, void* stream, int repeats);

} // namespace dynofa::backend::cuda_detail
