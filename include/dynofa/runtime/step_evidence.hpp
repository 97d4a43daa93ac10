#pragma once
#include "dynofa/runtime/slow_down_filter.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>

namespace dynofa::runtime {

/// Whether two slow images in a row, the second of them late, are a step of the slow-down, which no third image may
/// suffer from, or a disturbance that passes.
///
/// On a shared machine something takes the processor for a moment every now and then: 2 to 4 ms each half second on the
/// one that tests/golden/traces were recorded on. Where it falls on the boundary of two images, both are slow. What
/// tells the two apart:
/// 1. Size. A disturbance takes about as many milliseconds as those before it.
/// 2. Likeness. The images of a step differ by noise only, a disturbance is cut anywhere. Unlike ones are no proof, as
/// a
///    step may begin within the first of them.
/// 3. Experience: how many of either there were.
///
/// Where nothing has disturbed yet, such images are a step; three late ones always are. Trivially copyable.
class step_evidence {
public:
  /// One image: by how much it and its forecast are slower than the table says (logarithms), the noise of single
  /// images, the time that it took beyond the forecast. Returns whether it and those before it are late enough for a
  /// step.
  bool observe(double slow_down, double forecast, double noise, double excess_ms, bool late) noexcept {
    if (step_ms_ > 0) { // the first image after a step tells whether it was one
      const bool stayed = slow_down > (before_step_ + forecast) / 2;
      stayed ? count(steps_, disturbances_) : add_disturbance(step_ms_);
      step_ms_ = 0;
    }
    late_in_a_row_ = late ? std::min(late_in_a_row_ + 1, 3U) : 0;
    const double difference = slow_down - std::exchange(last_slow_down_, slow_down);
    forecast_ = forecast;
    excess_ms_ = excess_ms;
    if (late_in_a_row_ == 3) return true;
    if (!late || (late_in_a_row_ == 1 && waiting_ == 0)) return false;
    return taken_ms_ + excess_ms > most_times * most_ms_ || odds(difference, noise) > 1;
  }

  /// What the filter made of that image.
  void learn(slow_down_verdict verdict) noexcept {
    if (verdict == slow_down_verdict::waits) {
      taken_ms_ += excess_ms_;
      ++waiting_;
      late_waiting_ += late_in_a_row_ > 0;
      return;
    }
    if (verdict == slow_down_verdict::step && late_in_a_row_ > 0) {
      step_ms_ = taken_ms_ + excess_ms_;
      before_step_ = forecast_;
    }
    if (verdict == slow_down_verdict::taken && late_waiting_ > 0) add_disturbance(taken_ms_);
    taken_ms_ = 0;
    waiting_ = late_waiting_ = 0;
  }

  /// As `latency_forecast::valid`.
  bool valid() const noexcept {
    const double all[] = {steps_,    disturbances_,   most_ms_, taken_ms_,   excess_ms_,
                          forecast_, last_slow_down_, step_ms_, before_step_};
    return std::all_of(std::begin(all), std::end(all), [](double x) { return std::isfinite(x); }) && steps_ >= 0 &&
           disturbances_ >= 0 && late_in_a_row_ <= 3;
  }

private:
  /// A disturbance of up to twice what the largest took is one more of them: its images are slower than forecast in
  /// other ways too, as caches are cold after it.
  static constexpr double most_times = 2;
  /// Share of what is known that one more event leaves: the latest ten or so count.
  static constexpr double kept = 0.9;
  /// What is known before anything is seen. 1 step and 1/4 disturbance: two unlike images are a step before the first
  /// disturbance, and not after it.
  static constexpr double disturbances_before = 0.25, steps_before = 1;

  /// Step against disturbance. A step began between two images or within the first of them, as likely the one as the
  /// other: then its images differ by the noise of both, or by any part of it. Those of a disturbance differ by any
  /// part. Both are taken to be of factors up to e, so that "any part" has a density of 1.
  double odds(double difference, double noise) const noexcept {
    const double deviation = std::sqrt(2.0) * noise, x = difference / deviation;
    const double alike = std::exp(-x * x / 2) / (2.5066282746310002 * deviation);
    return (0.5 * alike + 0.5) * (steps_ + steps_before) / (disturbances_ + disturbances_before);
  }
  static void count(double& of, double& other) noexcept { of = kept * of + 1, other *= kept; }
  void add_disturbance(double ms) noexcept {
    count(disturbances_, steps_);
    most_ms_ = std::max(kept * most_ms_, ms);
  }

  double steps_ = 0, disturbances_ = 0, most_ms_ = 0;
  double taken_ms_ = 0;                                      // by the images that wait
  double excess_ms_ = 0, forecast_ = 0, last_slow_down_ = 0; // of the last image
  double step_ms_ = 0, before_step_ = 0;                     // of a step that is one image old
  std::uint32_t late_in_a_row_ = 0, waiting_ = 0, late_waiting_ = 0;
};

} // namespace dynofa::runtime
