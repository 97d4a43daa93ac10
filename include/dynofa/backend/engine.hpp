#pragma once
#include "dynofa/backend/concept.hpp"

#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace dynofa {

/// Runs sub-networks of one super-network on one backend.
///
///     dynofa::engine engine(dynofa::backend::reference{}, net);
///     auto level = engine.load(arch, statistics);    // once; allocates
///     engine.run(level, image, logits);              // again and again; does not
///
/// All levels share the packed weights. An engine is for one thread at a time: it owns one workspace, which grows when
/// a larger level is loaded. For several threads make several engines from the same backend and `packed()`.
template <inference_backend Backend>
class engine {
public:
  using backend_type = Backend;
  using level = typename Backend::bound;

  engine(Backend backend, supernet_ptr net)
      : backend_{std::move(backend)}
      , net_{std::move(net)}
      , packed_{backend_.pack(net_)} {}
  /// Shares weights that another engine of the same kind has packed already.
  engine(Backend backend, supernet_ptr net, std::shared_ptr<const typename Backend::packed> packed)
      : backend_{std::move(backend)}
      , net_{std::move(net)}
      , packed_{std::move(packed)} {}

  /// Binds `a` with its batch-norm statistics. Throws `error` if the space does not contain `a`, if the statistics have
  /// another length, or if the super-network holds another extracted network.
  level load(const arch& a, const bn_statistics& statistics, int batch = 1) {
    const plan p = make_plan(net_->space, a, batch);
    if (net_->only && !(*net_->only == a))
      throw error(errc::mismatch, "engine", text("the extracted sub-network ", *net_->only), text(a));
    level bound = backend_.bind(packed_, p, fold(*net_, p, statistics));
    plans_.push_back(p);
    workspace_.reset(); // made anew for all plans at the next run: old and new are never both alive
    workspace_ = std::make_unique<typename Backend::workspace>(backend_.make_workspace(plans_));
    return bound;
  }
  /// Binds `a` with the statistics the checkpoint came with: right for the largest sub-network only.
  level load(const arch& a) { return load(a, stored_statistics(*net_, make_plan(net_->space, a))); }

  /// image [N,r,r,3] (N: the level's batch) → logits [N,classes].
  void run(level& level, std::span<const float> image, std::span<float> logits) {
    backend_.run(level, *workspace_, image, logits);
  }
  std::vector<float> run(level& level, std::span<const float> image) {
    std::vector<float> logits(static_cast<std::size_t>(level.plan.batch) *
                              static_cast<std::size_t>(net_->space.classes));
    run(level, image, logits);
    return logits;
  }

  Backend& backend() { return backend_; }
  typename Backend::workspace& workspace() { return *workspace_; }
  const supernet& net() const { return *net_; }
  const std::shared_ptr<const typename Backend::packed>& packed() const { return packed_; }

private:
  Backend backend_;
  supernet_ptr net_;
  std::shared_ptr<const typename Backend::packed> packed_;
  std::vector<plan> plans_;
  std::unique_ptr<typename Backend::workspace> workspace_;
};

/// The index of the largest logit.
inline std::size_t argmax(std::span<const float> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

} // namespace dynofa
