#pragma once
#include "dynofa/backend/session.hpp"
#include "dynofa/latency/machine.hpp"
#include "dynofa/latency/model.hpp"
#include "dynofa/latency/samples.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// Measures each architecture when it is asked for, and remembers: the truth, at the price of some dozen runs each. A
/// few thousand architectures a minute on a CPU core; a search that asks for more wants a table.
///
/// A `cost_model` in ms. Copies share what they measured. Threads of a search may ask at once: one network runs at a
/// time, and who asks meanwhile waits.
template <inference_backend Backend>
class measured_model {
public:
  /// `runs`: timed per architecture, after two untimed ones; the median counts. Throws errc::invalid_argument for none.
  measured_model(Backend backend, supernet_ptr net, int runs = 15)
      : state_{std::make_shared<state>(std::move(backend), std::move(net), runs)} {
    require_argument(runs >= 1, "measured latency, runs", "at least 1", runs);
  }

  /// Throws errc::invalid_arch for an architecture that the space does not contain.
  double operator()(const arch& a) const {
    const std::lock_guard turn(state_->turn);
    auto at = state_->known.find(a);
    if (at == state_->known.end()) at = state_->known.emplace(a, state_->measure(a)).first;
    return at->second.count();
  }
  std::string unit() const { return "ms"; }                    ///< always
  const std::string& device() const { return state_->device; } ///< what figures of this model are filed under
  /// Everything measured so far, as a copy: other threads may be measuring.
  std::map<arch, milliseconds> known() const {
    const std::lock_guard turn(state_->turn);
    return state_->known;
  }

private:
  struct state {
    state(Backend b, supernet_ptr n, int timed_runs)
        : runner{std::move(b), std::move(n)}
        , runs{timed_runs}
        , logits(static_cast<std::size_t>(runner.net().space.classes)) {
      const machine_facts machine = read_machine_facts();
      const std::string name = runner.backend().name();
      device = machine.processor.empty() ? name : text(machine.processor, ", ", name);
    }
    milliseconds measure(const arch& a) {
      const auto level = runner.load(a);
      const std::vector<float> image(level->plan.image_values(), 0.5f);
      samples times;
      for (int i = -2; i < runs; ++i) {
        const auto start = std::chrono::steady_clock::now();
        runner.run(level, image, logits);
        const auto spent = std::chrono::steady_clock::now() - start;
        if (i >= 0) times.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());
      }
      return milliseconds(find_median(std::move(times)).median * 1e-6);
    }
    std::mutex turn; ///< guards all that follows
    session<Backend> runner;
    int runs;
    std::vector<float> logits;
    std::string device;
    std::map<arch, milliseconds> known;
  };
  std::shared_ptr<state> state_;
};
/// A measurement differs from run to run.
template <inference_backend Backend>
inline constexpr bool varies_between_runs<measured_model<Backend>> = true;

} // namespace dynofa
