#include "dynofa/backend/reference.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace dynofa_test::backend_reference {

using namespace dynofa;
using namespace dynofa::backend;

TEST_CASE("activations are those of once-for-all") {
  CHECK(plain::activate(activation::relu, -1) == 0);
  CHECK(plain::activate(activation::h_swish, 3) == 3);
  CHECK(plain::activate(activation::h_swish, -3) == 0);
  CHECK(plain::activate(activation::h_swish, 1) == doctest::Approx(4.0 / 6));
  CHECK(plain::activate(activation::identity, -7) == -7);
}

TEST_CASE("a depthwise convolution pads with zeros and strides") {
  image_tensor in = xt::ones<float>({5, 5, 2});
  std::vector<float> ones(2 * 9, 1.0f);
  const auto out = plain::depthwise(in, ones, 3, 2);
  CHECK(out.shape(0) == 3);
  CHECK(out(0, 0, 1) == 4); // corner
  CHECK(out(0, 1, 0) == 6); // edge
  CHECK(out(1, 1, 0) == 9);
}

TEST_CASE("a pointwise convolution reads a prefix of wider rows") {
  image_tensor in = xt::ones<float>({1, 1, 2});
  in(0, 0, 1) = 10;
  const std::vector<float> w = {1, 2, 99, 3, 4, 99}; // two rows of three, the third column belongs to a wider network
  const auto out = plain::pointwise(in, w.data(), 2, 3);
  CHECK(out(0, 0, 0) == 21);
  CHECK(out(0, 0, 1) == 43);
}

TEST_CASE("a convolution reads channels first weights, a prefix of rows and windows cut off at the border") {
  image_tensor in = xt::zeros<float>({4, 4, 3});
  in(1, 1, 2) = 5;
  std::vector<float> w(27, 0.0f);
  w[2 * 9 + 2 * 3 + 2] = 3; // input channel 2, row 2, column 2: at output 0 that is input (1, 1)
  const auto out = plain::convolution(in, w.data(), 1, 27, 3, 2);
  CHECK(out(0, 0, 0) == 15);
  CHECK(out(1, 1, 0) == 0);

  std::vector<float> prefix(36, 0.0f); // a network of four input channels, of which three are read
  std::copy(w.begin(), w.end(), prefix.begin());
  prefix[27] = NAN;
  CHECK(plain::convolution(in, prefix.data(), 1, 36, 3, 2) == out);
}

TEST_CASE("windows of pools are cut off at the border, and a NaN stays NaN") {
  image_tensor in = xt::zeros<float>({3, 3, 1});
  for (std::size_t i = 0; i < 9; ++i) in.data()[i] = static_cast<float>(i) - 10;
  const auto most = plain::max_pool(in);
  CHECK(most.shape(0) == 2);
  CHECK(most(0, 0, 0) == -6); // of the four pixels of its corner, not of zeros around them
  CHECK(most(1, 1, 0) == -2);
  const auto mean = plain::average_windows(in, 2);
  CHECK(mean(0, 0, 0) == -8);
  CHECK(mean(0, 1, 0) == -6.5f); // the last window holds two pixels, and divides by two
  CHECK(mean(1, 1, 0) == -2);
  in(1, 1, 0) = NAN;
  CHECK(std::isnan(plain::max_pool(in)(0, 0, 0)));
  CHECK(std::isnan(plain::average_windows(in, 2)(0, 0, 0)));
  CHECK_FALSE(std::isnan(plain::average_windows(in, 2)(1, 1, 0)));
}

} // namespace dynofa_test::backend_reference
