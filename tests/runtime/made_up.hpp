#pragma once
#include "dynofa/runtime/dynamic_network.hpp"
#include "dynofa/space/sampling.hpp"

#include "../support/tiny_space.hpp"
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

/// A device whose time is made up: an image takes a nanosecond per multiply-accumulate, times `factor`. Time passes in
/// `backend::run` alone, and `clock` shows it.
namespace made_up {

struct device {
  double now_ms = 0, factor = 1;
};
using device_ptr = std::shared_ptr<device>;

struct clock {
  device_ptr of;
  std::chrono::duration<double, std::milli> now() const {
    return std::chrono::duration<double, std::milli>(of->now_ms);
  }
};

struct backend {
  device_ptr of = std::make_shared<device>();

  struct packed {
    std::uint64_t fingerprint;
    std::uint64_t source() const { return fingerprint; }
    std::size_t bytes() const { return 1'000'000; }
  };
  struct bound {
    dynofa::plan plan;
    double ms;
    int prepared;
    std::size_t bytes() const { return 1000; }
  };
  struct workspace {
    std::size_t plans;
    std::size_t bytes() const { return 10'000; }
  };
  std::string name() const { return "made up"; }
  std::shared_ptr<const packed> pack(const dynofa::supernet_ptr& net) const {
    return std::make_shared<const packed>(packed{net->fingerprint()});
  }
  bound bind(const std::shared_ptr<const packed>&, const dynofa::plan& p, const dynofa::scale_shift&) const {
    return {p, static_cast<double>(p.macs()) * 1e-6, 0};
  }
  workspace make_workspace(std::span<const dynofa::plan> plans) const { return {plans.size()}; }
  void prepare(bound& level, workspace&) const { ++level.prepared; }
  /// logits[0]: the level's multiply-accumulates in millions; logits[1]: whether it was prepared; logits[2]: the first
  /// value of the image.
  void run(const bound& level, workspace&, std::span<const float> image, std::span<float> logits) const {
    of->now_ms += level.ms * of->factor;
    logits[0] = static_cast<float>(level.ms), logits[1] = static_cast<float>(level.prepared), logits[2] = image[0];
  }
  void run_block(bound&, workspace&, std::size_t, std::span<const float>, std::span<float>) const {}
  double time_block(bound&, workspace&, std::size_t, int) const { return 0; }
  double time_run(bound& level, workspace&, int) const { return level.ms; }
};
static_assert(dynofa::inference_backend<backend>);

/// A family of `levels` levels, a front, with latencies as the made-up device has them (device "made up").
inline dynofa::family front(std::size_t levels, dynofa::supernet_ptr net = support::tiny_supernet()) {
  std::vector<std::pair<std::int64_t, dynofa::arch>> archs;
  dynofa::random_stream random(1, "made_up");
  while (archs.size() < levels) {
    const dynofa::arch a = dynofa::random_arch(net->space, random).canonical();
    archs.emplace_back(dynofa::make_plan(net->space, a).macs(), a);
    std::sort(archs.begin(), archs.end());
    archs.erase(
        std::unique(archs.begin(), archs.end(), [](const auto& x, const auto& y) { return x.first == y.first; }),
        archs.end());
  }
  std::vector<dynofa::data::class_name> names(static_cast<std::size_t>(net->space.classes), {"n0", "a class"});
  for (std::size_t c = 0; c < names.size(); ++c) names[c] = {"n" + std::to_string(c), "class"};
  dynofa::family f(net, dynofa::data::exact_preprocessing(), names);
  for (std::size_t i = 0; i < levels; ++i) {
    const auto& [macs, a] = archs[i];
    const double ms = static_cast<double>(macs) * 1e-6;
    f.add({a,
           dynofa::stored_statistics(*net, a),
           {1000, 500 + static_cast<int>(10 * i), 900},
           {{"made up", ms, ms, ms, 10}}});
  }
  return f;
}

} // namespace made_up
