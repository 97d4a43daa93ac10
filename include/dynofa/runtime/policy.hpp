#pragma once
#include "dynofa/runtime/level_figures.hpp"
#include "dynofa/runtime/target.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace dynofa::runtime {

/// Why a policy's last decision is what it is.
enum class reason : std::uint8_t {
  start,          ///< nothing observed yet
  hold,           ///< the level stays
  too_slow,       ///< fewer images than wanted would be in time: lower
  room,           ///< a better level will be in time as well: higher
  target_changed, ///< chosen anew for another target
  infeasible,     ///< no level meets the target: the least bad one
};

/// As the enumerator is spelled, in logs.
constexpr std::string_view name(reason r) {
  switch (r) {
  case reason::start: return "start";
  case reason::hold: return "hold";
  case reason::too_slow: return "too_slow";
  case reason::room: return "room";
  case reason::target_changed: return "target_changed";
  case reason::infeasible: return "infeasible";
  }
  return "";
}

/// Takes the fields of a policy's state, one call each; stands in for any such callable in the concept.
struct field_sink {
  void operator()(std::string_view /*name*/, double /*value*/) const {} ///< does nothing
};

/// A run-time policy: a state machine that learns from one latency after the other and says which level runs next.
///
/// No clock, no randomness, no allocation, no throw: the same calls give the same levels, so that a log replays. Not
/// thread-safe; whoever shares one guards it. `observe` is called once per image with the level it ran on. `decide` may
/// be called at any time, with another target whenever the user likes; repeated without `observe` it gives the same
/// level. `dump(f)` calls `f(name, value)` for every figure of the state worth logging.
template <class P>
concept runtime_policy = std::copyable<P> &&
    requires(P p, const P c, std::size_t level, double latency_ms, const target& t) {
  { p.observe(level, latency_ms) }
  noexcept->std::same_as<void>;
  { p.decide(t) }
  noexcept->std::same_as<std::size_t>;
  { c.levels() }
  noexcept->std::same_as<std::span<const level_figures>>;
  { c.why() }
  noexcept->std::same_as<reason>;
  { P::name } -> std::convertible_to<std::string_view>;
  c.dump(field_sink{});
};

} // namespace dynofa::runtime
