#pragma once
#include "dynofa/runtime/dynamic_network.hpp"
#include "dynofa/runtime/monitor.hpp"
#include "dynofa/runtime/run_log.hpp"

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

namespace dynofa::runtime {

/// What the latency of an image consists of.
enum class counted_time : std::uint8_t {
  network, ///< the run of the network, which is what the family's latencies were measured as
  all,     ///< the preparation of the image as well; the family's latencies then have to include it too
};

/// What a manager times, logs and tells.
struct manager_options {
  counted_time counts = counted_time::network; ///< as latency
  monitor_options monitor = {};                ///< of the monitor that marks cold images and outliers
  /// Images that the log holds in memory, about 400 bytes each. 1024: half a minute at 30 images per second.
  std::size_t log_images = 1024;
  /// Read the sensors after every n-th image, outside the measured time. 0: never.
  std::size_t sensors_every = 0;
  /// Called on the thread that runs images, after each image, after each that ran on another level than the one
  /// before, and when the log is full (write and clear it, or its oldest images are overwritten). What they take is not
  /// in any latency; what they throw goes to the caller of `run`, with the image counted and logged.
  std::function<void(const image_record&)> on_image = {}, on_switch = {}; ///< see above
  std::function<void(run_log&)> on_log_full = {};                         ///< see above
};

/// Keeps a target while the machine around it changes: asks a policy for a level before every image, times the image,
/// tells the policy, and logs what was decided and why.
///
///     dynofa::remeasure_latencies(family, backend::cpu{});  family.keep_front(…);        // on this machine
///     runtime::dynamic_network net(backend::cpu{}, family);
///     runtime::forecast policy(net.figures());
///     runtime::manager m(std::move(net), policy, {.latency_ms = 20});
///     const auto& image = m.run(prepare, logits);   // image.level, image.why, image.latency_ms, …
///
/// `set_target` and `wanted` may be called from any thread, and take a lock only when the target has changed;
/// everything else is for the thread that runs images. `run` allocates nothing of its own and costs, besides the
/// network, what bench_runtime measures (docs/guide/run-time-manager.md). `Clock` is any with `now()`. Neither copyable
/// nor movable: other threads hold on to it.
template <inference_backend Backend, runtime_policy Policy, class Clock = std::chrono::steady_clock>
class manager {
public:
  /// Throws errc::invalid_argument for a target that cannot be or options out of range, errc::mismatch if policy and
  /// network have not as many levels. `machine` is read if `sensors_every` says so.
  manager(dynamic_network<Backend> network, Policy policy, const target& wanted, manager_options options = {},
          std::optional<sensors> machine = std::nullopt, Clock clock = {})
      : network_{std::move(network)}
      , policy_{std::move(policy)}
      , options_{std::move(options)}
      , sensors_{std::move(machine)}
      , clock_{std::move(clock)}
      , monitor_{network_.size(), options_.monitor}
      , log_{policy_, options_.log_images}
      , shared_target_{wanted}
      , target_{wanted} {
    validate(wanted);
    require_levels(policy_);
  }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;

  /// From the next image on. Throws errc::invalid_argument for a target that cannot be, and keeps the old one.
  void set_target(const target& wanted) {
    validate(wanted);
    const std::lock_guard lock(target_mutex_);
    shared_target_ = wanted;
    target_version_.fetch_add(1, std::memory_order_release);
  }
  /// The target that the next image will have. May be called from any thread.
  target wanted() const {
    const std::lock_guard lock(target_mutex_);
    return shared_target_;
  }

  /// From the next image on, for levels whose latencies are known anew. The log begins anew, since it belongs to a
  /// policy; keep what it holds before. Throws errc::mismatch for a policy of another number of levels. Allocates.
  void replace_policy(Policy policy) {
    require_levels(policy);
    run_log log(policy, options_.log_images);
    policy_ = std::move(policy);
    log_ = std::move(log);
  }

  /// One image: `prepare(int r, std::span<float> image)` writes image [r,r,3] for the level that was chosen → logits
  /// [classes]. Returns what was decided and how it went, valid until the next call. If `prepare` or the backend
  /// throws, the image was none: not counted, not logged.
  template <std::invocable<int, std::span<float>> Prepare>
  const image_record& run(Prepare&& prepare, std::span<float> logits) {
    if (const auto version = target_version_.load(std::memory_order_acquire); version != seen_version_) {
      target_ = this->wanted();
      seen_version_ = version; // should it have changed again since, it is only copied once more
    }
    image_record next;
    network_.switch_to(policy_.decide(target_));
    next.wanted = target_;
    next.why = policy_.why();
    policy_.dump([&](std::string_view, double value) {
      if (next.state.size() < image_record::most_state) next.state.push_back(value);
    });
    auto start = clock_.now();
    next.level = network_.run(
        [&](int r, std::span<float> image) {
          std::forward<Prepare>(prepare)(r, image);
          if (options_.counts == counted_time::network) start = clock_.now();
        },
        logits);
    const auto spent = clock_.now() - start;
    finish(next, std::chrono::duration<double, std::milli>(spent).count());
    return record_;
  }
  /// The same for a picture of any size, with the family's preprocessing: its resize allocates.
  const image_record& run(const data::image& picture, std::span<float> logits) {
    return run([&](int r, std::span<float> image) { network_.preprocessing().apply(picture, r, image); }, logits);
  }

  std::uint64_t images() const noexcept { return images_; }     ///< run so far
  const image_record& last() const noexcept { return record_; } ///< of the last image; all zeros before the first
  const Policy& policy() const noexcept { return policy_; } ///< for what it knows; the manager alone tells it latencies
  latency_monitor& monitor() noexcept { return monitor_; }  ///< windows and totals of each level
  run_log& log() noexcept { return log_; }                  ///< to write and clear between two images
  const dynamic_network<Backend>& network() const noexcept { return network_; } ///< switched by the policy alone

private:
  void require_levels(const Policy& policy) const {
    if (policy.levels().size() != network_.size())
      throw error(errc::mismatch, "manager", text("a policy for ", network_.size(), " levels"),
                  text("one for ", policy.levels().size()));
  }

  void finish(image_record& next, double latency_ms) {
    const auto sample = monitor_.record(next.level, latency_ms);
    policy_.observe(next.level, sample.latency_ms);
    next.image = images_++;
    next.latency_ms = sample.latency_ms;
    next.cold = sample.cold, next.outlier = sample.outlier;
    next.switched = next.image > 0 && next.level != record_.level;
    if (sensors_ && options_.sensors_every > 0 && images_ % options_.sensors_every == 0)
      next.sensors = sensors_->read();
    record_ = next;
    log_.add(record_);
    if (log_.full() && options_.on_log_full) options_.on_log_full(log_);
    if (record_.switched && options_.on_switch) options_.on_switch(record_);
    if (options_.on_image) options_.on_image(record_);
  }

  dynamic_network<Backend> network_;
  Policy policy_;
  manager_options options_;
  std::optional<sensors> sensors_;
  [[no_unique_address]] Clock clock_;
  latency_monitor monitor_;
  run_log log_;
  mutable std::mutex target_mutex_;
  target shared_target_; // guarded by target_mutex_
  std::atomic<std::uint64_t> target_version_{0};
  std::uint64_t seen_version_ = 0, images_ = 0;
  target target_; // the running thread's copy
  image_record record_;
};

} // namespace dynofa::runtime
