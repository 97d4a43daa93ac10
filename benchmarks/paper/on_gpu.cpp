// The figures on a GPU: the same templates, and what can come to a GPU while a network runs on it. Clocks are left as
// they are: setting them is for the machine's owner.
#include "dynofa/backend/cuda.hpp"

#include "all_figures.hpp"
#include <atomic>
#include <iostream>
#include <stop_token>
#include <thread>

namespace {

using namespace paper;

/// Batches of a large network, one after the other, on a stream of their own.
class batches {
public:
  explicit batches(int size)
      : worker_{[this, size](const std::stop_token& stop) {
        const supernet_ptr& net = bench::paper_supernet();
        const arch a = paper_networks_for("gpu").back().arch;
        session runner(backend::cuda{}, net);
        auto level = runner.load(a, stored_statistics(*net, a), size);
        runner.prepare();
        while (!stop.stop_requested()) {
          working_.wait(false);
          if (stop.stop_requested()) break;
          runner.backend().enqueue(*level, runner.workspace());
          runner.backend().wait();
        }
      }} {}
  batches(const batches&) = delete;
  batches& operator=(const batches&) = delete;
  ~batches() { worker_.request_stop(), start(); }
  void start() { working_ = true, working_.notify_all(); }
  void stop() { working_ = false; }

private:
  std::atomic<bool> working_ = false;
  std::jthread worker_;
};

} // namespace

bool paper::figures_on_gpu(story& s, std::vector<candidate>& networks) {
  std::optional<backend::cuda> gpu;
  try {
    gpu.emplace();
  } catch (const error& e) {
    std::cerr << "no figures of a GPU: " << e.what() << '\n';
    return false;
  }
  (void)bench::paper_supernet(); // made before threads ask for it
  batches single(1), some(8), many(64);
  const auto beside = [](const char* what, batches& b) {
    return disturbance{text("beside ", what, " of another network"), [&] { b.start(); }, [&] { b.stop(); }};
  };
  device<backend::cuda> on{
      .key = "gpu",
      .backend = *gpu,
      .of_family = [] { return backend::cuda{}; },
      .name = device_name(*gpu),
      .tolerance = 5e-2, // of halves
      .in_floats = backend::cuda{.precision = "fp32"},
      .panel = "a",
      .all = {beside("single images", single), beside("batches of 8", some), beside("batches of 64", many)},
      .comes = beside("batches of 8", some)};
  all_figures(s, on, networks);
  return true;
}
