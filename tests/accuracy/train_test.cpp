// ctest: heavy
#include "dynofa/accuracy/assess.hpp"
#include "dynofa/accuracy/calibrated.hpp"

#include <doctest/doctest.h>

#include "accuracy/synthetic.hpp"
#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::accuracy_train {

using namespace dynofa;
using support::sentence;

namespace {
const space_description space = support::tiny_space::description;
training_options brief() {
  training_options options;
  options.hidden = {32};
  options.members = 2, options.epochs = 6, options.taught = 1500;
  options.learning_rate = 1e-2;
  return options;
}
} // namespace

TEST_CASE("a network in training goes downhill, and is what it saves") {
  random_stream random(1, "net");
  detail::training_network<> net(6, 3, {16, 8}, random);
  detail::training_network<>::matrix x(64, 6);
  Eigen::VectorXf y(64);
  for (Eigen::Index i = 0; i < 64; ++i) {
    for (Eigen::Index c = 0; c < 6; ++c) x(i, c) = static_cast<float>(random.below(2));
    y[i] = x(i, 0) * x(i, 1) - x(i, 2);
  }
  const double first = net.step(x, y, 0.01f, 0);
  for (int i = 0; i < 400; ++i) net.step(x, y, 0.01f, 0);
  CHECK(net.step(x, y, 0, 0) < 1e-3 * first);
  const auto before = net.network(1, 0);
  const auto values = net.forward(x);
  for (int row = 0; row < 5; ++row) { // by hand through the saved layers
    std::vector<float> in(x.row(row).begin(), x.row(row).end());
    for (std::size_t l = 0; l < before.size(); ++l) {
      std::vector<float> out(before[l].bias);
      for (std::size_t o = 0; o < out.size(); ++o) {
        for (std::size_t i = 0; i < in.size(); ++i) out[o] += before[l].weight[o * in.size() + i] * in[i];
        if (l + 1 < before.size()) out[o] = std::max(out[o], 0.0f);
      }
      in = out;
    }
    CHECK(in[0] == doctest::Approx(values[row]).epsilon(1e-4));
  }
  CHECK(net.network(2, 1).back().bias[0] == doctest::Approx(2 * before.back().bias[0] + 1));
  net.step(x, y, 0.01f, 1); // decay alone shrinks weights and leaves biases to their gradient
  CHECK(std::abs(net.network(1, 0)[0].weight[0]) < std::abs(before[0].weight[0]) + 0.02);
}

TEST_CASE("training: quality, report, bit-for-bit repetition, file") {
  const auto data = support::synthetic_data(space, 350, 0.003, 4), unseen = support::synthetic_data(space, 150, 0, 5);
  training_report report;
  int calls = 0;
  auto options = brief();
  options.on_progress = [&](int done, int total) { return ++calls, done < total; };
  const auto predictor = train_predictor(space, data, options, &report);
  const auto quality = assess(predictor, unseen);
  CAPTURE(quality.rmse);
  CAPTURE(quality.kendall_tau);
  CHECK(quality.kendall_tau > 0.87);
  CHECK(quality.rmse < 0.004);
  CHECK(std::abs(quality.bias) < 0.003);
  REQUIRE(report.members.size() == 2);
  CHECK(report.noise == doctest::Approx(0.003).epsilon(0.5));
  CHECK(calls == report.members[0].epochs + report.members[1].epochs);
  for (const auto& m : report.members) {
    CHECK(m.best_epoch < m.epochs);
    CHECK(m.validation_rmse > 0);
    CHECK(m.validation_rmse < 0.02);
  }

  std::vector<arch> archs;
  for (const auto& one : unseen) archs.push_back(one.arch);
  std::vector<double> values(archs.size()), again(archs.size()), spread(archs.size());
  predictor.predict(archs, values, spread);
  CHECK(*std::min_element(spread.begin(), spread.end()) >= 0);
  CHECK(*std::max_element(spread.begin(), spread.end()) > 0);
  train_predictor(space, data, brief()).predict(archs, again);
  CHECK(values == again);
  auto other = brief();
  other.seed = 2;
  train_predictor(space, data, other).predict(archs, again);
  CHECK(values != again);

  const support::scratch_folder folder;
  save_predictor(folder.path() / "p.safetensors", predictor);
  const auto loaded = load_predictor(folder.path() / "p.safetensors");
  CHECK(loaded.space() == space);
  loaded.predict(archs, again);
  CHECK(values == again);

  const cautious_accuracy careful(predictor, 2);
  CHECK(careful(archs[3]) == doctest::Approx(values[3] - 2 * spread[3]));

  // the scale of another evaluation: corrected from six measurements
  std::vector<measured_arch> true_ones;
  for (std::size_t i = 0; i < 6; ++i) true_ones.push_back({archs[i], 80 * values[i] - 3});
  const calibrated_accuracy corrected(predictor, true_ones);
  CHECK(corrected(archs[9]) == doctest::Approx(80 * values[9] - 3));
  CHECK(corrected.fit().slope == doctest::Approx(80));
  for (auto& one : true_ones) one.accuracy = -one.accuracy;
  CHECK(
      sentence([&] {
        calibrated_accuracy<accuracy_predictor>(predictor, true_ones);
      }).starts_with("accuracy calibration: expected measurements that rise with the prediction, got a slope of -80"));
}

TEST_CASE("a predictor of ProxylessNAS is trained, saved and read by the same calls") {
  const space_description proxyless = support::tiny_proxyless()->space;
  const auto data = support::synthetic_data(proxyless, 300, 0.003, 4),
             unseen = support::synthetic_data(proxyless, 100, 0, 5);
  const auto predictor = train_predictor(proxyless, data, brief());
  CHECK(assess(predictor, unseen).kendall_tau > 0.8);
  const support::scratch_folder folder;
  save_predictor(folder.path() / "p.safetensors", predictor);
  const auto loaded = load_predictor(folder.path() / "p.safetensors");
  CHECK(loaded.space() == proxyless);
  for (const auto& one : unseen) CHECK(loaded(one.arch) == predictor(one.arch));
}

TEST_CASE("without a teacher, with few measurements, and folds") {
  const auto data = support::synthetic_data(space, 60, 0.003, 6);
  auto options = brief();
  options.taught = 0, options.epochs = 60, options.patience = 60;
  training_report report;
  CHECK(assess(train_predictor(space, data, options, &report), data).kendall_tau > 0.7);
  CHECK(report.noise == 0);
  options = brief();
  options.teacher_points = 20; // the rest is learned as measured
  CHECK(assess(train_predictor(space, data, options), data).kendall_tau > 0.5);
  CHECK_NOTHROW(train_predictor(space, std::span(data).first(10), brief()));
  const auto folds = cross_validate(space, data, 3, brief());
  REQUIRE(folds.size() == 3);
  for (const auto& q : folds) CHECK(q.spearman > 0.3);
}

TEST_CASE("what cannot be trained is refused in a sentence") {
  auto data = support::synthetic_data(space, 40, 0, 7);
  CHECK(sentence([&] { train_predictor(space, std::span(data).first(9), brief()); }) ==
        "predictor training: expected at least 10 measured architectures, got 9");
  auto options = brief();
  options.hidden.clear();
  CHECK(sentence([&] { train_predictor(space, data, options); }).starts_with("predictor training: expected members"));
  options = brief();
  options.validation = std::nan("");
  CHECK_THROWS_AS(train_predictor(space, data, options), error);
  options = brief();
  options.on_progress = [](int, int) { return false; };
  CHECK(sentence([&] { train_predictor(space, data, options); }) ==
        "predictor training: expected to go on, got a request to stop");
  options = brief();
  options.learning_rate = 1e30;
  CHECK(sentence([&] {
          train_predictor(space, data, options);
        }).starts_with("predictor training: expected a learning rate"));
  CHECK(sentence([&] { cross_validate(space, data, 5, brief()); }) ==
        "cross validation: expected 2 or more folds of at least 10 architectures, got 5 folds of 40");
  data[7].arch.r = 65;
  CHECK(sentence([&] { train_predictor(space, data, brief()); }) ==
        "architecture field r: expected one of 32, 48, 64, got 65");
}

} // namespace dynofa_test::accuracy_train
