#include "dynofa/calibrate/range_histogram.hpp"
#include "dynofa/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace dynofa_test::calibrate_range_histogram {

using namespace dynofa;

namespace {

struct counted {
  std::vector<float> values;
  std::vector<std::uint64_t> counts = std::vector<std::uint64_t>(range_histogram::size);
  range_histogram histogram;

  explicit counted(std::vector<float> of)
      : values{std::move(of)} {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    histogram = {std::min(0.f, *low), std::max(0.f, *high), counts};
    const float inverse = range_histogram::inverse_width(histogram.low, histogram.high);
    for (const float x : values) ++counts[static_cast<std::size_t>(range_histogram::bin_of(x, histogram.low, inverse))];
  }
  /// Of the values themselves.
  double error(const byte_code& code) const {
    double sum = 0;
    for (const float x : values) sum += std::pow(double(x) - code.value(code.code(x)), 2);
    return sum;
  }
};

std::vector<float> drawn(std::size_t n, const std::function<float(random_stream&)>& draw) {
  random_stream random(11, "values");
  std::vector<float> values(n);
  for (float& v : values) v = draw(random);
  return values;
}
float normal(random_stream& random) { return static_cast<float>(random.normal()); }
float relu(random_stream& random) { return std::max(0.f, normal(random)); }
float long_tailed(random_stream& random) { return std::pow(normal(random), 5.f); }
float saturated(random_stream& random) { return std::min(6.f, std::max(0.f, 6 * normal(random))); }

} // namespace

TEST_CASE("every value is counted in its bin, zeros for themselves, the rest at the ends") {
  const float low = -1, high = 3, inverse = range_histogram::inverse_width(low, high);
  const auto bin = [&](float x) { return range_histogram::bin_of(x, low, inverse); };
  CHECK(inverse == 128);
  CHECK(bin(-1) == 0);
  CHECK(bin(3) == 511);
  CHECK(bin(0) == range_histogram::zeros);
  CHECK(bin(-0.f) == range_histogram::zeros);
  CHECK(bin(1e-6f) == 128);
  CHECK(bin(-1e-6f) == 127);
  CHECK(bin(-50) == 0);
  CHECK(bin(50) == 511);
  CHECK(bin(std::nanf("")) == 0);
  CHECK(bin(std::numeric_limits<float>::infinity()) == 511);
  CHECK(bin(-std::numeric_limits<float>::infinity()) == 0);
  CHECK(range_histogram::bin_of(5, 0, range_histogram::inverse_width(0, 0)) == 0);

  using quad = range_histogram::quad;
  const float infinity = std::numeric_limits<float>::infinity();
  for (const quad x :
       {quad{-1, 3, 0, -0.f}, quad{1e-6f, -1e-6f, 50, -50}, quad{std::nanf(""), infinity, -infinity, 1}}) {
    const auto bins = range_histogram::bins_of(x, quad{low, low, low, low}, quad{inverse, inverse, inverse, inverse});
    for (int i = 0; i < 4; ++i) CHECK(bins[i] == bin(x[i]));
  }
}

TEST_CASE("the error over a histogram is that of the values, where their density is smooth") {
  for (const auto& draw : {normal, relu}) {
    const counted c(drawn(200'000, draw));
    for (const float part : {1.f, 0.8f, 0.5f, 0.2f}) {
      CAPTURE(part);
      const auto code = byte_code::of(c.histogram.low * part, c.histogram.high * part);
      CHECK(squared_error(c.histogram, code) == doctest::Approx(c.error(code)).epsilon(0.1));
    }
  }
}

TEST_CASE("least squared error: never worse than clipping nothing, zero always inside") {
  for (const auto& draw : {normal, relu, long_tailed, saturated}) {
    const counted c(drawn(50'000, draw));
    const auto& h = c.histogram;
    const auto [low, high] = least_square_error_range(h);
    CHECK(low <= 0);
    CHECK(high >= 0);
    CHECK(low >= h.low);
    CHECK(high <= h.high);
    const auto code = byte_code::of(low, high), whole = byte_code::of(h.low, h.high);
    CHECK(squared_error(h, code) <= squared_error(h, whole));
    CHECK(c.error(code) <= 1.02 * c.error(whole));
  }
}

TEST_CASE("a rare value far off is clipped, values that saturate are not") {
  std::vector<float> values = drawn(100'000, relu);
  values.push_back(40);
  counted far(values);
  for (std::size_t bin = 0; bin < 511; ++bin) far.counts[bin] *= 200; // one in 20 million
  // (40 − h)² + n h² / (12 · 255²) for n values that are not zero: least at 2.9, and 2 would clip more than the one
  CHECK(least_square_error_range(far.histogram).second == 4);
  const counted six(drawn(100'000, saturated));
  CHECK(least_square_error_range(six.histogram) == std::pair(0.f, 6.f));
}

TEST_CASE("percentiles cut the same share at either end and never zero") {
  std::vector<float> values;
  for (int i = -1000; i < 3000; ++i) values.push_back(static_cast<float>(i) / 1000 + 0.0005f);
  const counted even(values);
  const float bin = 4.f / range_histogram::bins;
  const auto [low, high] = percentile_range(even.histogram, 95);
  CHECK(low == doctest::Approx(-0.8).epsilon(2 * bin));
  CHECK(high == doctest::Approx(2.8).epsilon(2 * bin));
  const auto all = percentile_range(even.histogram, 100);
  CHECK(all == std::pair(even.histogram.low, even.histogram.high));

  const counted half_zeros(drawn(100'000, relu)); // zeros count as values
  CHECK(percentile_range(half_zeros.histogram, 90).first == 0);
  CHECK(percentile_range(half_zeros.histogram, 90).second == doctest::Approx(1.2816).epsilon(0.03));
  CHECK(percentile_range(half_zeros.histogram, 51).second < 0.1f);

  const counted below(drawn(1000, [](random_stream& r) { return -1 - std::abs(normal(r)); }));
  CHECK(percentile_range(below.histogram, 60).second == 0);
  CHECK(percentile_range(below.histogram, 60).first < -1);
}

TEST_CASE("nothing but zeros, nothing at all, and what a float cannot tell from zero") {
  for (const std::vector<float>& values : {std::vector<float>(100), std::vector<float>{0}, std::vector{0.f, 1e-40f}}) {
    const counted c(values);
    const std::pair seen(c.histogram.low, c.histogram.high);
    CHECK(least_square_error_range(c.histogram) == seen);
    CHECK(percentile_range(c.histogram, 100) == seen);
  }
  const std::vector<std::uint64_t> none(range_histogram::size);
  CHECK(least_square_error_range({0, 0, none}) == std::pair(0.f, 0.f));
  CHECK(percentile_range({0, 0, none}, 99) == std::pair(0.f, 0.f));
}

} // namespace dynofa_test::calibrate_range_histogram
