// The one translation unit that nvcc compiles: memory, streams, graphs and the launches of all kernels.
#include "dynofa/backend/cuda/device.hpp"
#include "dynofa/backend/cuda/dispatch.cuh"
#include "dynofa/backend/cuda/traffic.hpp"
#include "dynofa/core/error.hpp"

#include <cuda_runtime.h>

#include <string>
#include <vector>

namespace dynofa::backend::cuda_detail {

namespace {

void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess)
    throw error(errc::device, text("cuda, ", call), "success",
                text(cudaGetErrorName(status), ", ", cudaGetErrorString(status)));
}

/// Makes a device current for a scope: users may have several.
class current_device {
public:
  explicit current_device(int index)
      : index_{index} {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (index_ != before_) check(cudaSetDevice(index_), "cudaSetDevice");
  }
  ~current_device() {
    if (index_ != before_) cudaSetDevice(before_);
  }
  current_device(const current_device&) = delete;
  current_device& operator=(const current_device&) = delete;

private:
  int index_, before_ = 0;
};

/// What a stream's handle stands for. Launches, events and graphs want its device to be the current one.
struct device_stream {
  int device;
  cudaStream_t stream;
};
device_stream& of(void* handle) { return *static_cast<device_stream*>(handle); }
cudaStream_t stream_of(void* handle) { return of(handle).stream; }

class event {
public:
  event() { check(cudaEventCreate(&handle), "cudaEventCreate"); }
  ~event() { cudaEventDestroy(handle); }
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  cudaEvent_t handle = nullptr;
};

template <class Work>
double time_on(cudaStream_t stream, int repeats, Work&& work) {
  event begin, end;
  work(); // warm
  check(cudaEventRecord(begin.handle, stream), "cudaEventRecord");
  for (int i = 0; i < repeats; ++i) work();
  check(cudaEventRecord(end.handle, stream), "cudaEventRecord");
  check(cudaEventSynchronize(end.handle), "cudaEventSynchronize");
  float ms = 0;
  check(cudaEventElapsedTime(&ms, begin.handle, end.handle), "cudaEventElapsedTime");
  return static_cast<double>(ms) / repeats;
}

/// `overlap`: every kernel but the first may start while the one before it still runs (see wait_for_activations).
void launch_all(const std::vector<step>& steps, void* stream, bool overlap) {
  bool first = true;
  for (const step& s : steps)
    dispatch(s, [&](auto kernel, const auto& arguments) {
      cudaLaunchAttribute early{};
      early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
      early.val.programmaticStreamSerializationAllowed = 1;
      cudaLaunchConfig_t how{};
      how.gridDim = dim3(s.grid[0], s.grid[1], s.grid[2]);
      how.blockDim = dim3(static_cast<unsigned>(s.threads));
      how.dynamicSmemBytes = s.shared_bytes;
      how.stream = stream_of(stream);
      how.attrs = &early;
      how.numAttrs = overlap && !first ? 1 : 0;
      check(cudaLaunchKernelEx(&how, kernel, arguments),
            text("kernel ", kernel_name(s.kernel), " of block ", s.block).c_str());
      first = false;
    });
}

} // namespace

device_info open_device(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess)
    throw error(errc::device, "cuda backend", "a CUDA device", text("none (", cudaGetErrorString(status), ")"));
  if (index < 0 || index >= count)
    throw error(errc::device, "cuda backend", text("a device number below ", count), text(index));
  const current_device scope(index);
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  device_info info;
  info.index = index;
  info.name = properties.name;
  info.capability = properties.major * 10 + properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = properties.totalGlobalMem;
  info.shared_bytes = properties.sharedMemPerBlockOptin;
  info.integrated = properties.integrated != 0;
  if (info.capability < 70)
    throw error(errc::device, text("cuda backend on ", info.name), "compute capability 7.0 or newer",
                text(properties.major, ".", properties.minor));
  for_each_kernel([&](auto kernel) {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(info.shared_bytes - attributes.sharedSizeBytes)),
          "cudaFuncSetAttribute");
  });
  return info;
}

std::shared_ptr<void> device_memory(int device, std::size_t bytes, const char* purpose) {
  const current_device scope(device);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status != cudaSuccess)
    throw error(errc::device, "cuda backend", text(bytes, " bytes of device memory for ", purpose),
                cudaGetErrorString(status));
  return {memory, [](void* m) { cudaFree(m); }};
}

std::shared_ptr<void> pinned_memory(int device, std::size_t bytes, const char* purpose) {
  const current_device scope(device);
  void* memory = nullptr;
  const cudaError_t status = cudaHostAlloc(&memory, bytes, cudaHostAllocMapped);
  if (status != cudaSuccess)
    throw error(errc::device, "cuda backend", text(bytes, " bytes of pinned memory for ", purpose),
                cudaGetErrorString(status));
  return {memory, [](void* m) { cudaFreeHost(m); }};
}

std::byte* device_address(int device, void* pinned) {
  const current_device scope(device);
  void* address = nullptr;
  check(cudaHostGetDevicePointer(&address, pinned, 0), "cudaHostGetDevicePointer");
  return static_cast<std::byte*>(address);
}

std::shared_ptr<void> make_stream(int device, bool urgent) {
  const current_device scope(device);
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
  const auto destroy = [](device_stream* s) {
    if (s->stream != nullptr) cudaStreamDestroy(s->stream);
    delete s;
  };
  const std::shared_ptr<device_stream> made(new device_stream{device, nullptr}, destroy);
  check(cudaStreamCreateWithPriority(&made->stream, cudaStreamNonBlocking, urgent ? greatest : least),
        "cudaStreamCreateWithPriority");
  return made;
}

void synchronize(void* stream) { check(cudaStreamSynchronize(stream_of(stream)), "cudaStreamSynchronize"); }

void upload(void* to, const void* from, std::size_t bytes, void* stream) {
  const current_device scope(of(stream).device);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream)), "cudaMemcpyAsync to the device");
}
void download(void* to, const void* from, std::size_t bytes, void* stream) {
  const current_device scope(of(stream).device);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream)), "cudaMemcpyAsync from the device");
}

void launch(const std::vector<step>& steps, void* stream) {
  const current_device scope(of(stream).device);
  launch_all(steps, stream, false);
}

std::shared_ptr<void> capture(int device, const std::vector<step>& steps, void* stream) {
  const current_device scope(device);
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
  check(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    launch_all(steps, stream, major >= 9);
  } catch (...) {
    cudaStreamEndCapture(stream_of(stream), &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(stream_of(stream), &graph), "cudaStreamEndCapture");
  cudaGraphExec_t ready = nullptr;
  const cudaError_t status = cudaGraphInstantiateWithFlags(&ready, graph, 0); // the same in CUDA 11 to 13
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiateWithFlags");
  check(cudaGraphUpload(ready, stream_of(stream)), "cudaGraphUpload"); // so the first image pays nothing for it
  return {ready, [](void* g) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(g)); }};
}

void replay(void* graph, void* stream) {
  const current_device scope(of(stream).device);
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(stream)), "cudaGraphLaunch");
}

double time_replays(void* graph, void* stream, int repeats) {
  const current_device scope(of(stream).device);
  return time_on(stream_of(stream), repeats, [&] { replay(graph, stream); });
}
std::vector<double> time_steps(int device, const std::vector<step>& steps, void* stream, int repeats) {
  constexpr int replays = 5;
  std::vector<double> ms;
  for (const step& s : steps) {
    const std::vector<step> copies(static_cast<std::size_t>(repeats), s);
    const auto graph = capture(device, copies, stream);
    ms.push_back(time_replays(graph.get(), stream, replays) / repeats);
  }
  return ms;
}

} // namespace dynofa::backend::cuda_detail
