#pragma once
#include "dynofa/core/error.hpp"
#include "dynofa/runtime/image_record.hpp"

#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dynofa::runtime {

/// Counts what a manager's images came to, for a monitoring system. `add` is for the thread that runs images: some
/// atomic additions, no lock, no allocation. The texts are for any thread; one of them may show an image in one figure
/// that it does not yet show in the next.
class run_counters {
public:
  /// Upper ends of the histogram's buckets, in ms; the last bucket has none.
  static constexpr std::array<double, 12> bucket_ms{0.5, 1, 2, 5, 10, 15, 20, 33, 50, 100, 200, 500};

  /// Of a network with so many levels.
  explicit run_counters(std::size_t levels)
      : images_(levels) {}

  /// One image that ran, and what its preparation took.
  void add(const image_record& r, double preparation_ms) noexcept {
    more(images_[r.level]);
    if (r.late()) more(late_);
    if (r.switched) more(switches_);
    std::size_t bucket = 0;
    while (bucket < bucket_ms.size() && r.latency_ms > bucket_ms[bucket]) ++bucket;
    more(buckets_[bucket]);
    more(latency_ns_, nanoseconds(r.latency_ms));
    more(preparation_ns_, nanoseconds(preparation_ms));
    level_.store(r.level, std::memory_order_relaxed);
    target_ms_.store(r.wanted.latency_ms, std::memory_order_relaxed);
  }

  /// Of all levels.
  std::uint64_t images() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& i : images_) sum += get(i);
    return sum;
  }
  std::uint64_t images(std::size_t level) const { return get(images_.at(level)); } ///< of one; throws std::out_of_range
  std::uint64_t late() const noexcept { return get(late_); }         ///< images that took longer than their target
  std::uint64_t switches() const noexcept { return get(switches_); } ///< images on another level than the one before

  /// A page in Prometheus' text format, version 0.0.4: what an HTTP server hands out as `/metrics`. Times in seconds.
  std::string prometheus() const {
    std::string page;
    const auto head = [&](const char* name, const char* type, const char* help) {
      page += text("# HELP dynofa_", name, ' ', help, "\n# TYPE dynofa_", name, ' ', type, '\n');
    };
    head("images_total", "counter", "Images that were classified, by level.");
    for (std::size_t i = 0; i < images_.size(); ++i)
      page += text("dynofa_images_total{level=\"", i, "\"} ", get(images_[i]), '\n');
    head("late_images_total", "counter", "Images that took longer than their target.");
    page += text("dynofa_late_images_total ", get(late_), '\n');
    head("switches_total", "counter", "Images on another level than the image before.");
    page += text("dynofa_switches_total ", get(switches_), '\n');
    head("level", "gauge", "The level of the latest image.");
    page += text("dynofa_level ", level_.load(std::memory_order_relaxed), '\n');
    head("target_seconds", "gauge", "The latency target of the latest image.");
    const double target = target_ms_.load(std::memory_order_relaxed) / 1000;
    page += std::isfinite(target) ? text("dynofa_target_seconds ", target, '\n') : "dynofa_target_seconds +Inf\n";
    head("preparation_seconds_total", "counter", "Time spent on preparing images.");
    page += text("dynofa_preparation_seconds_total ", 1e-9 * double(get(preparation_ns_)), '\n');
    head("latency_seconds", "histogram", "What images took.");
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      below += get(buckets_[i]);
      const std::string end = i < bucket_ms.size() ? text(bucket_ms[i] / 1000) : "+Inf";
      page += text("dynofa_latency_seconds_bucket{le=\"", end, "\"} ", below, '\n');
    }
    return page + text("dynofa_latency_seconds_sum ", 1e-9 * double(get(latency_ns_)),
                       "\ndynofa_latency_seconds_count ", below, '\n');
  }

  /// Two lines of CSV, names and figures: images, late, switches, means in ms, images of each level.
  std::string csv() const {
    std::string names = "images,late,switches,latency_ms,preparation_ms";
    const std::uint64_t all = images();
    const auto mean = [&](const counter& ns) { return all ? 1e-6 * double(get(ns)) / double(all) : 0.0; };
    std::string figures =
        text(all, ',', get(late_), ',', get(switches_), ',', mean(latency_ns_), ',', mean(preparation_ns_));
    for (std::size_t i = 0; i < images_.size(); ++i) {
      names += text(",level_", i);
      figures += text(',', get(images_[i]));
    }
    return names + '\n' + figures + '\n';
  }

private:
  using counter = std::atomic<std::uint64_t>;
  static std::uint64_t get(const counter& c) noexcept { return c.load(std::memory_order_relaxed); }
  static void more(counter& c, std::uint64_t n = 1) noexcept { c.fetch_add(n, std::memory_order_relaxed); }
  static std::uint64_t nanoseconds(double ms) noexcept {
    return ms > 0 && ms < 1e12 ? static_cast<std::uint64_t>(ms * 1e6) : 0;
  }

  std::vector<counter> images_; // of each level
  counter late_{0}, switches_{0}, latency_ns_{0}, preparation_ns_{0};
  std::array<counter, bucket_ms.size() + 1> buckets_{};
  std::atomic<std::size_t> level_{0};
  std::atomic<double> target_ms_{target::none};
};

} // namespace dynofa::runtime
