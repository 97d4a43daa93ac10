#include "dynofa/backend/reference.hpp"

#include <doctest/doctest.h>

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

TEST_CASE("the stem reads channels first weights") {
  image_tensor in = xt::zeros<float>({4, 4, 3});
  in(1, 1, 2) = 5;
  std::vector<float> w(27, 0.0f);
  w[2 * 9 + 2 * 3 + 2] = 3; // input channel 2, row 2, column 2: at output 0 that is input (1, 1)
  const auto out = plain::stem(in, w, 1, 2);
  CHECK(out(0, 0, 0) == 15);
  CHECK(out(1, 1, 0) == 0);
}

} // namespace dynofa_test::backend_reference
