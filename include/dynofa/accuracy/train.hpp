#pragma once
#include "dynofa/accuracy/gaussian_process.hpp"
#include "dynofa/accuracy/training_network.hpp"
#include "dynofa/space/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace dynofa {

/// How an ensemble is trained.
struct training_options {
  std::vector<int> hidden{128, 128}; ///< widths of the layers between
  int members = 5;                   ///< networks of the ensemble
  double validation = 0.2;           ///< share of the measurements that a member holds back, each another one
  int epochs = 20;                   ///< at most, per member
  int patience = 8;                  ///< epochs without a better validation error until a member stops
  int batch = 128;                   ///< measurements per step of the optimiser
  double learning_rate = 5e-3;       ///< of Adam, falling to 0 as a half cosine
  double weight_decay = 1e-3;        ///< decoupled (AdamW), weights only
  /// Architectures without a measurement that a Gaussian process answers for: each member learns from its own
  /// measurements' process. 0: from the measurements alone, which costs 0.1 points of error (and wants 100 epochs).
  int taught = 28000;
  int teacher_points = 3000; ///< measurements that a process takes in at most; its cost grows with their cube
  std::uint64_t seed = 1;    ///< of first weights, order and parts held back: the same seed gives the same predictor
  std::function<bool(int done, int total)> on_progress; ///< epochs of all members; false stops
  std::stop_token stop;                                 ///< ends training as `on_progress` does
};

/// What came of training.
struct training_report {
  /// One network of the ensemble.
  struct member {
    int epochs = 0, best_epoch = 0;             ///< that were run, and the one whose weights were kept
    double train_rmse = 0, validation_rmse = 0; ///< in the unit of the data, at the best epoch
  };
  std::vector<member> members; ///< in the order of the predictor's
  double noise = 0; ///< standard deviation of a measurement around the truth as the teacher sees it; 0 without one
};

/// Trains an ensemble of networks on measured architectures of `space`.
///
/// 2500 noisy measurements are too few for a network on one-hot features: it reaches a Kendall tau of 0.91 on Tiny
/// ImageNet where a Gaussian process over ordered features reaches 0.934. So the process is the teacher: it answers for
/// `taught` architectures (half drawn from the space, half mutants of measured ones) and, without their noise, for the
/// measured ones; the networks learn these and answer 100 times quicker. Measurements beyond `teacher_points` are
/// learned as they are. Each member holds back its own share for early stopping.
///
/// Inactive genes do not count. Deterministic by seed for one program on one kind of processor. Throws
/// errc::invalid_arch for an architecture that the space does not contain, errc::invalid_argument for fewer than 10
/// measurements or impossible options, errc::cancelled when asked to stop.
template <class Scalar = float>
accuracy_predictor train_predictor(const space_description& space, std::span<const measured_arch> given,
                                   const training_options& options = {}, training_report* report = nullptr) {
  const char* const where = "predictor training";
  require_argument(given.size() >= 10, where, "at least 10 measured architectures", given.size());
  require_argument(options.members >= 1 && options.epochs >= 1 && options.batch >= 1 && options.taught >= 0 &&
                       options.teacher_points >= 2 && !options.hidden.empty() &&
                       *std::min_element(options.hidden.begin(), options.hidden.end()) >= 1 && options.validation > 0 &&
                       options.validation <= 0.5,
                   where, "members, epochs, batch and hidden sizes of at least 1 and a validation share in (0, 0.5]",
                   "others");
  std::vector<measured_arch> data;
  for (const auto& one : given) {
    data.push_back({conform(space, one.arch), one.accuracy});
    validate(space, data.back().arch);
  }
  const feature_layout layout = feature_layout::of_space(space);
  double mean = 0, scale = 1;
  basic_arch_covariance<double> covariance;
  std::tie(mean, scale) = covariance.mean_and_deviation(data);
  if (options.taught > 0) {
    covariance_options how;
    how.seed = options.seed, how.stop = options.stop;
    covariance = decltype(covariance)::fit(space, data, how);
    if (report) report->noise = std::sqrt(covariance.noise) * scale;
  }

  using network = detail::training_network<Scalar>;
  struct sample {
    feature_layout::ones ones;
    float target;
  };
  const auto sample_of = [&](const arch& a, double accuracy) {
    return sample{layout(a), static_cast<float>((accuracy - mean) / scale)};
  };
  const auto fill = [&](std::span<const sample> from, typename network::matrix& x, typename network::column& y) {
    x.setZero(static_cast<Eigen::Index>(from.size()), static_cast<Eigen::Index>(layout.size()));
    y.resize(x.rows());
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
      for (auto column : from[static_cast<std::size_t>(i)].ones) x(i, column) = 1;
      y[i] = from[static_cast<std::size_t>(i)].target;
    }
  };
  const std::vector<measured_arch> order = split(data, 1, options.seed).first;
  const auto held = std::max<std::size_t>(1, static_cast<std::size_t>(options.validation * double(order.size())));

  std::vector<predictor_network> members;
  for (int m = 0; m < options.members; ++m) {
    random_stream random(options.seed, text("member ", m));
    std::vector<measured_arch> own; // to learn from; the shares held back go round
    std::vector<sample> held_back, samples;
    const std::size_t first = static_cast<std::size_t>(m) * held % order.size();
    for (std::size_t i = 0; i < order.size(); ++i) {
      const measured_arch canonical{order[i].arch.canonical(), order[i].accuracy};
      if ((i + order.size() - first) % order.size() < held)
        held_back.push_back(sample_of(canonical.arch, canonical.accuracy));
      else
        own.push_back(canonical);
    }
    std::vector<arch> asked;
    if (options.taught > 0) {
      const std::size_t known = std::min<std::size_t>(own.size(), static_cast<std::size_t>(options.teacher_points));
      const gaussian_process teacher(space, covariance, std::span(own).first(known));
      for (std::size_t i = 0; i < known; ++i) asked.push_back(own[i].arch);
      for (int i = 0; i < options.taught; ++i)
        asked.push_back(i % 2 ? random_arch(space, random)
                              : mutate(space, own[random.below(static_cast<std::uint32_t>(own.size()))].arch,
                                       0.5 * random.uniform(), random));
      std::vector<double> answers(asked.size());
      teacher.predict(asked, answers);
      for (std::size_t i = 0; i < asked.size(); ++i) samples.push_back(sample_of(asked[i], answers[i]));
      own.erase(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(known));
    }
    for (const auto& one : own) samples.push_back(sample_of(one.arch, one.accuracy));

    network net(layout.size(), layout(order.front().arch).size(), options.hidden, random);
    typename network::matrix x, validation_x;
    typename network::column y, validation_y;
    fill(held_back, validation_x, validation_y);
    training_report::member progress;
    double best = std::numeric_limits<double>::infinity();
    predictor_network kept;
    const auto batch = static_cast<std::size_t>(options.batch);
    const std::size_t batches = (samples.size() + batch - 1) / batch;
    for (int epoch = 0; epoch < options.epochs && epoch - progress.best_epoch <= options.patience; ++epoch) {
      if (options.stop.stop_requested() ||
          (options.on_progress && !options.on_progress(m * options.epochs + epoch, options.members * options.epochs)))
        throw error(errc::cancelled, where, "to go on", "a request to stop");
      detail::shuffle(samples, random);
      double sum = 0;
      for (std::size_t b = 0; b < batches; ++b) {
        const double done = (epoch + static_cast<double>(b) / static_cast<double>(batches)) / options.epochs;
        const double rate = options.learning_rate * 0.5 * (1 + std::cos(3.14159265358979 * done));
        fill(std::span(samples).subspan(b * batch, std::min(batch, samples.size() - b * batch)), x, y);
        sum += net.step(x, y, static_cast<Scalar>(rate), static_cast<Scalar>(options.weight_decay));
      }
      const double validated =
          std::sqrt((net.forward(validation_x) - validation_y).squaredNorm() / static_cast<Scalar>(held_back.size()));
      progress.epochs = epoch + 1;
      if (!(validated < best)) continue;
      best = validated;
      kept = net.network(scale, mean);
      progress.best_epoch = epoch;
      progress.train_rmse = std::sqrt(sum / static_cast<double>(samples.size())) * scale;
      progress.validation_rmse = validated * scale;
    }
    require_argument(!kept.empty(), where, "a learning rate at which training converges", options.learning_rate);
    members.push_back(std::move(kept));
    if (report) report->members.push_back(progress);
  }
  return {space, layout, std::move(members)};
}

} // namespace dynofa
