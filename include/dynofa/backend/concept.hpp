#pragma once
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/plan.hpp"
#include "dynofa/model/supernet.hpp"

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace dynofa {

/// What a type must offer to run sub-networks: the whole interface between the library and a device.
///
/// A backend works on *blocks* (core/block.hpp), so it may fuse whatever lies inside one. It owns no weights and no
/// activations itself; those live in three kinds of object it makes:
///
///  * `packed`    the super-network in the backend's own layout, made once and shared by all levels
///  (`shared_ptr<const>`);
///  * `bound`     one level: its plan, pointers into `packed`, and its batch-norm scale and shift. Making one may
///  allocate;
///                running one may not. Movable.
///  * `workspace` the activations of one stream of images, big enough for any plan up to the one it was made for. Two
///                threads may run levels at once if each has its own workspace.
///
/// Activations are float NHWC at this interface, whatever a device uses inside. Operations:
///
///  * `pack(net)`                        → `shared_ptr<const packed>`
///  * `bind(packed, plan, scale_shift)`  → `bound`; throws `dynofa::error` if the plan does not fit the packed network
///  * `make_workspace(plans)`            → `workspace` that fits every plan of the span
///  * `run(bound, workspace, image, logits)`: image [N,r,r,3] → logits [N,classes]; allocates nothing, throws nothing
///    on a CPU, blocks until the logits are there
///  * `run_block(bound, workspace, b, in, out)`: block b alone, in [N,in,in,C] → out [N,out,out,C'], for tests and for
///    profiling; `in` and `out` are host memory and do not overlap
///  * `time_block(bound, workspace, b, repeats)` → milliseconds per run of block b on whatever activations the
///  workspace
///    holds, without the transfers that `run_block` makes
///  * `name()`                           → "cpu avx512, 2 threads": goes into tables and reports
///
/// A backend may offer two more, which are used where they are:
///
///  * `pack(net, plans)`                 → what these plans read of the super-network, and no more; `bind` throws for a
///                                       plan that needs another part
///  * `prepare(bound, workspace)`        does what would make the first run on this workspace slower than the next
template <class B>
concept inference_backend = requires(B& backend, const supernet_ptr& net, const plan& p, const scale_shift& norms,
                                     std::size_t block, int repeats, std::shared_ptr<const typename B::packed> packed,
                                     typename B::bound& level, typename B::workspace& space, std::span<const float> in,
                                     std::span<float> out) {
  { backend.name() } -> std::convertible_to<std::string>;
  { backend.pack(net) } -> std::convertible_to<std::shared_ptr<const typename B::packed>>;
  { backend.bind(packed, p, norms) } -> std::same_as<typename B::bound>;
  { backend.make_workspace(std::span<const plan>(&p, 1)) } -> std::same_as<typename B::workspace>;
  backend.run(level, space, in, out);
  backend.run_block(level, space, block, in, out);
  { backend.time_block(level, space, block, repeats) } -> std::convertible_to<double>;
  { packed->bytes() } -> std::convertible_to<std::size_t>; // of packed weights
  { level.bytes() } -> std::convertible_to<std::size_t>;   // that one more level costs
  { space.bytes() } -> std::convertible_to<std::size_t>;
};

/// The super-network packed for these plans: of a backend that can tell, only what they read.
template <inference_backend Backend>
std::shared_ptr<const typename Backend::packed> pack_for(Backend& backend, const supernet_ptr& net,
                                                         std::span<const plan> plans) {
  if constexpr (requires { backend.pack(net, plans); })
    return backend.pack(net, plans);
  else
    return backend.pack(net);
}

} // namespace dynofa
