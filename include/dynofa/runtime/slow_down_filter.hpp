#pragma once
#include "dynofa/core/error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace dynofa::runtime {

/// All variances and deviations are of the natural logarithm of a latency: 0.03 reads "3 %".
struct slow_down_options {
  /// Deviation of the slow-down factor before the first image. 0.32, as in ALERT (variance 0.1): the first level is
  /// chosen with care, and the first image decides nearly all.
  double start_deviation = 0.32;
  /// Noise of single images before any is seen; the filter learns the true figure. 0.04: a guess on the safe side.
  double start_noise = 0.04;
  /// The least noise believed in. 0.005: below it a timer's resolution and a degree of temperature would look like
  /// news.
  double least_noise = 0.005;
  /// How far the slow-down drifts per image, in units of the noise. 0.05: the estimate averages about 20 images.
  double drift = 0.05;
  /// Share of a new image in the estimate of the noise. 0.01: about 100 images.
  double noise_gain = 0.01;
  /// An image further from the forecast than this many deviations is a surprise: not believed until confirmed. 4: one
  /// of 16 000 images of Gaussian noise.
  double surprise = 4;
  /// Surprises in a row on the slow side that make a step if it is urgent, as they are late: 2. One may be an outlier,
  /// and a third late image would be one too many.
  std::size_t confirm_slow = 2;
  /// Surprises that make a step if it is not, be they quicker or slow and in time: that many, and alike. 3: acting late
  /// costs little then, and a disturbance that passes leaves images that are not alike. With 8 in a row any will do.
  std::size_t confirm_quick = 3;
  /// How much a level's own factor may differ from the table, beyond what slows all of them. 0.02: an assumption about
  /// the error of a table.
  double level_deviation = 0.02;
};

/// What became of an observation.
enum class slow_down_verdict : std::uint8_t {
  taken, ///< the forecast follows it
  waits, ///< too surprising to believe alone: kept until others agree
  step,  ///< others agreed: the slow-down was moved at once
};

/// By how much one level is slower than all of them are: logarithm and its variance.
struct own_factor {
  double value = 0, variance = 0; ///< of the logarithm
};

/// A Kalman filter of one factor by which a processor is slower than the table says, after ALERT (Wan et al., USENIX
/// ATC 2020), with four changes of ours (not compared with ALERT's own form):
/// 1. Logarithms, so that a factor of 0.5 and of 4 behave alike and noise is a share of the latency.
/// 2. Noise of images (R) and drift of the factor (Q) are told apart, and both are learnt. ALERT's R of 0.001 with a Q
///    of at least 0.1 believes nearly every single image, which makes levels chase noise.
/// 3. A far outlier waits for its confirmation by the next ones: steps are taken whole, outliers leave no trace here
///    (they stay in the share of late images that `forecast` keeps).
/// 4. Each level has a small factor of its own: an image on one level says nearly all about the others, not all.
///
/// `Factors` holds the levels' own factors: a vector, or an `inline_vector` where the filter has to be trivially
/// copyable.
template <class Factors>
class basic_slow_down_filter {
public:
  using verdict = slow_down_verdict; ///< what became of an observation

  /// Starts at a slow-down of 1.
  explicit basic_slow_down_filter(std::size_t levels, slow_down_options options = {})
      : options_{options}
      , own_(levels)
      , noise2_{options.start_noise * options.start_noise}
      , variance_{options.start_deviation * options.start_deviation} {
    for (auto [value, what] : {std::pair{options.start_deviation, "start_deviation"},
                               {options.start_noise, "start_noise"},
                               {options.least_noise, "least_noise"},
                               {options.drift, "drift"},
                               {options.noise_gain, "noise_gain"},
                               {options.level_deviation, "level_deviation"}})
      require_argument(value > 0 && value <= 1, text("slow_down_options::", what), "above 0, at most 1", value);
    require_argument(std::min(options.confirm_slow, options.confirm_quick) >= 2 &&
                         std::max(options.confirm_slow, options.confirm_quick) <= seen_.size(),
                     "slow_down_options::confirm_…", text("2 to ", seen_.size(), " images"),
                     text(options.confirm_slow, " and ", options.confirm_quick));
    require_argument(options.surprise >= 1, "slow_down_options::surprise", "at least 1", options.surprise);
    for (own_factor& o : own_) o.variance = options.level_deviation * options.level_deviation;
  }

  /// Takes log(latency / table's latency) of one image on `level`. `urgent`: if it is slow, it and those before
  /// are late enough to be believed.
  verdict observe(std::size_t level, double z, bool urgent = true) noexcept {
    own_factor& o = own_[level];
    if (images_ > 0) variance_ += process_variance();
    const double total = variance_ + o.variance + noise2_, y = z - value_ - o.value;
    last_surprise_ = y / std::sqrt(total);
    ++images_;
    if (std::abs(last_surprise_) > options_.surprise && images_ > 1) {
      return doubt(level, z, y, urgent);
    }
    forget_doubts();
    // The signed mean of surprises: 0 if the forecast is right on average, whatever the noise.
    bias_ += bias_gain * (last_surprise_ - bias_);
    learn_noise(y * y * noise2_ / total); // the noise's share of the square
    const double gain = variance_ / total, own_gain = o.variance / total;
    value_ += gain * y;
    o.value += own_gain * y;
    variance_ *= 1 - gain;
    o.variance = std::max(o.variance * (1 - own_gain), own_floor());
    return verdict::taken;
  }

  /// Mean of log(latency / table's latency) of the next image on `level`.
  double log_factor(std::size_t level) const noexcept { return value_ + own_[level].value; }
  /// Its deviation, noise of a single image included.
  double deviation(std::size_t level) const noexcept { return std::sqrt(variance_ + own_[level].variance + noise2_); }
  double log_slow_down() const noexcept { return value_; }       ///< its logarithm: 0 on the undisturbed device
  double slow_down() const noexcept { return std::exp(value_); } ///< by how much images take longer than the table says
  double noise() const noexcept { return std::sqrt(noise2_); }   ///< deviation of a single image, as a logarithm
  /// Deviation of the slow-down factor itself.
  double uncertainty() const noexcept { return std::sqrt(variance_); }
  /// How many deviations the last image was from its forecast.
  double last_surprise() const noexcept { return last_surprise_; }
  double bias() const noexcept { return bias_; }            ///< moving mean of surprises, in deviations
  std::uint64_t images() const noexcept { return images_; } ///< taken
  std::uint64_t steps() const noexcept { return steps_; }   ///< sudden changes that were recognised

  /// Something has happened that moves the slow-down by about `shift`, give or take `deviation` (logarithms): the next
  /// images decide how much. Surprises that wait are from before.
  void expect(double shift, double deviation) noexcept {
    value_ += shift;
    variance_ += deviation * deviation;
    waiting_ = 0;
  }
  /// Nothing in it is out of bounds: what has to be asked of a filter that lay in memory of others.
  bool valid(std::size_t levels) const noexcept {
    if (own_.size() != levels) return false;
    for (const own_factor& o : own_)
      if (!std::isfinite(o.value) || !(o.variance >= 0)) return false;
    for (const double x : {value_, noise2_, variance_, bias_, last_surprise_})
      if (!std::isfinite(x)) return false;
    return noise2_ > 0 && variance_ >= 0 && waiting_ <= seen_.size();
  }

private:
  static constexpr double bias_gain = 0.2;          // about 9 images …
  static constexpr double bias_deviation = 1.0 / 3; // … √(0.2 / 1.8) for independent surprises
  static constexpr double tolerated_bias = 2;       // in its deviations

  /// Q: a slow drift always, more of it when surprises lean to one side (a ramp, or a step too small to surprise).
  double process_variance() const noexcept {
    const double lean = std::max(0.0, std::abs(bias_) / bias_deviation - tolerated_bias);
    const double share = options_.drift * options_.drift + 0.1 * lean * lean;
    return std::min(share, 1.0) * noise2_;
  }
  /// A level's own factor stays open by a tenth of what it began with, so that a wrong start is unlearnt.
  double own_floor() const noexcept { return 0.01 * options_.level_deviation * options_.level_deviation; }
  void learn_noise(double squared) noexcept {
    const double gain = std::max(options_.noise_gain, 1.0 / (10.0 + static_cast<double>(images_)));
    noise2_ += gain * (std::min(squared, 9 * noise2_) - noise2_);
    noise2_ = std::max(noise2_, options_.least_noise * options_.least_noise);
  }

  /// Surprises that no other confirmed were outliers, or a wider noise than believed: learnt in small portions.
  void forget_doubts() noexcept {
    for (; waiting_ > 0; --waiting_) learn_noise(4 * noise2_);
  }

  /// A surprise: the beginning of a step or an outlier; the following images tell.
  verdict doubt(std::size_t level, double z, double y, bool urgent) noexcept {
    const bool slower = y > 0, at_once = slower && urgent;
    if (slower != (doubts_slower_ != 0)) forget_doubts();
    doubts_slower_ = slower;
    if (waiting_ == seen_.size()) std::copy(seen_.begin() + 1, seen_.end(), seen_.begin()), --waiting_;
    seen_[waiting_++] = z - own_[level].value;
    const std::size_t wanted = at_once ? options_.confirm_slow : options_.confirm_quick;
    if (waiting_ < wanted) return verdict::waits;
    const auto end = seen_.begin() + static_cast<std::ptrdiff_t>(waiting_);
    const auto begin = end - static_cast<std::ptrdiff_t>(wanted);
    const auto [least, most] = std::minmax_element(begin, end);
    const double spread = *most - *least, last = *(end - 1);
    const bool alike = spread < options_.surprise * std::sqrt(2 * noise2_);
    if (!alike && !at_once && waiting_ < seen_.size()) return verdict::waits;
    // Alike: a step, to their mean. Rising: the step fell into the first of them, and the last tells where to. Falling:
    // how far it goes is open. Slower conditions may be noisier ones too, which so few images do not tell: the next one
    // is forecast nearly as carefully as the very first.
    const auto n = static_cast<double>(wanted);
    value_ = alike ? std::accumulate(begin, end, 0.0) / n : last;
    variance_ = noise2_ / n;
    if (slower) variance_ = std::max(variance_, options_.start_noise * options_.start_noise / (n - 1));
    if (!alike) variance_ = std::max(noise2_, slower && last < *most ? spread * spread : variance_);
    bias_ = 0;
    waiting_ = 0;
    ++steps_;
    return verdict::step;
  }

  slow_down_options options_;
  Factors own_;
  double value_ = 0, noise2_, variance_, bias_ = 0, last_surprise_ = 0;
  std::array<double, 8> seen_{};   // surprises that wait, as log factors
  std::uint8_t doubts_slower_ = 0; // a byte: any value of it is legal in memory that others wrote
  std::size_t waiting_ = 0;
  std::uint64_t images_ = 0, steps_ = 0;
};

using slow_down_filter = basic_slow_down_filter<std::vector<own_factor>>; ///< of levels on the heap

} // namespace dynofa::runtime
