#pragma once
#include "dynofa/family/open_session.hpp"
#include "dynofa/latency/machine.hpp"
#include "dynofa/latency/samples.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace dynofa {

/// What this machine with this backend is called in a `measured_latency`: "cpu avx512, 1 thread, AMD EPYC …".
template <inference_backend Backend>
std::string device_name(Backend& backend) {
  const std::string name = backend.name(), processor = read_machine_facts().processor;
  return processor.empty() ? name : text(name, ", ", processor);
}

/// Times every level on `backend` in its number format, batch 1: `rounds` times six untimed and four timed images of
/// each level in turn, so that whatever else the machine does falls on all levels alike. Fewer untimed ones charge a
/// small level for the caches that the large one before it has emptied. In the order of `f.levels()`; throws what
/// binding throws, and errc::invalid_argument for less than 1 round.
///
/// `prepare(int r, std::span<float> image)`, where given, fills the image and is part of the time: latencies for a
/// target from frame to answer (`runtime::counted_time::all`).
template <inference_backend Backend, class Prepare = std::nullptr_t>
std::vector<measured_latency> measure_latencies(Backend backend, const family& f, int rounds = 30,
                                                Prepare prepare = {}) {
  if (rounds < 1) throw error(errc::invalid_argument, "measure latencies", "at least 1 round", text(rounds));
  const std::string device = device_name(backend);
  session<Backend> runner = open_session(std::move(backend), f);
  std::vector<typename session<Backend>::level> bound;
  std::size_t values = 0;
  for (const auto& level : f.levels()) {
    bound.push_back(runner.load(level.arch, level.statistics, 1, level.format));
    values = std::max(values, image_values(level.arch.r));
  }
  std::vector<float> image(values, 0.5f);
  std::vector<float> logits(static_cast<std::size_t>(f.space().classes));
  std::vector<samples> times(bound.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < bound.size(); ++i) {
      const auto input = std::span(image).first(image_values(f.levels()[i].arch.r));
      for (int run = 0; run < 10; ++run) {
        const auto start = std::chrono::steady_clock::now();
        if constexpr (!std::is_null_pointer_v<Prepare>) prepare(static_cast<int>(f.levels()[i].arch.r), input);
        runner.run(bound[i], input, logits);
        const auto spent = std::chrono::steady_clock::now() - start;
        if (run >= 6) times[i].push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());
      }
    }
  std::vector<measured_latency> result;
  for (auto& t : times) {
    std::sort(t.begin(), t.end());
    const auto ms = [&](double q) { return detail::quantile(t, q) * 1e-6; };
    result.push_back({device, ms(0.5), ms(0.95), ms(0), static_cast<int>(t.size())});
  }
  return result;
}

/// `measure_latencies`, written into the family. Returns the device's name, which `front` and `keep_front` take.
template <inference_backend Backend, class Prepare = std::nullptr_t>
std::string remeasure_latencies(family& f, Backend backend, int rounds = 30, Prepare prepare = {}) {
  std::string device = device_name(backend);
  auto measured = measure_latencies(std::move(backend), f, rounds, std::move(prepare));
  for (std::size_t i = 0; i < measured.size(); ++i) f.set_latency(i, std::move(measured[i]));
  return device;
}

} // namespace dynofa
