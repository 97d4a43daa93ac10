#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/runtime/level_figures.hpp"
#include "dynofa/runtime/target.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dynofa::runtime {

/// What a device does to image after image, whichever level runs, and what is wanted meanwhile.
///
/// Image i on level l takes `latency_ms · own[l] · factor[i]`: a slow-down that all levels share, with the noise of the
/// image in it, and a small factor of each level that the table does not know.
struct trace {
  std::string name;                  ///< kind and seed, or the file
  std::vector<level_figures> levels; ///< a front
  std::vector<double> own;           ///< one per level
  std::vector<double> factor;        ///< one per image
  /// From image `from` on, `wanted` holds; the first entry has from = 0.
  struct change {
    std::size_t from = 0; ///< counted from 0
    target wanted;        ///< from then on
  };
  std::vector<change> targets; ///< ascending in `from`

  std::size_t images() const { return factor.size(); } ///< length of the trace
  /// What the image would take on the level.
  double latency_ms(std::size_t level, std::size_t image) const {
    return levels[level].latency_ms * own[level] * factor[image];
  }
};

/// The kinds of generated traces. Constant conditions are among them: a policy that only does well in trouble is no
/// good.
enum class trace_kind : std::uint8_t {
  constant,   ///< nothing happens
  steps,      ///< the slow-down jumps and stays, every 150 to 600 images
  ramps,      ///< it slides from one value to the next within 100 to 400 images
  bursts,     ///< idle, with spells of 5 to 60 slow images
  periodic,   ///< a sine with a period of 100 to 800 images
  heavy_tail, ///< 2 to 6 % of the images take 1.3 to 6 times as long, with steps that are rare
  thermal,    ///< heats up for some hundred images, then the clock saws up and down between two values
  co_runner,  ///< Fig. 7: another process comes and goes, up to three at a time
  two_models, ///< Fig. 8: a second dynamic network arrives, its own manager changes its levels
  targets,    ///< Fig. 6: the device is steady, the limit changes
};
/// As files call them, in the order above.
inline constexpr std::array<std::string_view, 10> trace_kinds = {
    "constant", "steps", "ramps", "bursts", "periodic", "heavy_tail", "thermal", "co_runner", "two_models", "targets"};

/// What is drawn.
struct trace_options {
  std::size_t images = 2000; ///< per trace
  double percentile = 0.95;  ///< of the targets
};

/// A trace of a kind: bit for bit the same for the same arguments.
///
/// Model of the noise, per image and on a logarithmic scale: a Gaussian of 0.5 to 4 % (drawn per trace), a slow wander
/// of a third of it that keeps 95 % from image to image, and outliers, at most 1 % of the images, of 1.2 to 2.5 times
/// (more in `heavy_tail`). Levels differ from the table by 1 %. The slow-downs are scaled to what the family can make
/// up for (its slowest against its quickest level): at most 1.15 times that. The limit is drawn so that the quickest
/// level nearly always meets it (8 % to spare at the 95th percentile of the slow-down).
inline trace generate_trace(trace_kind kind, std::uint64_t seed, std::span<const level_figures> levels,
                            trace_options options = {}) {
  validate(levels);
  if (options.images == 0 || options.images > 10'000'000)
    throw error(errc::invalid_argument, "trace_options::images", "1 to 10 million", text(options.images));
  const std::string_view kind_name = trace_kinds[static_cast<std::size_t>(kind)];
  random_stream random(seed, kind_name);
  const auto between = [&](double low, double high) { return low + (high - low) * random.uniform(); };
  const auto count = [&](double low, double high) { return static_cast<std::size_t>(between(low, high)); };

  trace t;
  t.name = text(kind_name, "-", seed);
  t.levels.assign(levels.begin(), levels.end());
  for (std::size_t i = 0; i < levels.size(); ++i) t.own.push_back(std::exp(0.01 * random.normal()));

  // The slow-down of the device.
  const double range = std::log(levels.back().latency_ms / levels.front().latency_ms);
  const double most = std::max(1.15 * range, 0.1); // as a logarithm
  std::vector<double>& s = t.factor;
  const auto add = [&](std::size_t images, double value) { s.insert(s.end(), images, value); };
  const double high = between(0.4, 1) * most;
  double now = between(0, 0.3) * most;
  while (s.size() < options.images) switch (kind) {
    case trace_kind::constant:
    case trace_kind::targets: add(options.images, now); break;
    case trace_kind::steps: add(count(150, 600), between(0, 1) * most); break;
    case trace_kind::ramps: {
      const double next = between(0, 1) * most;
      const std::size_t n = count(100, 400);
      for (std::size_t i = 0; i < n; ++i)
        s.push_back(now + (next - now) * static_cast<double>(i) / static_cast<double>(n));
      now = next;
      add(count(0, 300), now);
      break;
    }
    case trace_kind::bursts:
      add(count(60, 400), 0);
      add(count(5, 60), between(0.3, 1) * most);
      break;
    case trace_kind::periodic: {
      const double period = between(100, 800);
      for (std::size_t i = 0; i < options.images; ++i)
        s.push_back(high / 2 * (1 - std::cos(6.283185307179586 * static_cast<double>(i) / period)));
      break;
    }
    case trace_kind::heavy_tail: add(count(400, 1200), between(0, 0.8) * most); break;
    case trace_kind::thermal: {
      const std::size_t cold = count(100, 400), period = count(40, 200);
      const double lower = high * between(0.5, 0.8);
      for (std::size_t i = 0; i < options.images; ++i) {
        const double warmth = std::min(1.0, static_cast<double>(i) / static_cast<double>(2 * cold));
        const bool throttled = i > cold && (i - cold) % period < period / 2;
        s.push_back(warmth * (throttled ? high : lower));
      }
      break;
    }
    case trace_kind::co_runner: { // each process on the device takes its share of the last-level cache and cores
      const std::uint32_t others = random.below(4);
      add(count(100, 500), std::log1p(others / 3.0 * std::expm1(most)));
      break;
    }
    case trace_kind::two_models:
      if (s.empty()) add(count(200, 500), 0); // alone
      add(count(50, 400), high * between(0.6, 1));
      if (random.chance(0.1)) add(count(200, 500), 0); // the other one pauses
      break;
    }
  s.resize(options.images);

  // The limit: somewhere in the family at the median slow-down, and within reach of the quickest level.
  std::vector<double> sorted = s;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2], nearly_most = sorted[sorted.size() * 19 / 20];
  const auto draw_limit = [&] {
    const double wish = std::log(levels.front().latency_ms) + between(0.2, 1.0) * range + median;
    return std::exp(std::max(wish, std::log(1.08 * levels.front().latency_ms) + nearly_most));
  };
  const auto want = [&](std::size_t from) {
    t.targets.push_back({from, {.latency_ms = draw_limit(), .percentile = options.percentile}});
  };
  want(0);
  if (kind == trace_kind::targets)
    for (std::size_t at = count(100, 400); at < options.images; at += count(100, 400)) want(at);

  // The noise.
  const bool heavy = kind == trace_kind::heavy_tail;
  const double noise = between(0.005, 0.04), outliers = heavy ? between(0.02, 0.06) : between(0, 0.01);
  double wander = 0;
  for (double& f : s) {
    wander = 0.95 * wander + std::sqrt(1 - 0.95 * 0.95) * random.normal();
    f += noise * random.normal() + noise / 3 * wander;
    if (random.chance(outliers)) { // a Pareto tail where it is heavy
      const double u = random.uniform();
      f += heavy ? std::min(std::log(1.3) - 0.5 * std::log(1 - u), std::log(6.0)) : std::log(1.2 + 1.3 * u);
    }
    f = std::exp(f);
  }
  return t;
}

} // namespace dynofa::runtime
