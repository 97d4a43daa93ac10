// ctest: emulated
// The kernels of ResNet-50D, emulated, against the reference backend.
#include "dynofa/backend/cuda/traffic.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/testing/networks.hpp"

#include <doctest/doctest.h>

#include "backends/cuda/emulated_level.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace dynofa_test::backends_cuda_convolution {

using namespace dynofa;
using namespace dynofa::backend::cuda_detail;
using namespace backends_cuda;
using backend::image_tensor;
namespace plain = backend::plain;

namespace {

struct shape_case {
  int size, kernel, stride, in, out, images;
};

/// Values as a device of some precision has them.
struct device_values {
  device_values(const std::vector<float>& from, precision p)
      : floats{from} {
    for (float v : from) halves.push_back(float_to_half(v));
    is_half = p == precision::fp16;
    if (is_half) std::transform(halves.begin(), halves.end(), floats.begin(), half_to_float);
  }
  const void* data() const { return is_half ? static_cast<const void*>(halves.data()) : floats.data(); }
  std::vector<float> floats; ///< what the device computes with
  std::vector<std::uint16_t> halves;
  bool is_half = false;
};

/// A convolution of a part of the weights: of `stored` inputs and of all outputs.
void compare_shape(const shape_case& c, kernel_id kernel, int stages, int splits, precision values) {
  const int out_size = (c.size - 1) / c.stride + 1, taps = c.kernel * c.kernel, stored = c.in + 8;
  const std::size_t area = std::size_t(c.size * c.size * c.in), m = std::size_t(c.images * out_size * out_size);
  const device_values in(normals(std::size_t(c.images) * area, 1), values),
      before(normals(m * std::size_t(c.out), 2), values);
  std::vector<float> weights = normals(std::size_t(c.out * taps * stored), 3); // [out][tap][in]
  for (float& w : weights) w *= 2 / std::sqrt(float(taps * c.in));
  const device_values w(weights, values);
  const int all = ceil_div(taps * c.in, shape_of(kernel).depth(values));
  splits = ceil_div(all, ceil_div(all, splits)); // none without steps
  const std::vector<float> scale = normals(std::size_t(c.out), 4), shift = normals(std::size_t(c.out), 5);
  std::vector<float> got(m * std::size_t(c.out), std::nanf(""));

  const pointwise_shape shape = shape_of(kernel);
  step s{};
  s.kernel = kernel, s.values = values, s.threads = shape.threads();
  convolution_args& a = s.convolution.of[0];
  a = {.in = in.data(),
       .w = w.data(),
       .scale = scale.data(),
       .shift = shift.data(),
       .residual = before.data(),
       .out = got.data(),
       .m = int(m),
       .n = c.out,
       .in_size = c.size,
       .out_size = out_size,
       .in_channels = c.in,
       .kernel = c.kernel,
       .stride = c.stride,
       .pitch = taps * stored,
       .tap_pitch = stored,
       .shares = nullptr,
       .counters = nullptr,
       .tiles_across = ceil_div(c.out, shape.tile_n()),
       .stages = stages,
       .splits = splits,
       .act = activation::relu,
       .out_act = activation::relu6};
  s.grid[0] = unsigned(a.tiles_across * ceil_div(int(m), shape.tile_m()) * splits);
  std::vector<float> shares(std::size_t(s.grid[0]) * std::size_t(shape.tile_m() * shape.tile_n()), std::nanf(""));
  std::vector<std::uint32_t> counters(s.grid[0]);
  a.shares = shares.data(), a.counters = counters.data();
  s.convolution.second_from = s.convolution.windows_from = static_cast<std::int32_t>(s.grid[0]);
  s.shared_bytes = shape.bytes(values, stages);
  run_emulated({s});
  if (values == precision::fp16) {
    const std::vector<float> bits = got;
    for (std::size_t i = 0; i < got.size(); ++i)
      got[i] = half_to_float(reinterpret_cast<const std::uint16_t*>(bits.data())[i]);
  }

  std::vector<float> rows(std::size_t(c.out * c.in * taps)), wanted; // [out][in][tap]
  for (int o = 0; o < c.out; ++o)
    for (int i = 0; i < c.in; ++i)
      for (int t = 0; t < taps; ++t)
        rows[std::size_t((o * c.in + i) * taps + t)] = w.floats[std::size_t((o * taps + t) * stored + i)];
  for (int n = 0; n < c.images; ++n) {
    image_tensor x = image_tensor::from_shape({std::size_t(c.size), std::size_t(c.size), std::size_t(c.in)});
    std::copy_n(in.floats.begin() + std::ptrdiff_t(std::size_t(n) * area), x.size(), x.begin());
    image_tensor y = plain::convolution(x, rows.data(), c.out, c.in * taps, c.kernel, c.stride);
    plain::normalise(y, scale, shift, activation::relu);
    for (float v : y) wanted.push_back(plain::activate(activation::relu6, v + before.floats[wanted.size()]));
  }
  CHECK(std::ranges::all_of(counters, [](std::uint32_t v) { return v == 0; }));
  INFO(c.size << " kernel " << c.kernel << " stride " << c.stride << ", " << c.in << " to " << c.out << ", "
              << kernel_name(kernel) << " in " << stages << " stages");
  CHECK(difference(got, wanted) < (values == precision::fp16 ? 4e-3 : 5e-5));
}

} // namespace

TEST_CASE("convolutions of every shape: odd sizes, strides, channels that fill no step, batches, stages") {
  const shape_case cases[] = {{7, 3, 1, 328, 40, 1}, {9, 3, 1, 88, 88, 1},  {25, 3, 2, 24, 24, 1},
                              {33, 3, 2, 8, 40, 1},  {7, 3, 2, 88, 72, 3},  {9, 5, 1, 24, 40, 2},
                              {5, 7, 2, 8, 24, 2},   {9, 1, 1, 664, 88, 1}, {7, 1, 1, 24, 664, 1},
                              {25, 1, 1, 40, 88, 1}, {1, 3, 1, 64, 64, 1}};
  const auto kernel = [](int n) { return convolution_kernels[std::size_t(n) % std::size(convolution_kernels)]; };
  int n = 0;
  for (const shape_case& c : cases) {
    for (int i = 0; i < 2; ++i, ++n) compare_shape(c, kernel(n), 2 + n % 3, 1 + n % 4, precision::fp16);
    compare_shape(c, kernel(n), 2 + n / 2 % 3, 1 + n % 3, precision::fp32);
  }
}

TEST_CASE("ResNet-50D: dense convolutions, bottlenecks and pooling, in batches and at odd sizes") {
  const auto net = support::odd_resnet();
  random_stream random(5, "archs");
  for (const auto& [batch, r, multiprocessors] : {std::tuple{1, 40, 16}, std::tuple{2, 33, 4}, std::tuple{1, 25, 132}})
    for (const precision values : {precision::fp32, precision::fp16}) {
      arch a = random_arch(net->space, random);
      a.d[0] = net->space.stages[0].depths.max(); // with the residual convolution
      a.r = static_cast<std::uint16_t>(r);
      compare(net, make_plan(net->space, a, batch, true), values, {96 * 1024, multiprocessors}, nullptr);
    }
}

TEST_CASE("named maps lie where a whole run left them, of every block before the pooling") {
  for (const supernet_ptr& net : {support::odd_resnet(), support::tiny_supernet(), support::tiny_proxyless()}) {
    const plan bare = make_plan(net->space, smallest(net->space), 2);
    std::vector<std::size_t> all(bare.pooling_block());
    std::iota(all.rbegin(), all.rend(), std::size_t{0}); // not in the order of the blocks
    const plan p = with_maps(bare, all);
    const scale_shift affine = fold(*net, p, stored_statistics(*net, p));
    const backend::reference judge;
    auto truth = judge.bind(judge.pack(net), p, affine);
    auto space = judge.make_workspace(std::span(&p, 1));
    const std::vector<float> image = normals(p.image_values(), 5);
    std::vector<float> logits(p.logit_values());
    judge.run(truth, space, image, logits);
    emulated_level level(*net, p, affine, precision::fp32, {96 * 1024, 16});
    level.put(level.layout.image, image, false);
    run_emulated(level.steps.network());
    CHECK(difference(level.get(level.layout.logits, logits.size(), false), logits) < 2e-4);
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t n = 0; n < 2; ++n) {
        const feature_map map = judge.map(truth, space, i, n);
        std::vector<float> wanted(map.values());
        map.copy(wanted);
        const auto at =
            static_cast<std::size_t>(level.steps.map_of(all[i]) - level.arena.begin()) + n * 4 * wanted.size();
        INFO("block " << all[i] << " of " << text(p.arch));
        CHECK(difference(level.get(at, wanted.size(), true), wanted) < 2e-4);
      }
  }
}

TEST_CASE("the suite's bottlenecks, down to a single pixel") {
  for (const auto& network : conformance::suite::of_bottlenecks(std::array{13, 8}).networks)
    for (const precision values : {precision::fp32, precision::fp16})
      compare(std::make_shared<const supernet>(random_supernet(network.of.space, 3)), network.of, values,
              {96 * 1024, 16}, nullptr);
}

TEST_CASE("a NaN stays NaN through bottlenecks and pooling, and shows in the logits of its image alone") {
  const auto net = support::odd_resnet();
  const plan p = make_plan(net->space, smallest(net->space), 2);
  std::vector<float> images = normals(2 * static_cast<std::size_t>(p.blocks[0].in_values()), 8);
  images[700] = std::nanf("");
  for (const precision values : {precision::fp32, precision::fp16}) {
    emulated_level level(*net, p, fold(*net, p, stored_statistics(*net, p)), values, {96 * 1024, 16});
    level.put(level.layout.image, images, false);
    run_emulated(level.steps.network());
    const auto logits = level.get(level.layout.logits, 20, false);
    CHECK(std::all_of(logits.begin(), logits.begin() + 10, [](float v) { return std::isnan(v); }));
    CHECK(std::none_of(logits.begin() + 10, logits.end(), [](float v) { return std::isnan(v); }));
  }
}

TEST_CASE("the maximum of a window with a NaN is NaN, wherever it stands, and infinities are numbers") {
  const int size = 5, channels = 8;
  for (const precision values : {precision::fp32, precision::fp16})
    for (int at = 0; at < size * size; ++at) {
      std::vector<float> in = normals(size * size * channels, 3);
      in[std::size_t(at * channels + 1)] = std::nanf("");
      in[std::size_t(at * channels + 2)] = -std::numeric_limits<float>::infinity();
      in[std::size_t(at * channels + 3)] = std::numeric_limits<float>::infinity();
      const device_values image(in, values);
      std::vector<float> out(3 * 3 * channels);
      step s{};
      s.kernel = kernel_id::max_pool, s.values = values, s.threads = most_threads;
      s.window = {image.data(), out.data(), 1, size, 3, channels, 2};
      run_emulated({s});
      image_tensor x = image_tensor::from_shape({5, 5, 8});
      std::copy(image.floats.begin(), image.floats.end(), x.begin());
      const image_tensor wanted = plain::max_pool(x);
      for (std::size_t i = 0; i < out.size(); ++i) {
        const float got =
            values == precision::fp16 ? half_to_float(reinterpret_cast<const std::uint16_t*>(out.data())[i]) : out[i];
        const float want = wanted.data()[i];
        REQUIRE((got == want || (std::isnan(got) && std::isnan(want))));
      }
    }
}

TEST_CASE("ResNet-50D of full size is launched within a device's limits, in any batch") {
  const auto net = std::make_shared<const supernet>(random_supernet(ofa_resnet50_space::description, 1));
  std::vector<std::byte> somewhere(64);
  std::byte* const base = somewhere.data();
  const packed_layout weights(*net, precision::fp32);
  for (const device_limits device : {device_limits{227 * 1024, 132}, device_limits{64 * 1024, 40}})
    for (const int batch : {1, 64, 2048}) {
      const plan p = make_plan(net->space, largest(net->space), batch);
      const arena_layout arena(std::span(&p, 1), precision::fp32, device);
      const schedule steps(weights, p, arena, {base, reinterpret_cast<const float*>(base), base}, device);
      for (const step& s : steps.network()) {
        CHECK(s.shared_bytes <= device.shared_bytes);
        CHECK((s.grid[0] < 1u << 31 && s.grid[1] <= 65535 && s.grid[2] <= 65535));
      }
    }
  const plan p = make_plan(net->space, largest(net->space));
  const device_limits little{16 * 1024, 40};
  const arena_layout arena(std::span(&p, 1), precision::fp32, little);
  CHECK_THROWS_WITH_AS(
      schedule(weights, p, arena, {base, reinterpret_cast<const float*>(base), base}, little).network(),
      "cuda backend: expected a convolution that a grid and shared memory hold, got 32 outputs of 12544 pixels in "
      "16384 "
      "bytes",
      error);
}

TEST_CASE("a weight of a dense convolution beyond half precision is refused in fp16") {
  supernet resnet = *support::odd_resnet();
  const auto dense = [](const weight_array& w) { return w.role() == weight_role::dense; };
  const auto first = std::ranges::find_if(resnet.layout.weights, dense) - resnet.layout.weights.begin();
  resnet.weights[static_cast<std::size_t>(first)][1] = -7e4f;
  CHECK_THROWS_WITH_AS((packed_layout{resnet, precision::fp16}),
                       "cuda backend, blocks.0.conv2.conv.conv.weight: expected weights that fit half precision, got "
                       "-70000",
                       error);
}

} // namespace dynofa_test::backends_cuda_convolution
