// Would int8 be quicker than the CUDA backend's fp16 kernels, which instructions bound in a batch? Prototypes of the
// three parts of an inverted residual by the int8 rule (model/byte_rule.hpp): their operands, their launches, what they
// should compute, and their times. gpu_int8.cpp asks and prints; the kernels are in gpu_int8_kernels.cuh.
#include "dynofa/backend/cuda/device.hpp"
#include "dynofa/core/error.hpp"

#include <cuda_runtime.h>

#include "gpu_int8.hpp"
#include "gpu_int8_kernels.cuh"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

namespace bench {

namespace {

using bytes = std::vector<std::uint8_t>;
using weights = std::vector<std::int8_t>;

void check(cudaError_t status, std::string_view what) {
  if (status != cudaSuccess) throw error(errc::device, text("cuda, ", what), "success", cudaGetErrorString(status));
}
int round_up(int x, int to) { return (x + to - 1) / to * to; }
std::size_t at(int row, int pitch, int column = 0) {
  return std::size_t(row) * std::size_t(pitch) + std::size_t(column);
}

/// Memory of the device, with what was put there.
template <class T>
struct operand {
  std::size_t size;
  std::vector<T> host;
  std::shared_ptr<void> memory;
  explicit operand(std::size_t values)
      : size{values}
      , memory{device_memory(0, size * sizeof(T), "an operand")} {
    clear();
  }
  explicit operand(std::vector<T> values)
      : operand(values.size()) {
    host = std::move(values);
    check(cudaMemcpy(device(), host.data(), size * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  T* device() const { return static_cast<T*>(memory.get()); }
  void clear() { check(cudaMemset(device(), 0xEE, size * sizeof(T)), "cudaMemset"); }
  /// The first fault, or nothing.
  std::string difference(const std::vector<T>& wanted) const {
    std::vector<T> found(size);
    check(cudaMemcpy(found.data(), device(), size * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    for (std::size_t i = 0; i < size; ++i)
      if (std::memcmp(&found[i], &wanted[i], sizeof(T)) != 0)
        return text(" value ", i, " is ", static_cast<float>(found[i]), " instead of ", static_cast<float>(wanted[i]));
    return {};
  }
};

/// The same 16 MB again and again: drawing more takes longer than measuring.
bytes random_bytes(std::size_t size) {
  static const bytes drawn = [] {
    bytes some((16 << 20) - 3);
    std::uint32_t x = 1;
    for (auto& b : some) x = x * 1664525u + 1013904223u, b = static_cast<std::uint8_t>(x >> 24);
    return some;
  }();
  bytes all(size);
  for (std::size_t i = 0; i < size; i += drawn.size())
    std::memcpy(all.data() + i, drawn.data(), std::min(drawn.size(), size - i));
  return all;
}
std::vector<half> random_halves(std::size_t size) {
  std::vector<half> values;
  for (const std::uint8_t x : random_bytes(size)) values.push_back(__float2half((x - 128) / 64.f));
  return values;
}
/// [rows][pitch], never −128, zeros behind `columns`.
weights random_weights(int rows, int columns, int pitch) {
  const bytes drawn = random_bytes(at(rows, columns));
  weights w(at(rows, pitch));
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c)
      w[at(r, pitch, c)] = static_cast<std::int8_t>(std::max(-127, drawn[at(r, columns, c)] - 128));
  return w;
}
/// `products` weights of channel c are every step-th from c · channel_step on. Random codes and weights deviate by 74,
/// so these lines make codes of the whole range. A zero below 0 is the channel's own.
std::vector<channel_line> lines_of(const weights& w, int channels, int products, int channel_step, int step, int zero) {
  std::vector<channel_line> lines;
  for (int c = 0; c < channels; ++c) {
    int sum = 0;
    for (int i = 0; i < products; ++i) sum += w[std::size_t(c * channel_step + i * step)];
    const int before = zero < 0 ? c % 7 : zero;
    const float scale = 60 / (74 * 74 * std::sqrt(float(products)));
    lines.push_back({scale, float(c % 41 - 9), .004f, float(c % 7), -before * sum, before, {}});
  }
  return lines;
}
/// [kernel][4 outputs][words][channels]: a word holds the taps that meet its bytes.
std::vector<std::uint32_t> moved_taps(const block& b, const weights& taps) {
  const int words = words_of_four(b.stride), of_channel = b.kernel * 4 * words;
  std::vector<std::uint32_t> all(at(of_channel, b.mid_channels));
  for (int i = 0; i < of_channel; ++i)
    for (int byte = 0; byte < 4; ++byte) {
      const int ky = i / words / 4, kx = i % words * 4 + byte - lead(b.kernel) - b.stride * (i / words % 4);
      for (int c = 0; c < b.mid_channels && kx >= 0 && kx < b.kernel; ++c)
        all[at(i, b.mid_channels, c)] |= std::uint32_t(std::uint8_t(taps[at(ky * b.kernel + kx, b.mid_channels, c)]))
                                         << 8 * byte;
    }
  return all;
}

struct variant {
  std::string name;
  std::function<void(cudaStream_t)> launch;
};

/// As the backend launches within its graphs: a kernel may start while the one before ends.
template <class Arguments>
variant variant_of(std::string name, void (*kernel)(Arguments), dim3 grid, int shared_bytes, Arguments a) {
  int major = 0, most_bytes = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&most_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), "cudaDeviceGetAttribute");
  // All kernels alike, lest launches wait until the cache has been divided anew.
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared),
        "cudaFuncSetAttribute");
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most_bytes - 1024),
        "cudaFuncSetAttribute");
  return {std::move(name), [=](cudaStream_t stream) {
            cudaLaunchAttribute early{};
            early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
            early.val.programmaticStreamSerializationAllowed = 1;
            cudaLaunchConfig_t how{};
            how.gridDim = grid, how.blockDim = dim3(threads);
            how.dynamicSmemBytes = std::size_t(shared_bytes);
            how.stream = stream, how.attrs = &early, how.numAttrs = major >= 9 ? 1 : 0;
            check(cudaLaunchKernelEx(&how, kernel, a), "cudaLaunchKernelEx");
          }};
}
template <bool Expands, int Pixels, int Channels>
variant product_of(const product_args& a) {
  const int stages = 3 * (Pixels + Channels) * 80, totals = Pixels * (Channels + 4) * 4;
  const dim3 grid(unsigned((a.n + Channels - 1) / Channels), unsigned((a.pixels + Pixels - 1) / Pixels));
  return variant_of(text(Pixels, "x", Channels), product<Expands, Pixels, Channels>, grid, std::max(stages, totals), a);
}
template <bool Expands>
std::vector<variant> products_of(const product_args& a) {
  return {product_of<Expands, 128, 64>(a), product_of<Expands, 128, 32>(a), product_of<Expands, 64, 32>(a),
          product_of<Expands, 32, 32>(a)};
}
template <int Kernel, int Stride>
std::vector<variant> depthwise_of(plane_args a, int images) {
  std::vector<variant> all;
  int before = 0;
  for (const int kilobytes : {72, 56, 44, 36, 26}) { // tiles as high as fit
    for (a.tile_rows = round_up(a.out_size, 4);; a.tile_rows -= 4) {
      a.shared_words = (((a.tile_rows - 1) * Stride + Kernel) * a.row_words + 10) | 1;
      if (a.shared_words * 128 <= kilobytes << 10 || a.tile_rows == 4) break;
    }
    if (a.tile_rows == std::exchange(before, a.tile_rows)) continue;
    const dim3 grid(unsigned(a.channels + 31) / 32, unsigned((a.out_size + a.tile_rows - 1) / a.tile_rows),
                    unsigned(images));
    all.push_back(variant_of("dp4a", depthwise<Kernel, Stride, false>, grid, a.shared_words * 128, a));
    all.push_back(variant_of("floats", depthwise<Kernel, Stride, true>, grid, a.shared_words * 128, a));
  }
  return all;
}
template <int Stride>
std::vector<variant> depthwise_of_stride(int kernel, const plane_args& a, int images) {
  return kernel == 3   ? depthwise_of<3, Stride>(a, images)
         : kernel == 5 ? depthwise_of<5, Stride>(a, images)
                       : depthwise_of<7, Stride>(a, images);
}

} // namespace

struct int8_prototype::parts {
  static constexpr int in_zero = 100;
  static constexpr float next_inverse = 0.5f;
  block b;
  int batch, k, mid, row_pitch, plane, out_pitch, pixels; ///< k, mid: pitches of the inner dimensions
  bool swish;
  operand<std::uint8_t> in, expanded, projected, codes;
  operand<half> residual, out;
  operand<std::int8_t> expand, taps, project;
  operand<channel_line> lines[3];
  operand<std::uint32_t> moved;
  std::vector<variant> variants[3];

  parts(const block& of, int images)
      : b{of}
      , batch{images}
      , k{round_up(b.in_channels, 16)}
      , mid{round_up(b.mid_channels, 16)}
      , row_pitch{round_up(b.in_size + b.kernel / 2, 4)}
      , plane{round_up(b.in_size * row_pitch, 16)}
      , out_pitch{round_up(b.out_channels, 16)}
      , pixels{batch * b.out_size * b.out_size}
      , swish{b.act == activation::h_swish}
      , in(random_bytes(at(batch * b.in_size * b.in_size, k)))
      , expanded(at(batch * b.mid_channels, plane))
      , projected(at(pixels, mid))
      , codes(at(pixels, out_pitch))
      , residual(random_halves(b.residual ? at(pixels, b.out_channels) : 0))
      , out(at(pixels, b.out_channels))
      , expand(random_weights(b.mid_channels, b.in_channels, k))
      , taps(random_weights(b.kernel * b.kernel, b.mid_channels, b.mid_channels))
      , project(random_weights(b.out_channels, b.mid_channels, mid))
      , lines{operand(lines_of(expand.host, b.mid_channels, k, k, 1, in_zero)),
              operand(lines_of(taps.host, b.mid_channels, b.kernel * b.kernel, 1, b.mid_channels, -1)),
              operand(lines_of(project.host, b.out_channels, mid, mid, 1, 3))}
      , moved(moved_taps(b, taps.host)) {
    product_args p{};
    p.in = in.device(), p.w = expand.device(), p.lines = lines[0].device(), p.codes = expanded.device();
    p.k = k, p.n = b.mid_channels, p.size = b.in_size, p.row_pitch = row_pitch, p.plane = plane, p.swish = swish;
    p.pixels = batch * plane;
    variants[0] = products_of<true>(p);
    plane_args d{};
    d.in = reinterpret_cast<const std::uint32_t*>(expanded.device()), d.taps = moved.device(), d.plain = taps.device();
    d.lines = lines[1].device(), d.out = projected.device(), d.in_size = b.in_size, d.out_size = b.out_size;
    d.channels = b.mid_channels, d.row_words = row_pitch / 4, d.plane_words = plane / 4, d.out_pitch = mid;
    d.swish = swish;
    variants[1] =
        b.stride == 1 ? depthwise_of_stride<1>(b.kernel, d, batch) : depthwise_of_stride<2>(b.kernel, d, batch);
    p.in = projected.device(), p.w = project.device(), p.lines = lines[2].device(), p.codes = codes.device();
    p.out = out.device(), p.residual = b.residual ? residual.device() : nullptr, p.k = mid, p.n = b.out_channels;
    p.pixels = pixels, p.code_pitch = out_pitch, p.next_inverse = next_inverse, p.next_zero = in_zero;
    variants[2] = products_of<false>(p);
  }

  // The three parts on the host: a sum of integers, then the rule's line.

  static std::uint8_t rounded(float x) { return std::uint8_t(std::nearbyint(std::min(255.f, std::max(0.f, x)))); }
  std::uint8_t code(int sum, const channel_line& l) const {
    const float y = std::fma(float(sum), l.scale, l.shift);
    return rounded(swish ? std::fma(y, std::min(1.f, std::max(0.f, std::fma(y, l.bend, .5f))), l.zero)
                         : std::max(0.f, y) + l.zero);
  }
  static int dot(const std::uint8_t* codes_of, const std::int8_t* w, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) sum += codes_of[i] * w[i];
    return sum;
  }
  bytes expanded_on_host() const {
    bytes all(expanded.size);
    for (int i = 0; i < batch * b.mid_channels; ++i)
      for (int v = 0; v < plane; ++v) {
        const int c = i % b.mid_channels, y = v / row_pitch, x = v % row_pitch;
        const channel_line& l = lines[0].host[std::size_t(c)];
        const std::size_t pixel = at((i / b.mid_channels * b.in_size + y) * b.in_size + x, k);
        all[at(i, plane, v)] = y < b.in_size && x < b.in_size
                                   ? code(dot(&in.host[pixel], &expand.host[at(c, k)], k) + l.bias, l)
                                   : std::uint8_t(l.zero);
      }
    return all;
  }
  bytes projected_on_host(const bytes& from) const {
    bytes all(projected.size, 0xEE); // nobody writes the bytes behind the last channel
    for (int pixel = 0; pixel < pixels; ++pixel)
      for (int c = 0; c < b.mid_channels; ++c) {
        const channel_line& l = lines[1].host[std::size_t(c)];
        const int area = b.out_size * b.out_size, image = pixel / area;
        int sum = 0;
        for (int tap = 0; tap < b.kernel * b.kernel; ++tap) {
          const int y = pixel % area / b.out_size * b.stride + tap / b.kernel - b.kernel / 2;
          const int x = pixel % b.out_size * b.stride + tap % b.kernel - b.kernel / 2;
          if (y >= 0 && x >= 0 && y < b.in_size && x < b.in_size)
            sum += (from[at(image * b.mid_channels + c, plane, y * row_pitch + x)] - l.zero_before) *
                   taps.host[at(tap, b.mid_channels, c)];
        }
        all[at(pixel, mid, c)] = code(sum, l);
      }
    return all;
  }
  std::pair<std::vector<half>, bytes> out_on_host(const bytes& from) const {
    std::pair<std::vector<half>, bytes> all{out.size, bytes(codes.size, 0xEE)};
    for (int pixel = 0; pixel < pixels; ++pixel)
      for (int c = 0; c < b.out_channels; ++c) {
        const channel_line& l = lines[2].host[std::size_t(c)];
        const float before = b.residual ? __half2float(residual.host[at(pixel, b.out_channels, c)]) : 0.f;
        const int sum = dot(&from[at(pixel, mid)], &project.host[at(c, mid)], mid) + l.bias;
        const float value = std::fma(float(sum), l.scale, l.shift) + before;
        all.first[at(pixel, b.out_channels, c)] = __float2half_rn(value);
        all.second[at(pixel, out_pitch, c)] = rounded(std::fma(value, next_inverse, float(in_zero)));
      }
    return all;
  }
};

int8_prototype::int8_prototype(const block& b, int batch)
    : parts_{std::make_unique<parts>(b, batch)} {}
int8_prototype::~int8_prototype() = default;

std::vector<std::string> int8_prototype::differences() {
  parts& p = *parts_;
  std::vector<std::string> faults;
  const bytes expanded = p.expanded_on_host(), projected = p.projected_on_host(expanded);
  const auto [halves, codes] = p.out_on_host(projected);
  for (int part = 0; part < 3; ++part)
    for (const variant& one : p.variants[part]) {
      if (part == 0) p.expanded.clear();
      if (part == 1) p.projected.clear();
      if (part == 2) p.codes.clear(), p.out.clear();
      one.launch(nullptr);
      check(cudaDeviceSynchronize(), one.name);
      const std::string fault = part == 0   ? p.expanded.difference(expanded)
                                : part == 1 ? p.projected.difference(projected)
                                            : p.codes.difference(codes) + p.out.difference(halves);
      if (!fault.empty()) faults.push_back(text("part ", part, ", ", one.name, ":", fault));
    }
  return faults;
}

namespace {

/// Twenty runs of some launches in one graph, as the backend times its blocks.
class timed_graph {
public:
  static constexpr int runs = 20;
  timed_graph(cudaStream_t stream, const std::vector<variant>& launches)
      : stream_{stream} {
    check(cudaEventCreate(&begin_), "cudaEventCreate"), check(cudaEventCreate(&end_), "cudaEventCreate");
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    for (int i = 0; i < runs; ++i)
      for (const variant& one : launches) one.launch(stream);
    check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    check(cudaGraphInstantiate(&ready_, graph, 0), "cudaGraphInstantiate");
    cudaGraphDestroy(graph);
    check(cudaGraphLaunch(ready_, stream), "cudaGraphLaunch"); // warm
  }
  timed_graph(const timed_graph&) = delete;
  timed_graph& operator=(const timed_graph&) = delete;
  ~timed_graph() { cudaGraphExecDestroy(ready_), cudaEventDestroy(begin_), cudaEventDestroy(end_); }
  void run() {
    float ms = 0;
    check(cudaEventRecord(begin_, stream_), "cudaEventRecord");
    check(cudaGraphLaunch(ready_, stream_), "cudaGraphLaunch");
    check(cudaEventRecord(end_, stream_), "cudaEventRecord");
    check(cudaEventSynchronize(end_), "a kernel");
    check(cudaEventElapsedTime(&ms, begin_, end_), "cudaEventElapsedTime");
    all_.push_back(double(ms) / runs);
  }
  double median_ms() const {
    std::vector<double> sorted = all_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }

private:
  cudaStream_t stream_;
  cudaGraphExec_t ready_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  std::vector<double> all_;
};

cudaStream_t own_stream() {
  static const cudaStream_t stream = [] {
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return made;
  }();
  return stream;
}

} // namespace

int8_prototype::times int8_prototype::time(int rounds, const std::function<void()>& beside) {
  times t;
  std::vector<variant> best;
  for (std::size_t part = 0; part < 3; ++part) {
    std::vector<std::unique_ptr<timed_graph>> graphs;
    for (const variant& one : parts_->variants[part])
      graphs.push_back(std::make_unique<timed_graph>(own_stream(), std::vector{one}));
    for (int i = 0; i < rounds; ++i)
      for (const auto& graph : graphs) graph->run();
    std::size_t least = 0;
    for (std::size_t i = 0; i < graphs.size(); ++i) {
      const std::string& name = parts_->variants[part][i].name;
      const double ms = graphs[i]->median_ms();
      if (ms < graphs[least]->median_ms()) least = i;
      if (part == 1) (name == "dp4a" ? t.dp4a : t.floats) = std::min(ms, name == "dp4a" ? t.dp4a : t.floats);
    }
    best.push_back(parts_->variants[part][least]);
    t.parts[part] = graphs[least]->median_ms(), t.names[part] = best.back().name;
  }
  timed_graph whole(own_stream(), best);
  for (int i = 0; i < rounds; ++i) whole.run(), beside();
  t.whole = whole.median_ms();
  return t;
}

double int8_prototype::least_bytes() const {
  const parts& p = *parts_;
  return double(p.in.size + p.expand.size + p.moved.size * 4 + p.project.size + p.codes.size) +
         2 * double(p.expanded.size + p.projected.size + p.out.size + p.residual.size);
}

double copy_rate() {
  const operand<std::uint8_t> from(std::size_t(1) << 30), to(std::size_t(1) << 30);
  timed_graph kernel(own_stream(), {variant_of("copy", copy, dim3(unsigned(from.size / 16 / threads / 4)), 0,
                                               copy_args{from.device(), to.device()})});
  for (int i = 0; i < 5; ++i) kernel.run();
  return 2. * double(from.size) / kernel.median_ms();
}

} // namespace bench
