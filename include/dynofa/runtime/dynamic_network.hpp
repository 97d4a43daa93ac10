#pragma once
#include "dynofa/data/image.hpp"
#include "dynofa/family/family.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/family/open_session.hpp"
#include "dynofa/runtime/level_figures.hpp"

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa::runtime {

/// Memory of a dynamic network: `weights` are shared by all levels (and by whatever else has the same packed weights),
/// `levels` is what all of them cost together, `workspace` are activations and the image.
struct network_bytes {
  std::size_t weights = 0, levels = 0, workspace = 0;                ///< bytes
  std::size_t total() const { return weights + levels + workspace; } ///< bytes
};

/// One network that runs as any level of a family.
///
///     runtime::dynamic_network net(backend::cpu{}, family);     // once: binds all levels; allocates
///     net.switch_to(3);                                         // any time, any thread: one atomic store
///     net.run(prepare, logits);                                 // again and again; allocates nothing
///
/// Levels may differ in number format: a family that holds some in int8 runs those so, whatever the backend's own
/// format. All levels are bound when it is made, with one workspace and one image buffer that fit each of them, so a
/// switch is a change of an index. `switch_to` and `level` may be called from any thread while an image runs: that
/// image is never disturbed, the next one runs on the new level. Everything else is for one thread at a time. Levels
/// are numbered as in the family: ascending in top-1. Movable, not copyable; the family may go away.
template <inference_backend Backend>
class dynamic_network {
public:
  using packed = packed_formats<Backend>; ///< weights in every number format that a level has

  /// Throws errc::invalid_argument for a family without levels, and what packing and binding throw. `weights`, where
  /// given, are what another network or session has packed already from the same super-network; of formats that they
  /// lack only what the levels read is packed, where the backend can.
  dynamic_network(Backend backend, const family& f, std::type_identity_t<packed> weights = {})
      : preprocessing_{f.preprocessing()}
      , classes_{static_cast<std::size_t>(f.space().classes)}
      , session_{open(std::move(backend), f, std::move(weights))}
      , wanted_{std::make_unique<std::atomic<std::size_t>>(0)} {
    std::size_t values = 0;
    levels_.reserve(f.levels().size());
    for (const family_level& l : f.levels()) {
      levels_.push_back(
          {l.arch, l.accuracy.top1(), l.latency, l.format, session_.load(l.arch, l.statistics, 1, l.format)});
      values = std::max(values, levels_.back().bound->plan.image_values());
    }
    image_.resize(values);
    session_.prepare(); // the workspace, and CUDA graphs
  }

  /// The next image runs on `level`. Throws errc::invalid_argument if there is none such. Cost: one atomic store.
  void switch_to(std::size_t level) {
    require(level);
    wanted_->store(level, std::memory_order_relaxed); // an index guards no other data
  }
  /// The level that the next image will run on.
  std::size_t level() const noexcept { return wanted_->load(std::memory_order_relaxed); }
  std::size_t size() const noexcept { return levels_.size(); } ///< levels
  std::size_t classes() const noexcept { return classes_; }    ///< logits of an image
  /// Throws errc::invalid_argument if there is no such level.
  const arch& arch_of(std::size_t level) const { return require(level), levels_[level].arch; }
  /// The number format of a level, "" for the backend's own.
  const std::string& format_of(std::size_t level) const { return require(level), levels_[level].format; }

  /// One image: calls `prepare(int r, std::span<float> image)`, which writes all of image [r,r,3], then runs the level:
  /// → logits [classes]. Returns the level that ran. What `prepare` throws goes to the caller. Throws
  /// errc::invalid_argument unless `logits` holds one value per class. Allocates nothing itself.
  template <std::invocable<int, std::span<float>> Prepare>
  std::size_t run(Prepare&& prepare, std::span<float> logits) {
    if (logits.size() != classes_)
      throw error(errc::invalid_argument, "dynamic network", text("room for ", classes_, " logits"),
                  text("room for ", logits.size()));
    const std::size_t level = this->level(); // read once: whoever switches now means the next image
    one_level& l = levels_[level];
    const auto image = std::span(image_).first(l.bound->plan.image_values());
    std::forward<Prepare>(prepare)(static_cast<int>(l.arch.r), image);
    session_.run(l.bound, image, logits);
    return level;
  }
  /// The same for a picture of any size, with the family's preprocessing: its resize allocates.
  std::size_t run(const data::image& picture, std::span<float> logits) {
    return run([&](int r, std::span<float> image) { preprocessing_.apply(picture, r, image); }, logits);
  }

  /// What a run-time policy needs to know of the levels: median latency on `device` and measured top-1. Throws
  /// errc::missing_key for a level that was not measured there (`remeasure_latencies` does it). Policies want a front:
  /// `family::keep_front` before the network is made.
  std::vector<level_figures> figures(std::string_view device) const {
    std::vector<level_figures> all;
    for (const one_level& l : levels_) {
      const auto found = std::find_if(l.latency.begin(), l.latency.end(),
                                      [&](const measured_latency& m) { return m.device == device; });
      if (found == l.latency.end())
        throw error(errc::missing_key, text("level ", l.arch), text("a latency on ", printable(device)),
                    "none; remeasure_latencies measures it");
      all.push_back({found->median_ms, l.top1});
    }
    return all;
  }
  /// The same for this machine and backend.
  std::vector<level_figures> figures() { return figures(device_name(session_.backend())); }

  /// Makes the workspace if it is not there yet.
  network_bytes bytes() {
    network_bytes b{session_.all_packed().bytes(), 0, session_.workspace().bytes() + image_.size() * sizeof(float)};
    for (const one_level& l : levels_) b.levels += l.bound->bytes();
    return b;
  }
  /// What another network on the same super-network may share, in all formats of the levels.
  const packed& weights() const { return session_.all_packed(); }
  const data::preprocessing& preprocessing() const { return preprocessing_; } ///< the family's
  Backend& backend() { return session_.backend(); }                           ///< the copy that the network runs on

private:
  struct one_level {
    dynofa::arch arch;
    double top1;
    std::vector<measured_latency> latency;
    std::string format;
    typename session<Backend>::level bound;
  };

  static session<Backend> open(Backend backend, const family& f, packed weights) {
    if (f.levels().empty()) throw error(errc::invalid_argument, "dynamic network", "a family with levels", "none");
    return open_session(std::move(backend), f, std::move(weights));
  }

  void require(std::size_t level) const {
    if (level >= levels_.size())
      throw error(errc::invalid_argument, "dynamic network", text("a level below ", levels_.size()), text(level));
  }

  data::preprocessing preprocessing_;
  std::size_t classes_;
  session<Backend> session_;
  std::vector<one_level> levels_;
  std::vector<float> image_; // of the largest resolution
  std::unique_ptr<std::atomic<std::size_t>> wanted_;
};

} // namespace dynofa::runtime
