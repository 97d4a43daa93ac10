// ctest: heavy
#include "dynofa/accuracy/gaussian_process.hpp"

#include <doctest/doctest.h>

#include "accuracy/synthetic.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::accuracy_gaussian_process {

using namespace dynofa;

namespace {
const space_description space = support::tiny_space::description;
covariance_options brief() {
  covariance_options options;
  options.points = 150, options.steps = 25;
  return options;
}
double error_of(const gaussian_process& process, int n) {
  double sum = 0;
  for (const auto& one : support::synthetic_data(space, n, 0, 99)) {
    const double e = process(one.arch) - one.accuracy;
    sum += e * e;
  }
  return std::sqrt(sum / n);
}
} // namespace

TEST_CASE("features are near for what is alike") {
  const smooth_features features(space);
  REQUIRE(features.size() == 63);
  arch a = largest(space);
  std::vector<float> x(63), y(63);
  features(a, x);
  CHECK(x[0] == 1);
  CHECK(x[1] == 1);
  CHECK(x[2] == 1);
  CHECK(x[60] == doctest::Approx(1));
  a.ks[0] = 5, a.e[1] = 4, a.d[0] = 2, a.r = 32;
  features(a, y);
  CHECK(y[1] == 0);
  CHECK(y[5] == doctest::Approx(-1.0 / 3));
  CHECK(y[9] == 0); // blocks 2 and 3 of the first stage are absent
  CHECK(y[7] == 0);
  CHECK(y[60] == doctest::Approx(-1));
  arch b = a;
  b.ks[3] = 3; // inactive
  features(b, x);
  CHECK(x == y);
  a.r = 33;
  CHECK_THROWS_AS(features(a, x), error);
}

TEST_CASE("a process predicts what it was not told, better than its measurements' noise") {
  const auto data = support::synthetic_data(space, 400, 0.004, 1);
  const auto covariance = arch_covariance::fit(space, data, brief());
  const gaussian_process process(space, covariance, data);
  const double error = error_of(process, 200);
  CAPTURE(error);
  CHECK(error < 0.003);
  CHECK(process.noise() > 0.0025);
  CHECK(process.noise() < 0.006);
  // more measurements make it better
  CHECK(error < error_of(gaussian_process(space, covariance, std::span(data).first(60)), 200));
}

TEST_CASE("bit for bit: by seed, and one by one as in a batch") {
  const auto data = support::synthetic_data(space, 130, 0.004, 2);
  const auto a = arch_covariance::fit(space, data, brief()), b = arch_covariance::fit(space, data, brief());
  CHECK(a.rate == b.rate);
  CHECK(a.linear == b.linear);
  const gaussian_process process(space, a, data);
  std::vector<arch> archs;
  for (const auto& one : data) archs.push_back(one.arch);
  std::vector<double> values(archs.size());
  process.predict(archs, values);
  for (std::size_t i = 0; i < archs.size(); ++i) CHECK(process(archs[i]) == values[i]);
}

TEST_CASE("few, equal and too many measurements") {
  auto data = support::synthetic_data(space, 10, 0, 3);
  CHECK(std::isfinite(gaussian_process(space, arch_covariance::fit(space, data, brief()), data)(largest(space))));
  for (auto& one : data) one.accuracy = 0.5;
  CHECK(gaussian_process(space, arch_covariance::fit(space, data, brief()), data)(largest(space)) ==
        doctest::Approx(0.5));
  CHECK(support::sentence([&] { gaussian_process(space, {}, std::span(data).first(1)); }) ==
        "Gaussian process: expected 2 to 20000 measurements, got 1");
  auto options = brief();
  std::stop_source source;
  source.request_stop();
  options.stop = source.get_token();
  CHECK_THROWS_AS(arch_covariance::fit(space, data, options), error);
}

TEST_CASE("ResNet: features tell widths, fixed blocks and the stem's depth") {
  const space_description& resnet = support::tiny_resnet_space::description;
  const smooth_features features(resnet);
  REQUIRE(features.size() == 3 * 18 + 3 + 6 + 1);
  arch a = smallest(resnet);
  std::vector<float> x(features.size()), y(features.size());
  features(a, x);
  CHECK(x[0] == 1);
  CHECK(x[3] == 1); // runs whatever the depth
  CHECK(x[6] == 0);
  CHECK(x[57] == -1);
  CHECK(x[63] == -1);
  a.d[1] = 1, a.w[2] = 1, a.d[0] = 2;
  features(a, y);
  CHECK(y[6] == 1);
  CHECK(y[59] == doctest::Approx(2 * 150.0 / 350 - 1)); // 0.8 between 0.65 and 1
  CHECK(y[63] == 1);
  arch read = a;
  read.ks = {}, read.uneven = {}, read.fixed = {};
  features(read, x);
  CHECK(x == y);
}

} // namespace dynofa_test::accuracy_gaussian_process
