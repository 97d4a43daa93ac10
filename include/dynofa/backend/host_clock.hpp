#pragma once
#include <chrono>
#include <cstddef>
#include <vector>

namespace dynofa::backend {

/// Milliseconds per call of `work`, by the host's clock.
template <class Work>
double milliseconds_per_run(int repeats, Work work) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / repeats;
}

/// The base of a backend whose device has no clock of its own: `time_block` and `time_run` by the host's, with the
/// copies that `run_block` and `run` make. The activations are allocated before the clock starts.
template <class Backend>
struct timed_by_host {
  /// Mean milliseconds of `repeats` runs of block `b`, on constant inputs.
  template <class Bound, class Workspace>
  double time_block(Bound& level, Workspace& space, std::size_t b, int repeats) const {
    const std::vector<float> in(level.plan.of_batch(level.plan.blocks[b].in_values()), 0.5f);
    std::vector<float> out(level.plan.of_batch(level.plan.blocks[b].out_values()));
    return milliseconds_per_run(repeats, [&] { self().run_block(level, space, b, in, out); });
  }
  /// Mean milliseconds of `repeats` runs of the level, on constant images.
  template <class Bound, class Workspace>
  double time_run(Bound& level, Workspace& space, int repeats) const {
    const std::vector<float> image(level.plan.image_values(), 0.5f);
    std::vector<float> logits(level.plan.logit_values());
    return milliseconds_per_run(repeats, [&] { self().run(level, space, image, logits); });
  }

private:
  const Backend& self() const { return static_cast<const Backend&>(*this); }
};

} // namespace dynofa::backend
