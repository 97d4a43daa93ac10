// ctest: emulated
// ctest: volta
// The kernels with the tensor-core instruction of compute capability 7.0 and 7.2, emulated.
#define DYNOFA_CUDA_INSTRUCTIONS 720
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "backends/cuda/emulated_level.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <vector>

namespace dynofa_test::backends_cuda_volta {

using namespace dynofa;
using namespace dynofa::backend::cuda_detail;
using namespace backends_cuda;

TEST_CASE("a tile's sums are those of plain loops, lanes share no output, and groups of lanes share whole rows") {
  using tile_type = warp_tile<half>;
  constexpr int side = 32, depth = 48, pitch = operand_pitch(precision::fp16, depth);
  const auto operand = [](std::uint64_t seed) {
    const std::vector<float> values = normals(side * pitch, seed);
    std::vector<half> halves(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) from_float(values[i], halves[i]);
    return halves;
  };
  const std::vector<half> left = operand(1), right = operand(2);
  std::vector<float> sums(side * side);
  std::vector<int> written(side * side), of_group(tile_type::row_groups * side);
  emulated().launch({1, 1, 1}, 32, 0, [&] {
    tile_type tile;
    tile.multiply(left.data(), pitch, right.data(), pitch, depth);
    for (int c = 0; c < tile_type::columns; ++c)
      ++of_group[std::size_t(tile_type::row_group() * side + tile_type::column(c))];
    for (int r = 0; r < tile_type::rows; ++r)
      for (int c = 0; c < tile_type::columns; ++c) {
        const auto at = std::size_t(tile_type::row(r) * side + tile_type::column(c));
        sums[at] = tile.value(r, c), ++written[at];
      }
  });
  CHECK(std::ranges::all_of(written, [](int times) { return times == 1; }));
  CHECK(std::ranges::all_of(of_group, [](int lanes) { return lanes == 1; }));
  for (int m = 0; m < side; ++m)
    for (int n = 0; n < side; ++n) {
      float sum = 0;
      for (int k = 0; k < depth; ++k)
        sum += to_float(left[std::size_t(m * pitch + k)]) * to_float(right[std::size_t(n * pitch + k)]);
      CHECK(sums[std::size_t(m * side + n)] == sum);
    }
}

TEST_CASE("networks of every family in fp16, on a multiprocessor's 96 KB") {
  for (const supernet_ptr& net : {support::tiny_supernet(), support::tiny_proxyless(), support::odd_resnet()}) {
    random_stream random(6, "archs");
    compare(net, make_plan(net->space, random_arch(net->space, random), 2), precision::fp16, {96 * 1024, 8}, nullptr);
  }
}

} // namespace dynofa_test::backends_cuda_volta
