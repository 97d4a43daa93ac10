#include "dynofa/model/kernel_transform.hpp"

#include <doctest/doctest.h>

#include <numeric>

namespace dynofa_test::model_kernel_transform {

using namespace dynofa;

TEST_CASE("without a matrix the centre is taken") {
  std::vector<float> k7(2 * 49);
  std::iota(k7.begin(), k7.end(), 0.0f);
  const auto k3 = shrink_kernels(k7, 7, 3, {});
  CHECK(k3 == std::vector<float>{16, 17, 18, 23, 24, 25, 30, 31, 32, 65, 66, 67, 72, 73, 74, 79, 80, 81});
}

TEST_CASE("row j of the matrix makes element j") {
  std::vector<float> k5(25, 0.0f), matrix(81, 0.0f);
  k5[6] = 2;             // the centre's first element
  matrix[4 * 9 + 0] = 3; // row 4, column 0
  const auto k3 = shrink_kernels(k5, 5, 3, matrix);
  for (std::size_t i = 0; i < 9; ++i) CHECK(k3[i] == (i == 4 ? 6.0f : 0.0f)); // transposed, it would be element 0
}

} // namespace dynofa_test::model_kernel_transform
