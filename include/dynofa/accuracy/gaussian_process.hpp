#pragma once
#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/model.hpp"
#include "dynofa/accuracy/smooth_features.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace dynofa {

namespace detail {
template <class Real>
using columns_of = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;
template <class Real>
using rows_of_samples = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Real>
using vector_of = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

/// [n, features]
template <class Single>
rows_of_samples<Single> smooth_feature_rows(const smooth_features& features, std::span<const arch> archs) {
  rows_of_samples<Single> x(static_cast<Eigen::Index>(archs.size()), static_cast<Eigen::Index>(features.size()));
  for (std::size_t i = 0; i < archs.size(); ++i)
    features(archs[i], std::span(x.data() + i * features.size(), features.size()));
  return x;
}
} // namespace detail

/// How the weights of a covariance are found.
struct covariance_options {
  int points = 600;       ///< measurements per step, another part of the data each time; a step costs their cube
  int steps = 60;         ///< of gradient ascent
  std::uint64_t seed = 1; ///< of the order in which the data is taken
  std::stop_token stop;   ///< ends the ascent between two steps, by errc::cancelled
};

/// How alike the accuracies of two architectures are, in units of the data's variance:
/// constant + Σ linear_d x_d y_d + smooth · exp(−½ Σ rate_d (x_d − y_d)²) over `smooth_features`, plus `noise` on the
/// diagonal. Every feature has a weight of its own in both sums (automatic relevance determination).
template <class Real>
struct basic_arch_covariance {
  ///@{
  /// Eigen's, of `Real`.
  using vector = detail::vector_of<Real>;
  using matrix = detail::columns_of<Real>;
  ///@}

  vector linear, rate; ///< weights of the features, and how fast likeness falls with distance in each
  Real constant = 1, smooth = 1, noise = 0.01; ///< the other terms' weights, and the variance of a measurement

  /// Weights that make the data likely: gradient ascent (Adam on logarithms) of the marginal likelihood of `points`
  /// measurements at a time, with a wide log-normal prior so that ten measurements do not run away with 130 weights.
  /// Rasmussen and Williams, Gaussian Processes for Machine Learning, 5.9. Costs about 3 s with plain SSE2 code.
  /// Throws errc::cancelled when asked to stop.
  static basic_arch_covariance fit(const space_description& space, std::span<const measured_arch> data,
                                   const covariance_options& options = {}) {
    const smooth_features features(space);
    const auto dims = static_cast<Eigen::Index>(features.size());
    std::vector<measured_arch> shuffled = split(data, 1, options.seed).first;
    const auto n = static_cast<Eigen::Index>(shuffled.size());
    const Eigen::Index part = std::min<Eigen::Index>(n, std::max(options.points, 2));
    const auto [mean, scale] = mean_and_deviation(data);

    // logarithms of: rate, linear, smooth, noise, constant
    const Eigen::Index smooth_at = 2 * dims, noise_at = smooth_at + 1, constant_at = smooth_at + 2;
    vector start(constant_at + 1);
    start.head(dims).setConstant(std::log(0.01));
    start.segment(dims, dims).setConstant(std::log(0.02));
    start.segment(dims - 3, 3) << std::log(0.2), std::log(0.05), std::log(0.05);
    start[smooth_at] = 0, start[noise_at] = std::log(0.01), start[constant_at] = 0;

    vector now = start, m = vector::Zero(now.size()), v = m, gradient(now.size());
    std::vector<arch> archs(static_cast<std::size_t>(part));
    vector z(part);
    Eigen::Index next = 0;
    for (int step = 1; step <= options.steps; ++step) {
      if (options.stop.stop_requested())
        throw error(errc::cancelled, "covariance of architectures", "to go on", "a request to stop");
      for (Eigen::Index i = 0; i < part; ++i, next = (next + 1) % n) {
        const auto& one = shuffled[static_cast<std::size_t>(next)];
        archs[static_cast<std::size_t>(i)] = one.arch;
        z[i] = (one.accuracy - mean) / scale;
      }
      const matrix x = detail::smooth_feature_rows<float>(features, archs).template cast<Real>();
      const basic_arch_covariance c = of_logarithms(now);
      const matrix near = c.smooth_part(x, x);
      matrix k = near + c.linear_part(x, x);
      k.diagonal().array() += c.noise + jitter;
      const Eigen::LLT<matrix> factor(k);
      const vector weights = factor.solve(z);
      // d likelihood / d k, twice
      matrix slope = -factor.solve(matrix::Identity(part, part));
      slope.noalias() += weights * weights.transpose();
      const matrix by_near = slope.cwiseProduct(near), by_near_x = by_near * x, slope_x = slope * x;
      const vector row_sums = by_near.rowwise().sum();
      for (Eigen::Index d = 0; d < dims; ++d) {
        const double spread =
            2 * (x.col(d).array().square() * row_sums.array()).sum() - 2 * x.col(d).dot(by_near_x.col(d));
        gradient[d] = -0.25 * spread * c.rate[d];
        gradient[dims + d] = 0.5 * x.col(d).dot(slope_x.col(d)) * c.linear[d];
      }
      gradient[smooth_at] = 0.5 * by_near.sum();
      gradient[noise_at] = 0.5 * slope.trace() * c.noise;
      gradient[constant_at] = 0.5 * slope.sum() * c.constant;
      gradient -= (now - start) / (prior_deviation * prior_deviation);
      if (!gradient.allFinite()) break; // singular: what was found so far stands
      const double rate = step <= options.steps * 7 / 10 ? 0.15 : 0.05;
      m = 0.8 * m + 0.2 * gradient;
      v = 0.95 * v + 0.05 * gradient.cwiseAbs2();
      now.array() +=
          rate * (m.array() / (1 - std::pow(0.8, step))) / ((v.array() / (1 - std::pow(0.95, step))).sqrt() + 1e-8);
      now = now.cwiseMax(-18.0).cwiseMin(8.0);
    }
    return of_logarithms(now);
  }

  /// exp(…) of every pair of rows [a, b].
  matrix smooth_part(const matrix& a, const matrix& b) const {
    const matrix as = a * rate.cwiseSqrt().asDiagonal(), bs = b * rate.cwiseSqrt().asDiagonal();
    matrix d = as * bs.transpose();
    d.colwise() -= 0.5 * as.rowwise().squaredNorm();
    d.rowwise() -= 0.5 * bs.rowwise().squaredNorm().transpose();
    return smooth * d.array().exp();
  }
  /// Constant and linear part between each row of `a` and each of `b`: [rows of a, rows of b].
  matrix linear_part(const matrix& a, const matrix& b) const {
    return (a * linear.asDiagonal() * b.transpose()).array() + constant;
  }

  static constexpr double jitter = 1e-6; ///< added to the diagonal, so that equal rows leave it invertible
  /// Of the data; the deviation at least 1e-9.
  static std::pair<double, double> mean_and_deviation(std::span<const measured_arch> data) {
    double mean = 0, variance = 0;
    const double n = static_cast<double>(data.size());
    for (const auto& one : data) mean += one.accuracy / n;
    for (const auto& one : data) variance += (one.accuracy - mean) * (one.accuracy - mean) / n;
    return {mean, std::max(std::sqrt(variance), 1e-9)};
  }

private:
  static constexpr double prior_deviation = 3; // of logarithms
  static basic_arch_covariance of_logarithms(const vector& l) {
    const Eigen::Index dims = (l.size() - 3) / 2;
    return {l.segment(dims, dims).array().exp(), l.head(dims).array().exp(), std::exp(l[2 * dims + 2]),
            std::exp(l[2 * dims]), std::exp(l[2 * dims + 1])};
  }
};
using arch_covariance = basic_arch_covariance<double>; ///< in double precision

/// The accuracy that measurements of other architectures make most likely (Gaussian process regression): exact, smooth,
/// and on 2500 measurements nearer the truth than a network trained on them. Costs points³ / 3 multiply-adds to make
/// and points · (features + an exponential) per prediction, so it is the teacher of the small networks that a search
/// uses (train.hpp). Made in `Real`, answers in `Single`.
template <class Real, class Single>
class basic_gaussian_process {
public:
  /// Throws errc::invalid_arch for an architecture that the space does not contain, errc::invalid_argument for fewer
  /// than 2 measurements or more than 20000 (3.2 GB of matrix).
  basic_gaussian_process(const space_description& space, const basic_arch_covariance<Real>& covariance,
                         std::span<const measured_arch> data)
      : features_{space}
      , smooth_{static_cast<Single>(covariance.smooth)} {
    require_argument(data.size() >= 2 && data.size() <= 20000, "Gaussian process", "2 to 20000 measurements",
                     data.size());
    std::tie(mean_, scale_) = basic_arch_covariance<Real>::mean_and_deviation(data);
    noise_ = std::sqrt(covariance.noise) * scale_;
    std::vector<arch> archs;
    detail::vector_of<Real> z(static_cast<Eigen::Index>(data.size()));
    for (const auto& one : data) {
      z[static_cast<Eigen::Index>(archs.size())] = (one.accuracy - mean_) / scale_;
      archs.push_back(one.arch);
    }
    const detail::columns_of<Real> x = detail::smooth_feature_rows<Single>(features_, archs).template cast<Real>();
    detail::columns_of<Real> k = covariance.smooth_part(x, x) + covariance.linear_part(x, x);
    k.diagonal().array() += covariance.noise + basic_arch_covariance<Real>::jitter;
    const detail::vector_of<Real> weights = Eigen::LLT<detail::columns_of<Real>>(k).solve(z);
    require_argument(weights.allFinite(), "Gaussian process", "measurements that differ", "a singular covariance");
    // the linear part of a prediction is one vector of coefficients
    linear_ = (covariance.linear.asDiagonal() * (x.transpose() * weights)).template cast<Single>();
    constant_ = static_cast<Single>(covariance.constant * weights.sum());
    root_rate_ = covariance.rate.cwiseSqrt().template cast<Single>();
    points_ = (x.template cast<Single>() * root_rate_.asDiagonal()).transpose();
    half_norms_ = Single(0.5) * points_.colwise().squaredNorm();
    weights_ = weights.template cast<Single>();
  }

  /// In the unit of the data; throws errc::invalid_arch.
  double operator()(const arch& a) const { return predict_one(*this, a); }
  /// Values of many architectures → `out` of the same length.
  void predict(std::span<const arch> archs, std::span<double> out) const {
    constexpr std::size_t rows = 64; // always a whole block, so that a value does not depend on its neighbours
    std::vector<arch> block(rows);
    for (std::size_t begin = 0; begin < archs.size(); begin += rows) {
      const std::size_t n = std::min(rows, archs.size() - begin);
      for (std::size_t i = 0; i < rows; ++i) block[i] = archs[begin + std::min(i, n - 1)];
      const detail::rows_of_samples<Single> x = detail::smooth_feature_rows<Single>(features_, block);
      const detail::rows_of_samples<Single> scaled = x * root_rate_.asDiagonal();
      detail::rows_of_samples<Single> near = scaled * points_;
      near.rowwise() -= half_norms_;
      near.colwise() -= Single(0.5) * scaled.rowwise().squaredNorm();
      near = near.array().exp();
      const detail::vector_of<Single> value = (smooth_ * (near * weights_)).array() + (x * linear_).array() + constant_;
      for (std::size_t i = 0; i < n; ++i) out[begin + i] = double(value[static_cast<Eigen::Index>(i)]) * scale_ + mean_;
    }
  }
  /// Standard deviation of one measurement around the truth, as the data shows it, in its unit.
  double noise() const { return noise_; }

private:
  smooth_features features_;
  Single smooth_, constant_ = 0;
  double mean_ = 0, scale_ = 1, noise_ = 0;
  detail::vector_of<Single> linear_, root_rate_, weights_;
  detail::rows_of_samples<Single> points_; // [features, points]
  Eigen::Matrix<Single, 1, Eigen::Dynamic> half_norms_;
};
using gaussian_process = basic_gaussian_process<double, float>; ///< solved in double precision, predicting in single

} // namespace dynofa
