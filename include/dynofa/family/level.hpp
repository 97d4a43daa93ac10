#pragma once
#include "dynofa/calibrate/measured_accuracy.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/space/arch.hpp"

#include <string>
#include <vector>

namespace dynofa {

/// What one image took on one device, batch 1.
struct measured_latency {
  std::string device; ///< what `backend.name()` and the profiler call it: "cpu avx512, 2 threads, AMD EPYC 9…"
  double median_ms = 0, p95_ms = 0, min_ms = 0; ///< of single images
  int images = 0;                               ///< that were timed
  friend bool operator==(const measured_latency&, const measured_latency&) = default;
};

/// One member of a family: an architecture, the statistics that make it work, and what was measured of it. Owns no
/// weights. A session binds it: `session.load(level.arch, level.statistics, 1, level.format)`.
struct family_level {
  dynofa::arch arch;                     ///< of the family's space
  bn_statistics statistics;              ///< of this architecture, at its resolution; with activation ranges for int8
  measured_accuracy accuracy;            ///< in its number format
  std::vector<measured_latency> latency; ///< one per device, in its number format
  std::string format = {}; ///< the number format it runs in, "int8"; "": the one that a backend is opened with
  friend bool operator==(const family_level&, const family_level&) = default;
};

} // namespace dynofa
