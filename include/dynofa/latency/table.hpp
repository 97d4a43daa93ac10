#pragma once
#include "dynofa/latency/key.hpp"
#include "dynofa/latency/samples.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace dynofa {

/// What was measured of one operation. Tables of other tools have mean, std and count only.
struct latency_entry {
  milliseconds mean{0}, std{0};              ///< of the samples; milliseconds
  std::uint64_t count = 0;                   ///< of samples
  std::optional<milliseconds> p50, p95, min; ///< absent where the table's tool did not tell
  bool fused = false;                        ///< the operation runs inside the one before it, which has its time
  bool interpolated = false;                 ///< not measured: derived from neighbours (quick profiling)

  friend bool operator==(const latency_entry&, const latency_entry&) = default;
};

/// The entry of a table that these samples give. Mean and std are of all samples, outliers among them: on a machine
/// that does other things as well prefer the median.
inline latency_entry summarize(samples s) {
  latency_entry e;
  if (s.empty()) return e;
  std::sort(s.begin(), s.end());
  const auto ms = [](double ns) { return milliseconds(ns * 1e-6); };
  const double n = static_cast<double>(s.size());
  double mean = 0, squares = 0;
  for (auto v : s) mean += static_cast<double>(v) / n;
  for (auto v : s) squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
  e.mean = ms(mean);
  e.std = ms(s.size() > 1 ? std::sqrt(squares / (n - 1)) : 0);
  e.count = s.size();
  e.p50 = ms(detail::quantile(s, 0.5));
  e.p95 = ms(detail::quantile(s, 0.95));
  e.min = ms(static_cast<double>(s.front()));
  return e;
}

/// Times of operations, per input resolution, and the circumstances under which they were taken.
struct latency_table {
  std::string device;       ///< "AMD EPYC", "jetson_GPU"
  std::string backend, isa; ///< "cpu avx512, 1 thread"; empty if unknown
  int threads = 0;          ///< 0: unknown
  std::string governor;     ///< of the clock, where the system tells it
  double frequency_mhz = 0; ///< 0: unknown
  double drift = 0;         ///< relative change of a reference operation over the run
  using entries = std::map<std::string, latency_entry, std::less<>>; ///< key → what was measured
  std::map<int, entries> resolutions;                                ///< by side of the image in pixels

  /// The entry of a key at a resolution, or null.
  const latency_entry* find(int r, std::string_view key) const {
    const auto at = resolutions.find(r);
    if (at == resolutions.end()) return nullptr;
    const auto entry = at->second.find(key);
    return entry == at->second.end() ? nullptr : &entry->second;
  }
  /// As `find`; throws errc::missing_key.
  const latency_entry& at(int r, std::string_view key) const {
    if (const auto* entry = find(r, key)) return *entry;
    const std::string name = text("latency table of ", device.empty() ? "an unnamed device" : device);
    if (!resolutions.contains(r)) throw error(errc::missing_key, name, text("entries for resolution ", r), "none");
    throw error(errc::missing_key, text(name, ", resolution ", r), text("an entry ", key), "none");
  }
  friend bool operator==(const latency_table&, const latency_table&) = default;
};

/// Which figure of an entry counts. `median` falls back to the mean where a table has no median.
enum class latency_statistic : std::uint8_t {
  mean,   ///< of all samples
  median, ///< half of the samples are quicker
  min,    ///< the quickest sample
  p95,    ///< 95 % of the samples are quicker
};

/// The figure asked for; the mean of an entry that lacks it.
inline milliseconds figure(const latency_entry& e, latency_statistic which) {
  switch (which) {
  case latency_statistic::median: return e.p50.value_or(e.mean);
  case latency_statistic::min: return e.min.value_or(e.mean);
  case latency_statistic::p95: return e.p95.value_or(e.mean);
  default: return e.mean;
  }
}

} // namespace dynofa
