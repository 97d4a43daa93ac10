#pragma once
#include "dynofa/core/feature_map.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/plan.hpp"
#include "dynofa/model/supernet.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dynofa {

/// What a type must offer to run sub-networks: the whole interface between the library and a device.
///
/// A backend works on *blocks* (core/block.hpp), so it may fuse whatever lies inside one. It owns no weights and no
/// activations itself. Copies of a backend share state (threads, a stream), and what one copy has made the others can
/// use. Three kinds of object are made by it:
///
///  * `packed`    the super-network in the backend's own layout, made once and shared by all levels
///                (`shared_ptr<const>`). `source()` is the fingerprint of the super-network it was made from.
///  * `bound`     one level: its `plan`, a member that anybody may read, pointers into `packed`, and its batch-norm
///                scale and shift. Making one may allocate; running one may not. Movable.
///  * `workspace` the activations of one stream of images, big enough for any of the plans it was made for. Two threads
///                may run levels at once if each has its own workspace. Movable.
///
/// Activations are float NHWC at this interface, whatever a device uses inside. `session` checks sizes, owners and
/// indices before it calls; a backend may take them as right. Operations:
///
///  * `pack(net)` → `shared_ptr<const packed>`; throws `dynofa::error` for weights it cannot hold
///  * `bind(packed, plan, scale_shift)` → `bound`; throws `dynofa::error` for a plan of another space or one that reads
///    what was not packed, for scales and shifts of another number than the plan's channels, and for batches,
///    activations or widths that the device cannot run. Batches of 1 must run.
///  * `make_workspace(plans)` → `workspace` that fits every plan of the span
///  * `run(bound, workspace, image, logits)`: image [N,r,r,3] → logits [N,classes]; allocates nothing, throws nothing
///    on a CPU, blocks until the logits are there. The same input gives the same bits.
///  * `run_block(bound, workspace, b, in, out)`: block b alone, in [N,in,in,C] → out [N,out,out,C'], for tests and for
///    profiling; `in` and `out` are host memory and do not overlap
///  * `time_block(bound, workspace, b, repeats)` → milliseconds per run of block b on whatever activations the
///    workspace holds, without the transfers that `run_block` makes
///  * `time_run(bound, workspace, repeats)` → the same for the whole network, by the device's own clock if it has one
///    (`backend::timed_by_host` gives both by the host's)
///  * `name()` → "cpu avx512, 2 threads": goes into tables and reports
///
/// A backend may offer more, which is used where it is there:
///
///  * `pack(net, plans)` → what these plans read of the super-network, and no more; `bind` throws for other plans
///  * `pack(net, format)` and `pack(net, plans, format)` → the same in a number format by name, "int8", and
///    `format_name()`, the name of the one that `pack(net)` gives: levels of several formats then run side by side
///  * `prepare(bound, workspace)` does what would make the first run on this workspace slower than the next
///  * `fits(workspace, plan)`: whether a workspace is big enough for a plan that it was not made for
///  * `map(bound, workspace, i, n)` → feature_map: map i of image n of the last run, where it lies. A session refuses
///    plans that name maps (`with_maps`) on backends without it.
///  * `download(map, out)`: a map in a device's memory → out [size,size,channels] on the host
///  * `isa_name()`, `thread_count()`: for the header of a latency table
template <class B>
concept inference_backend = requires(B& backend, const supernet_ptr& net, const plan& p, const scale_shift& norms,
                                     std::size_t block, int repeats, std::shared_ptr<const typename B::packed> packed,
                                     typename B::bound& level, typename B::workspace& space, std::span<const float> in,
                                     std::span<float> out) {
  requires std::copy_constructible<B>;
  requires std::movable<typename B::bound> && std::movable<typename B::workspace>;
  { backend.name() } -> std::convertible_to<std::string>;
  { backend.pack(net) } -> std::convertible_to<std::shared_ptr<const typename B::packed>>;
  { backend.bind(packed, p, norms) } -> std::same_as<typename B::bound>;
  { backend.make_workspace(std::span<const plan>(&p, 1)) } -> std::same_as<typename B::workspace>;
  backend.run(level, space, in, out);
  backend.run_block(level, space, block, in, out);
  { backend.time_block(level, space, block, repeats) } -> std::convertible_to<double>;
  { backend.time_run(level, space, repeats) } -> std::convertible_to<double>;
  { packed->source() } -> std::convertible_to<std::uint64_t>;
  { packed->bytes() } -> std::convertible_to<std::size_t>; // of packed weights
  { level.plan } -> std::convertible_to<const plan&>;
  { level.bytes() } -> std::convertible_to<std::size_t>; // that one more level costs
  { space.bytes() } -> std::convertible_to<std::size_t>;
};

/// A backend that packs in number formats by name.
template <class B>
concept packs_formats = requires(const B& backend, const supernet_ptr& net, const std::string& format) {
  { backend.pack(net, format) } -> std::convertible_to<std::shared_ptr<const typename B::packed>>;
  { backend.format_name() } -> std::convertible_to<std::string>;
};

/// The super-network packed in a number format, "" for the backend's own; of a backend that can tell, only what `plans`
/// read, where they are given. Throws errc::unsupported for a format by name on a backend that knows none.
template <inference_backend Backend>
std::shared_ptr<const typename Backend::packed> pack_for(Backend& backend, const supernet_ptr& net,
                                                         std::optional<std::span<const plan>> plans,
                                                         const std::string& format = "") {
  constexpr bool tells_parts = requires { backend.pack(net, *plans); };
  if (format.empty()) {
    if constexpr (tells_parts)
      if (plans) return backend.pack(net, *plans);
    return backend.pack(net);
  }
  if constexpr (packs_formats<Backend>) {
    if constexpr (requires { backend.pack(net, *plans, format); })
      if (plans) return backend.pack(net, *plans, format);
    return backend.pack(net, format);
  } else
    throw error(errc::unsupported, "number format",
                text("a backend that packs ", printable(format), ", or no level in it"), std::string(backend.name()));
}

namespace backend {

/// Sum and sum of squares of every channel of one convolution's output, over all pixels of a batch.
struct channel_sums {
  std::vector<double> sum, square; ///< one per channel
  double pixels = 0;               ///< that were summed per channel
};

/// A batch of images in the middle of a network, convolution by convolution:
///
///  * `load(n, image)`: image [r,r,3] becomes picture n of the batch
///  * `convolve(b, i, count)`: convolution i of block b on pictures 0 … count − 1 → sums of its raw output, the same
///    bits on any number of threads
///  * `normalise(b, i, scale, shift)`: batch norm, activation and, in their places, squeeze-excite and residual
///  * `logits(n, out)`: after the last norm: pool, feature mix and classifier of picture n; `bytes()` of memory
template <class C>
concept calibration_batch = requires(C& c, std::size_t i, int count, std::span<const float> in, std::span<float> out) {
  c.load(i, in);
  { c.convolve(i, count, count) } -> std::same_as<channel_sums>;
  c.normalise(i, count, in, in);
  c.logits(i, out);
  { c.bytes() } -> std::convertible_to<std::size_t>;
};

/// Some channels of some pixels of one picture's activations: value c of pixel p is `values[p · pitch + c]`.
struct activation_part {
  const float* values = nullptr; ///< of channel `first` of the first pixel
  int pixels = 0;                ///< how many
  std::size_t pitch = 0;         ///< values from one pixel to the next
  int first = 0, channels = 0;   ///< which channels of the tensor: so many from `first` on
};

/// A batch that also shows what lies between its convolutions:
///
///  * `observe(b, where, n, visit)`: byte tensor `where` of block b of picture n, in parts that together are the tensor
///    → visit(part) for each, in any order. The input can be seen after `convolve(b, 0, count)`, the expanded tensor
///    after `normalise(b, 0, …)`, the others after `normalise(b, 1, …)`; each until the next convolution. Several
///    threads may observe different pictures.
template <class C>
concept observing_batch = calibration_batch<C> &&
    requires(const C& c, std::size_t i, byte_tensor::place where, void (*visit)(const activation_part&)) {
  c.observe(i, where, i, visit);
};

} // namespace backend

/// A backend on which batch norm can be calibrated: `open_calibration(backend, packed, plan, capacity)`, found in the
/// backend's namespace, makes a `calibration_batch`. It stands in a header of its own, since who only runs levels does
/// not need it: backend/reference_calibration.hpp, backend/cpu/calibration.hpp, backend/cuda/calibration.hpp.
template <class B>
concept calibrating_backend = inference_backend<B> &&
    requires(const B& backend, const std::shared_ptr<const typename B::packed>& packed, const plan& p, int capacity) {
  { open_calibration(backend, packed, p, capacity) } -> backend::calibration_batch;
};

/// A backend that shows the activations of which int8 levels make bytes: `open_observer(backend, packed, plan,
/// capacity)`, in the same header, makes an `observing_batch`. Apart from `open_calibration`, since keeping whole
/// tensors may cost what calibration saves by fusing them.
template <class B>
concept observing_backend = inference_backend<B> &&
    requires(const B& backend, const std::shared_ptr<const typename B::packed>& packed, const plan& p, int capacity) {
  { open_observer(backend, packed, p, capacity) } -> backend::observing_batch;
};

} // namespace dynofa
