#pragma once
#include "dynofa/accuracy/model.hpp"
#include "dynofa/accuracy/statistics.hpp"
#include "dynofa/accuracy/train.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace dynofa {

/// How well predictions agree with measurements. RMSE and bias (mean of predicted − measured) in the unit of the data.
struct prediction_quality {
  double rmse = 0, kendall_tau = 0, spearman = 0, bias = 0; ///< the correlations of ranks lie in −1 … 1
};

/// Throws errc::invalid_argument for fewer than two measurements.
template <accuracy_model Model>
prediction_quality assess(const Model& model, std::span<const measured_arch> data) {
  std::vector<arch> archs;
  std::vector<double> measured, predicted(data.size());
  for (const auto& m : data) archs.push_back(m.arch), measured.push_back(m.accuracy);
  predict_all(model, std::span<const arch>(archs), std::span<double>(predicted));
  prediction_quality q{rmse(predicted, measured), kendall_tau(predicted, measured), spearman(predicted, measured), 0};
  for (std::size_t i = 0; i < data.size(); ++i)
    q.bias += (predicted[i] - measured[i]) / static_cast<double>(data.size());
  return q;
}

/// k-fold cross validation: trains on all but one of `folds` seeded parts and assesses on that one, for each. Costs
/// `folds` trainings. Throws errc::invalid_argument for fewer than 2 folds or folds of fewer than 10.
template <class Scalar = float>
std::vector<prediction_quality> cross_validate(const space_description& space, std::span<const measured_arch> data,
                                               int folds, const training_options& options = {}) {
  require_argument(folds >= 2 && data.size() / 10 >= static_cast<std::size_t>(folds), "cross validation",
                   "2 or more folds of at least 10 architectures", folds, " folds of ", data.size());
  const auto shuffled = split(data, 1, mix64(options.seed)).first; // not the order in which members hold back
  std::vector<prediction_quality> result;
  for (std::size_t f = 0, n = static_cast<std::size_t>(folds); f < n; ++f) {
    const std::size_t begin = shuffled.size() * f / n, end = shuffled.size() * (f + 1) / n;
    std::vector<measured_arch> rest(shuffled.begin(), shuffled.begin() + static_cast<std::ptrdiff_t>(begin));
    rest.insert(rest.end(), shuffled.begin() + static_cast<std::ptrdiff_t>(end), shuffled.end());
    result.push_back(
        assess(train_predictor<Scalar>(space, rest, options), std::span(shuffled).subspan(begin, end - begin)));
  }
  return result;
}

} // namespace dynofa
