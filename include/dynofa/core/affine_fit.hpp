#pragma once
#include "dynofa/core/error.hpp"

#include <cmath>
#include <span>
#include <string_view>
#include <vector>

namespace dynofa {

/// y ≈ slope · x + intercept by least squares, and how well it does.
struct affine_fit {
  double slope = 1, intercept = 0;   ///< in y per x, and in y
  std::vector<double> residuals;     ///< y − fit, per point
  std::vector<double> leave_one_out; ///< y − the fit made without that point; NaN where the rest has only one x

  double operator()(double x) const { return slope * x + intercept; } ///< y by the fit
  /// Root of the mean square of the leave-one-out errors.
  double leave_one_out_rms() const {
    double sum = 0;
    for (double e : leave_one_out) sum += e * e;
    return leave_one_out.empty() ? 0 : std::sqrt(sum / static_cast<double>(leave_one_out.size()));
  }
};

/// Fits in two passes around the means. Throws errc::invalid_argument for lists of unequal length, fewer than two
/// points, values that are not finite, or x that are all the same. `where` names the use in errors.
inline affine_fit fit_affine(std::span<const double> x, std::span<const double> y,
                             std::string_view where = "affine fit") {
  require_argument(x.size() == y.size(), where, text(x.size(), " measured values"), y.size());
  require_argument(x.size() >= 2, where, "at least 2 points", x.size());
  const double n = static_cast<double>(x.size());
  double mx = 0, my = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    require_argument(std::isfinite(x[i]) && std::isfinite(y[i]), where, "finite values", x[i], " and ", y[i]);
    mx += x[i] / n, my += y[i] / n;
  }
  double sxx = 0, sxy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sxx += (x[i] - mx) * (x[i] - mx), sxy += (x[i] - mx) * (y[i] - my);
  require_argument(sxx > 1e-18 * n * (mx * mx + 1e-300), where, "points that differ in x", "all at ", mx);
  affine_fit fit;
  fit.slope = sxy / sxx;
  fit.intercept = my - fit.slope * mx;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double residual = y[i] - fit(x[i]), leverage = 1 / n + (x[i] - mx) * (x[i] - mx) / sxx;
    fit.residuals.push_back(residual);
    fit.leave_one_out.push_back(leverage < 1 - 1e-12 ? residual / (1 - leverage)
                                                     : std::nan("")); // the hat-matrix identity
  }
  return fit;
}

} // namespace dynofa
