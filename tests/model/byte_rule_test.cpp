#include "dynofa/core/random.hpp"
#include "dynofa/model/byte_rule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

namespace dynofa_test::model_byte_rule {

using namespace dynofa;

TEST_CASE("zero has a code of its own, and every value within the range is at most half a step off") {
  random_stream random{1, "ranges"};
  for (int n = 0; n < 200; ++n) {
    const auto low = static_cast<float>(-random.uniform() * std::pow(10, random.uniform() * 8 - 4)),
               high = static_cast<float>(random.uniform() * std::pow(10, random.uniform() * 8 - 4));
    const byte_code by = byte_code::of(low, high);
    CHECK(by.value(by.code(0.f)) == 0.f);
    CHECK((by.zero >= 0 && by.zero <= 255));
    for (int i = 0; i <= 20; ++i) {
      const float x = low + (high - low) * static_cast<float>(i) / 20;
      CHECK(std::abs(by.value(by.code(x)) - x) <=
            by.step * 1.01f); // the ends of a range whose zero was rounded: one step
    }
  }
}

TEST_CASE("a range without width holds zero only, and NaN becomes the code of nothing") {
  for (const byte_code by : {byte_code::of(0, 0), byte_code::of(0, 1e-31f), byte_code::of(-1e-40f, 0)}) {
    CHECK(by.step == 0);
    CHECK(by.code(5.f) == 0);
    CHECK(by.value(200) == 0);
  }
  CHECK(byte_code::of(-1, 1).code(std::numeric_limits<float>::quiet_NaN()) == 0);
  CHECK(rounded_code(std::numeric_limits<float>::quiet_NaN()) == 0);
  CHECK(rounded_code(0.5f) == 0);
  CHECK(rounded_code(1.5f) == 2);
  CHECK(rounded_code(254.6f) == 255);
  CHECK(rounded_code(1e30f) == 255);
  CHECK(rounded_code(-3.f) == 0);
}

TEST_CASE("weights keep their sign and order, and pairs of neighbours fit 16-bit products") {
  random_stream random{2, "weights"};
  for (int n = 0; n < 300; ++n) {
    std::vector<float> row(static_cast<std::size_t>(8 + random.below(200)));
    for (float& w : row) w = static_cast<float>(random.normal() * (n % 3 == 0 ? 1e-3 : 10));
    if (n % 5 == 0) std::fill(row.begin(), row.end(), row[0]); // the worst: all alike
    const auto rule = n % 2 == 0 ? byte_weight_rule::pairs : byte_weight_rule::full;
    const float step = byte_step(row, rule);
    int before = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const int code = byte_weight(row[i], step);
      CHECK(std::abs(static_cast<float>(code) * step - row[i]) <= step * 0.5001f);
      CHECK(std::abs(code) <= 127);
      if (rule == byte_weight_rule::pairs) CHECK(255 * std::abs(code + (code * before > 0 ? before : 0)) <= 32767);
      before = code;
    }
  }
  CHECK(byte_weight(1.f, 0.f) == 0);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    CHECK_THROWS_AS((byte_rows({1, bad, 2, 3}, {2, 1, 2})), error);
  const std::vector<float> from{1, 2, 3, 4, 5, 6, 7, 8};
  const byte_rows rows(from, {2, 3, 4}, byte_weight_rule::pairs), full(from, {2, 3, 4}); // three of each row's four
  CHECK(rows.steps == std::vector<float>{7.f / 127, 15.f / 127});
  CHECK(full.steps == std::vector<float>{4.f / 127, 8.f / 127});
  CHECK(rows.codes.size() == 6);
  CHECK(rows.codes[0] == 18); // 127 / 7
  CHECK(full.codes[0] == 32); // 127 / 4
}

TEST_CASE("a line from a sum to a code is batch norm, activation and rounding in floats") {
  random_stream random{3, "lines"};
  for (const activation act : {activation::identity, activation::relu, activation::relu6, activation::h_swish})
    for (int n = 0; n < 200; ++n) {
      const auto scale = static_cast<float>(random.normal()), shift = static_cast<float>(random.normal()), step = 1e-4f;
      const byte_code out = byte_code::of(act == activation::identity ? -6.f : -.375f, 5.f);
      const code_line line = code_line::of(scale, shift, step, act, out);
      const auto sum = static_cast<std::int32_t>(random.below(60000)) - 30000;
      double y = double(sum) * double(step) * double(scale) + double(shift);
      if (act == activation::relu) y = std::max(y, 0.0);
      if (act == activation::relu6) y = std::min(std::max(y, 0.0), 6.0);
      if (act == activation::h_swish) y *= std::min(std::max(y + 3, 0.0), 6.0) / 6;
      const double wanted = y / double(out.step) + out.zero;
      CHECK(double(line.apply(sum, act)) == doctest::Approx(wanted).epsilon(1e-4));
    }
}

} // namespace dynofa_test::model_byte_rule
