#pragma once
#include "dynofa/core/inline_vector.hpp"
#include "dynofa/runtime/policy.hpp"
#include "dynofa/runtime/sensors.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace dynofa::runtime {

/// What became of one image: the level it ran on, why, under which target, and how long it took. Plain data, no heap.
struct image_record {
  static constexpr std::size_t most_state = 16; ///< figures of a policy's state that are kept

  std::uint64_t image = 0;                 ///< counted from 0
  std::size_t level = 0;                   ///< that it ran on
  double latency_ms = 0;                   ///< 0: the clock gave no time above 0
  target wanted;                           ///< that held for this image
  reason why = reason::start;              ///< why the policy chose the level
  bool switched = false;                   ///< the image before ran on another level
  bool cold = false, outlier = false;      ///< marks of the monitor
  sensor_readings sensors;                 ///< read after this image, if they were
  inline_vector<double, most_state> state; ///< of the policy when it had decided, in the order of the log's names

  bool late() const { return latency_ms > wanted.limit_ms(); } ///< above the target's limit
  friend bool operator==(const image_record&, const image_record&) = default;
};

/// Visits every field but `state` with its name in log files: `visit(name, field)`. Used by writers and by the reader.
template <class Record, class Visit>
void visit_fields(Record& r, Visit&& visit) {
  visit("image", r.image);
  visit("level", r.level);
  visit("latency_ms", r.latency_ms);
  visit("target_ms", r.wanted.latency_ms);
  visit("percentile", r.wanted.percentile);
  visit("min_top1", r.wanted.min_top1);
  visit("deadline_ms", r.wanted.deadline_ms);
  visit("energy_mj", r.wanted.energy_mj);
  visit("reason", r.why);
  visit("switched", r.switched);
  visit("cold", r.cold);
  visit("outlier", r.outlier);
  visit("cpu_mhz", r.sensors.cpu_mhz);
  visit("temperature_c", r.sensors.temperature_c);
  visit("busy_share", r.sensors.busy_share);
  visit("package_mj", r.sensors.package_mj);
  visit("battery_mw", r.sensors.battery_mw);
  visit("board_mw", r.sensors.board_mw);
  visit("gpu_mhz", r.sensors.gpu_mhz);
  visit("gpu_temperature_c", r.sensors.gpu_temperature_c);
  visit("gpu_busy_share", r.sensors.gpu_busy_share);
}

} // namespace dynofa::runtime
