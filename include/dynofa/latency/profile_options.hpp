#pragma once
#include "dynofa/latency/interpolate.hpp"
#include "dynofa/space/arch.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace dynofa {

/// What a profiler tells while it works.
struct profile_progress {
  std::size_t done = 0, total = 1000; ///< thousandths of the work or of the time, whichever is further
  std::size_t settled = 0, keys = 0;  ///< operations whose median is known well enough, of all
  double seconds = 0;                 ///< spent so far, earlier runs included
};

/// What is timed, how precisely and for how long.
struct profile_options {
  std::vector<int> resolutions = {};  ///< empty: all that the space offers
  bool quick = false;                 ///< time a subset and interpolate the rest
  double tolerance = 0.02;            ///< wanted: ± 2 % around each median, with 95 % confidence …
  double seconds_per_resolution = 15; ///< … but no longer than this; every operation is timed once in any case
  std::size_t least_samples = 12;     ///< of each operation
  int runs_per_sample = 1;            ///< raise it where the device's clock is coarse
  std::uint64_t seed = 1;             ///< of the carriers
  std::string device = {};            ///< for the table; empty: the processor's name
  std::string isa = {};               ///< for the table, where the backend does not tell
  int threads = 0;                    ///< for the table; 0: unknown
  std::function<bool(const profile_progress&)> on_progress = {}; ///< false stops
  std::stop_token stop = {};                                     ///< ends the profile between two measurements
};

/// How far a table can be trusted.
struct profile_report {
  /// An operation whose median is not precise enough.
  struct unsettled {
    ///@{
    /// Where it stands in the table.
    int r;
    std::string key;
    ///@}
    double half_width; ///< of the median's interval, relative
  };
  std::size_t keys = 0;               ///< operations timed
  std::vector<unsettled> unsettled;   ///< those whose median is not within the tolerance, worst first
  double drift = 0;                   ///< |last third − first third| of the reference operation, relative
  double noise = 0;                   ///< interquartile range of the reference operation, relative
  double seconds = 0;                 ///< spent on measurements
  interpolation_report interpolation; ///< of a quick profile
};

/// A whole network and its median time.
struct timed_arch {
  dynofa::arch arch;    ///< of the space profiled
  milliseconds latency; ///< the median
};

} // namespace dynofa
