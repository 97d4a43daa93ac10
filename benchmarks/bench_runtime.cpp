// What a run-time policy costs per image: decide + observe with 10 levels, on a recorded mix of steps and noise; and
// the whole manager around a network that takes no time.
#include "dynofa/core/random.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/monitor.hpp"
#include "dynofa/runtime/reactive.hpp"
#include "dynofa/runtime/slack.hpp"
#include "dynofa/runtime/thread_coordinator.hpp"
#include "dynofa/simulate/trace.hpp"

#include <benchmark/benchmark.h>

#include "../tests/runtime/made_up.hpp"
#include "run.hpp"
#include <chrono>
#include <vector>

namespace {

using namespace dynofa::runtime;

const std::vector<level_figures> ten = {{12.0, 71.9}, {14.1, 73.6}, {16.3, 74.9}, {18.8, 75.9}, {21.9, 76.8},
                                        {25.3, 77.5}, {29.4, 78.1}, {34.0, 78.6}, {39.5, 79.0}, {46.0, 79.3}};

template <class Policy>
void policy_cost(benchmark::State& state) {
  const trace t = generate_trace(trace_kind::steps, 1, ten);
  const target wanted = t.targets.front().wanted;
  Policy policy(ten);
  std::size_t image = 0;
  for (auto _ : state) {
    const std::size_t level = policy.decide(wanted);
    benchmark::DoNotOptimize(level);
    policy.observe(level, t.latency_ms(level, image));
    image = image + 1 == t.images() ? 0 : image + 1;
  }
}
BENCHMARK_TEMPLATE(policy_cost, lookup)->Name("runtime/lookup/levels:10");
BENCHMARK_TEMPLATE(policy_cost, slack)->Name("runtime/slack/levels:10");
BENCHMARK_TEMPLATE(policy_cost, reactive)->Name("runtime/reactive/levels:10");
BENCHMARK_TEMPLATE(policy_cost, forecast)->Name("runtime/forecast/levels:10");

/// An image of each of two members; the mutex is in it.
void coordinator_cost(benchmark::State& state) {
  const trace t = generate_trace(trace_kind::steps, 1, ten);
  const target wanted = t.targets.front().wanted;
  thread_coordinator device;
  thread_coordinator::member one = device.join(ten), other = device.join(ten);
  std::size_t image = 0;
  for (auto _ : state) {
    const std::size_t level = one.decide(wanted);
    one.observe(level, t.latency_ms(level, image));
    const std::size_t others = other.decide(wanted);
    other.observe(others, t.latency_ms(others, image));
    image = image + 1 == t.images() ? 0 : image + 1;
  }
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(coordinator_cost)->Name("runtime/coordinator/two_images/levels:10");

void monitor_cost(benchmark::State& state) {
  latency_monitor monitor(10);
  dynofa::random_stream random(1, "bench_runtime");
  for (auto _ : state) benchmark::DoNotOptimize(monitor.record(3, 20 + random.uniform()));
}
BENCHMARK(monitor_cost)->Name("runtime/monitor");

/// Asks the real clock, but shows the made-up device's time, so that the policy has something to do.
struct asked_clock {
  made_up::device_ptr of;
  std::chrono::duration<double, std::milli> now() const {
    benchmark::DoNotOptimize(std::chrono::steady_clock::now());
    return made_up::clock{of}.now();
  }
};

template <class Policy>
void manager_cost(benchmark::State& state) {
  const dynofa::family f = made_up::front(10);
  made_up::backend device;
  dynamic_network net(device, f);
  const auto levels = net.figures("made up");
  const trace t = generate_trace(trace_kind::steps, 1, levels);
  manager m(std::move(net), Policy(levels), t.targets.front().wanted, {}, std::nullopt, asked_clock{device.of});
  std::vector<float> logits(m.network().classes());
  std::size_t image = 0;
  for (auto _ : state) {
    device.of->factor = t.factor[image];
    benchmark::DoNotOptimize(m.run([](int, std::span<float>) {}, logits));
    image = image + 1 == t.images() ? 0 : image + 1;
  }
}
BENCHMARK_TEMPLATE(manager_cost, lookup)->Name("runtime/manager/lookup/levels:10");
BENCHMARK_TEMPLATE(manager_cost, forecast)->Name("runtime/manager/forecast/levels:10");

} // namespace

int main(int argc, char** argv) { return dynofa::report::run_program(bench::run_rows, argc, argv); }
