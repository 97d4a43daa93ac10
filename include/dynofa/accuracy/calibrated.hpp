#pragma once
#include "dynofa/accuracy/data.hpp"
#include "dynofa/accuracy/model.hpp"
#include "dynofa/accuracy/predictor.hpp"
#include "dynofa/core/affine_fit.hpp"

#include <span>
#include <utility>
#include <vector>

namespace dynofa {

/// Any accuracy model corrected by a few true measurements: true ≈ slope · predicted + intercept (least squares). On
/// the paper's six GPU sub-networks 0.846 · x + 0.075 leaves at most 0.41 points of the official predictor's 4.5
/// to 5.8.
template <accuracy_model Model>
class calibrated_accuracy {
public:
  /// Throws errc::invalid_argument for fewer than two measurements, for predictions that are all the same, and for
  /// measurements that fall as the prediction rises.
  calibrated_accuracy(Model model, std::span<const measured_arch> measured)
      : model_{std::move(model)} {
    std::vector<double> x, y;
    for (const auto& m : measured) x.push_back(model_(m.arch)), y.push_back(m.accuracy);
    fit_ = fit_affine(x, y, "accuracy calibration");
    require_argument(fit_.slope > 0, "accuracy calibration", "measurements that rise with the prediction",
                     "a slope of ", fit_.slope);
  }
  /// The corrected accuracy, in the unit of the measurements.
  double operator()(const arch& a) const { return fit_(model_(a)); }
  /// The same of many, → `out` of the same length.
  void predict(std::span<const arch> archs, std::span<double> out) const {
    predict_all(model_, archs, out);
    for (double& value : out) value = fit_(value);
  }
  /// Slope, intercept, residuals and leave-one-out errors.
  const affine_fit& fit() const { return fit_; }

private:
  Model model_;
  affine_fit fit_;
};

/// An ensemble's mean less `caution` standard deviations of its members: what a careful search maximises.
class cautious_accuracy {
public:
  /// Takes `caution` ≥ 0 standard deviations off.
  cautious_accuracy(accuracy_predictor predictor, double caution)
      : predictor_{std::move(predictor)}
      , caution_{caution} {}
  double operator()(const arch& a) const { return predict_one(*this, a); } ///< in the unit of the predictor
  /// The same of many, → `out` of the same length.
  void predict(std::span<const arch> archs, std::span<double> out) const {
    std::vector<double> spread(archs.size());
    predictor_.predict(archs, out, spread);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] -= caution_ * spread[i];
  }

private:
  accuracy_predictor predictor_;
  double caution_;
};

} // namespace dynofa
