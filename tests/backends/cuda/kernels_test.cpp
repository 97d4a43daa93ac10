// ctest: emulated
// The GPU kernels themselves, run on the CPU by an emulation, against the reference backend: every kernel size, stride,
// activation, squeeze-excite, precision and batch, with tiles that end at the image's border and channels that do not
// fill a chunk.
#include "dynofa/backend/cuda/calibration_schedule.hpp"
#include "dynofa/backend/cuda/picture_schedule.hpp"
#include "dynofa/backend/cuda/traffic.hpp"
#include "dynofa/backend/reference_calibration.hpp"
#include "dynofa/calibrate/calibrator.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "backends/cuda/emulated_level.hpp"
#include "support/slimmable_networks.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <string>
#include <tuple>

namespace dynofa_test::backends_cuda_kernels {

using namespace dynofa;
using namespace dynofa::backend::cuda_detail;
using namespace backends_cuda;

namespace {

using tiny = support::tiny_space;

/// Calibration on the emulated device, as far as `calibrator` asks.
struct emulated_device {
  using packed = packed_layout;
  std::shared_ptr<const packed> pack(const supernet_ptr& net) const {
    return std::make_shared<const packed>(*net, precision::fp32);
  }
};
class emulated_calibration {
public:
  emulated_calibration(std::shared_ptr<const packed_layout> weights, const plan& p, int capacity)
      : weights_{std::move(weights)}
      , plan_{p}
      , layout_{p, capacity}
      , memory_(layout_.bytes) {
    std::fill_n(at<float>(layout_.identity), layout_.most_channels, 1.f);
    std::fill_n(at<float>(layout_.identity) + layout_.most_channels, layout_.most_channels, 0.f);
  }
  void load(std::size_t n, std::span<const float> image) {
    std::copy(image.begin(), image.end(), at<float>(layout_.arena.image) + n * image.size());
  }
  backend::channel_sums convolve(std::size_t b, int i, int count) {
    count_ = count;
    run_emulated(steps().convolve(b, i));
    const auto channels = static_cast<std::size_t>(plan_.blocks[b].norm_channels(i));
    const double* sums = at<double>(layout_.sums);
    return {{sums, sums + channels}, {sums + channels, sums + 2 * channels}, double(steps().pixels(b, i))};
  }
  void normalise(std::size_t b, int i, std::span<const float> scale, std::span<const float> shift) {
    std::copy(scale.begin(), scale.end(), at<float>(layout_.norms));
    std::copy(shift.begin(), shift.end(), at<float>(layout_.norms) + scale.size());
    run_emulated(steps().normalise(b, i));
  }
  void logits(std::size_t n, std::span<float> out) {
    run_emulated(steps().logits(n));
    std::copy_n(at<float>(layout_.logits), out.size(), out.begin());
  }
  std::size_t bytes() const { return layout_.bytes; }

private:
  std::shared_ptr<const packed_layout> weights_;
  plan plan_;
  calibration_layout layout_;
  emulated_memory memory_;
  int count_ = 0;

  template <class T>
  T* at(std::size_t offset) {
    return reinterpret_cast<T*>(memory_.begin() + offset);
  }
  calibration_schedule steps() {
    return {*weights_,      plan_, layout_, {weights_->bytes.data(), at<float>(layout_.identity), memory_.begin()},
            {96 * 1024, 4}, count_};
  }
};
emulated_calibration open_calibration(const emulated_device&, const std::shared_ptr<const packed_layout>& packed,
                                      const plan& p, int capacity) {
  return {packed, p, capacity};
}

} // namespace

TEST_CASE("every block and whole networks agree with the reference, fp32 and fp16") {
  const auto net = support::tiny_supernet();
  for (const precision values : {precision::fp32, precision::fp16}) {
    std::set<block_case> seen;
    random_stream random(3, "archs");
    for (const std::uint8_t kernel : {3, 5, 7}) {
      arch a = random_arch(net->space, random);
      a.r = 32;
      std::fill(a.ks.begin(), a.ks.end(), kernel);
      compare(net, make_plan(net->space, a), values, {96 * 1024, 16}, &seen);
    }
    CHECK(seen.size() >= 12); // 3 kernel sizes × (stride 1, 2) × at least two of (activation, squeeze-excite)
  }
}

TEST_CASE("ProxylessNAS: a stem of more channels than a thread block keeps, and a first block without residual") {
  space_description d = support::tiny_proxyless()->space;
  d.stem_width = 40, d.first_width = 24;
  const auto net = std::make_shared<const supernet>(random_supernet(d, 5));
  random_stream random(4, "archs");
  for (const precision values : {precision::fp32, precision::fp16})
    for (const int batch : {1, 3}) {
      arch a = random_arch(net->space, random);
      a.r = 37;
      compare(net, make_plan(net->space, a, batch, true), values, {96 * 1024, 16}, nullptr);
    }
}

TEST_CASE("slimmable networks: one width for all, and channels that a list describes") {
  for (const auto& [net, p] : support::slimmable_networks())
    for (const precision values : {precision::fp32, precision::fp16}) compare(net, p, values, {96 * 1024, 16}, nullptr);
}

TEST_CASE("a weight beyond half precision is refused in fp16, never made infinite") {
  supernet net = *support::tiny_supernet();
  const std::size_t last = net.layout.find(net.layout.units.back(), weight_role::output).value();
  net.weights[last].back() = 7e4f;
  CHECK_THROWS_WITH_AS((packed_layout{net, precision::fp16}),
                       "cuda backend, classifier.linear.weight: expected weights that fit half precision, got 70000",
                       error);
  CHECK_NOTHROW(packed_layout{net, precision::fp32});
}

TEST_CASE("a NaN stays NaN through every activation, and shows in the logits of its image alone") {
  for (const float nan : {std::bit_cast<float>(0x7FFFFFFFu), std::bit_cast<float>(0xFFC00000u)}) {
    for (activation act : {activation::identity, activation::relu, activation::relu6, activation::h_swish})
      CHECK(std::isnan(activate(act, nan)));
    CHECK(std::isnan(h_sigmoid(nan)));
  }
  const auto net = support::tiny_supernet();
  const plan p = make_plan(net->space, smallest(net->space), 2);
  const bn_statistics statistics = stored_statistics(*net, p);
  std::vector<float> images = normals(2 * static_cast<std::size_t>(p.blocks[0].in_values()), 8);
  images[700] = std::nanf("");
  for (const precision values : {precision::fp32, precision::fp16}) {
    emulated_level level(*net, p, fold(*net, p, statistics), values, {96 * 1024, 16});
    level.put(level.layout.image, images, false);
    run_emulated(level.steps.network());
    const auto logits = level.get(level.layout.logits, 20, false);
    CHECK(std::all_of(logits.begin(), logits.begin() + 10, [](float v) { return std::isnan(v); }));
    CHECK(std::none_of(logits.begin() + 10, logits.end(), [](float v) { return std::isnan(v); }));
  }
}

TEST_CASE("batches, odd sizes and little shared memory") {
  const auto net = support::tiny_supernet();
  random_stream random(9, "archs");
  for (const auto& [batch, r, shared] :
       {std::tuple{3, 37, std::size_t(96 * 1024)}, std::tuple{6, 32, std::size_t(40 * 1024)}}) {
    arch a = random_arch(net->space, random);
    a.r = static_cast<std::uint16_t>(r);
    compare(net, make_plan(net->space, a, batch, true), precision::fp16, {shared, 4}, nullptr);
    compare(net, make_plan(net->space, a, batch, true), precision::fp32, {shared, 4}, nullptr);
  }
}

TEST_CASE("every shape of a matrix product, with gates, norm, activation and residual") {
  const int m = 130, k = 88, n = 72;
  const std::vector<float> a = normals(std::size_t(m * k), 1), w = normals(std::size_t(n * k), 2),
                           gates = normals(std::size_t(2 * k), 3), scale = normals(std::size_t(n), 4),
                           before = normals(std::size_t(m * n), 5);
  auto halves = [](const std::vector<float>& from) {
    std::vector<std::uint16_t> to(from.size());
    std::transform(from.begin(), from.end(), to.begin(), float_to_half);
    return to;
  };
  const auto half_a = halves(a), half_w = halves(w), half_gates = halves(gates), half_before = halves(before);
  for (const precision values : {precision::fp32, precision::fp16})
    for (const kernel_id kernel : {kernel_id::pointwise_wide, kernel_id::pointwise_narrow, kernel_id::pointwise_deep,
                                   kernel_id::pointwise_deepest}) {
      const bool half = values == precision::fp16;
      std::vector<float> out(std::size_t(m * n));
      auto as = [&](const auto& halves_of, const auto& floats) -> const void* {
        return half ? static_cast<const void*>(halves_of.data()) : floats.data();
      };
      step s{};
      s.kernel = kernel;
      s.values = values;
      s.pointwise = {as(half_a, a),
                     as(half_w, w),
                     as(half_gates, gates),
                     scale.data(),
                     scale.data(),
                     nullptr,
                     out.data(),
                     m,
                     k,
                     n,
                     k,
                     65,
                     activation::h_swish,
                     false};
      if (kernel != kernel_id::pointwise_deep) s.pointwise.residual = as(half_before, before);
      const pointwise_shape shape = shape_of(kernel);
      dispatch(s, [&](auto device_kernel, const auto& args) {
        emulated().launch({ceil_div(n, shape.tile_n()), ceil_div(m, shape.tile_m()), 1}, shape.threads(),
                          shape.bytes(values) + gate_rows_bytes(values, shape, s.pointwise),
                          [&] { device_kernel(args); });
      });
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
          double sum = 0;
          for (int c = 0; c < k; ++c)
            sum += double(a[std::size_t(i * k + c)]) * gates[std::size_t(i / 65 * k + c)] * w[std::size_t(j * k + c)];
          sum = sum * scale[std::size_t(j)] + scale[std::size_t(j)];
          sum *= std::clamp(sum + 3, 0.0, 6.0) / 6;
          if (s.pointwise.residual) sum += before[std::size_t(i * n + j)];
          const float got = half ? half_to_float(reinterpret_cast<std::uint16_t*>(out.data())[i * n + j])
                                 : out[std::size_t(i * n + j)];
          REQUIRE(got == doctest::Approx(sum).epsilon(half ? 4e-3 : 1e-4).scale(10));
        }
    }
}

TEST_CASE("calibration collects what the reference collects, and repeats bit for bit") {
  supernet_ptr net;
  SUBCASE("MobileNetV3") { net = support::tiny_supernet(); }
  SUBCASE("ProxylessNAS") { net = support::tiny_proxyless(); }
  SUBCASE("ResNet-50D") { net = support::odd_resnet(); }
  random_stream random(6, "archs");
  arch a = random_arch(net->space, random);
  a.r = net->space.resolutions.min();
  const backend::reference judge;
  const emulated_device device;
  calibrator<emulated_device> ours(device, net, device.pack(net), a, 4), again(device, net, device.pack(net), a, 4);
  calibrator<backend::reference> wanted(judge, net, judge.pack(net), a, 4);
  std::uint64_t seed = 20;
  for (const int count : {4, 3}) { // the second batch leaves a part of the memory as it was
    for (std::size_t n = 0; n < std::size_t(count); ++n) {
      const auto image = normals(static_cast<std::size_t>(ours.plan().blocks[0].in_values()), seed++);
      ours.load(n, image), again.load(n, image), wanted.load(n, image);
    }
    ours.add(count), wanted.add(count);
    if (count == 4) { // the first batch alone, twice
      again.add(count);
      CHECK(again.statistics() == ours.statistics());
    }
  }
  const auto apart = [](const std::vector<float>& x, const std::vector<float>& y) { // as a share of the largest
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
      worst = std::max(worst, double(std::abs(x[i] - y[i]))), largest = std::max(largest, double(std::abs(y[i])));
    return worst / largest;
  };
  const bn_statistics got = ours.statistics(), truth = wanted.statistics();
  CHECK(apart(got.mean, truth.mean) < 1e-4); // the tolerance of the golden data
  CHECK(apart(got.var, truth.var) < 1e-4);
}

TEST_CASE("the logits of a batch under calibration are those of the network with its statistics") {
  supernet_ptr net;
  SUBCASE("MobileNetV3") { net = support::tiny_supernet(); }
  SUBCASE("ProxylessNAS") { net = support::tiny_proxyless(); }
  SUBCASE("ResNet-50D") { net = support::odd_resnet(); }
  arch a = smallest(net->space);
  a.r = net->space.resolutions.min();
  const plan p = make_plan(net->space, a);
  const scale_shift affine = fold(*net, p, stored_statistics(*net, p));
  auto batch = open_calibration(emulated_device{}, emulated_device{}.pack(net), p, 2);
  const std::vector<float> image = normals(static_cast<std::size_t>(p.blocks[0].in_values()), 8);
  batch.load(0, normals(image.size(), 9)), batch.load(1, image);
  for (std::size_t b = 0; b < p.blocks.size(); ++b)
    for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
      batch.convolve(b, i, 2);
      const plan::norm norm = p.norms[static_cast<std::size_t>(p.first_norm(b) + i)];
      const auto at = static_cast<std::size_t>(norm.offset), count = static_cast<std::size_t>(norm.channels);
      batch.normalise(b, i, std::span(affine.scale).subspan(at, count), std::span(affine.shift).subspan(at, count));
    }
  std::vector<float> got(static_cast<std::size_t>(net->space.classes)), wanted(got.size());
  batch.logits(1, got);
  const backend::reference judge;
  auto level = judge.bind(judge.pack(net), p, affine);
  auto space = judge.make_workspace(std::span(&p, 1));
  judge.run(level, space, image, wanted);
  CHECK(difference(got, wanted) < 2e-4);
}

TEST_CASE("pictures become inputs as on the CPU: Pillow's filter bit for bit, interpolation up to rounding") {
  random_stream random(12, "picture");
  for (const auto mode : {data::preprocessing_mode::imagenet_crop, data::preprocessing_mode::exact})
    for (const auto& [height, width, r] :
         {std::tuple{64, 64, 96}, std::tuple{31, 77, 32}, std::tuple{120, 50, 64}, std::tuple{1, 1, 16}}) {
      data::image picture(height, width);
      for (auto& v : picture.pixels) v = static_cast<std::uint8_t>(random.below(256));
      data::preprocessing rule;
      rule.mode = mode;
      const auto values = static_cast<std::size_t>(r * r * 3);
      std::vector<float> wanted(values), got(values);
      rule.apply(picture, r, wanted);
      const picture_schedule plan(rule, height, width, r);
      emulated_memory memory(plan.bytes());
      plan.fill(picture, memory.begin());
      run_emulated(plan.steps(memory.begin(), got.data()));
      const std::string sizes = std::to_string(width) + "x" + std::to_string(height) + " to " + std::to_string(r);
      INFO(name_of(mode) << " " << sizes);
      if (mode == data::preprocessing_mode::imagenet_crop)
        CHECK(got == wanted);
      else
        for (std::size_t i = 0; i < values; ++i) REQUIRE(std::abs(got[i] - wanted[i]) < 1e-5f);
    }
}

TEST_CASE("a picture that is not what its schedule is for is refused") {
  data::preprocessing rule;
  const picture_schedule plan(rule, 40, 30, 32);
  std::vector<std::byte> memory(plan.upload_bytes());
  data::image other(40, 31), larger(40, 30);
  larger.pixels.resize(larger.pixels.size() + 1);
  CHECK_THROWS_WITH_AS(plan.fill(other, memory.data()),
                       "cuda pictures: expected 30×40 pixels of 3 bytes, got 31×40 and 3720 bytes", error);
  CHECK_THROWS_WITH_AS(plan.fill(larger, memory.data()),
                       "cuda pictures: expected 30×40 pixels of 3 bytes, got 30×40 and 3601 bytes", error);
  CHECK_THROWS_WITH_AS((picture_schedule{rule, 200'000, 1, 16'384}),
                       "cuda pictures: expected a height below 131072, got 200000", error);
}

TEST_CASE("a run's thread blocks share an inner dimension, a calibration's do not: it has no room for the shares") {
  const auto net = std::make_shared<const supernet>(random_supernet(ofa_resnet50_space::description, 1));
  arch a = largest(net->space);
  a.r = 128;
  const device_limits device{227 * 1024, 132};
  std::vector<std::byte> somewhere(64);
  std::byte* const base = somewhere.data();
  const packed_layout weights(*net, precision::fp32);
  const plan p = make_plan(net->space, a);
  const addresses at{base, reinterpret_cast<const float*>(base), base};
  const auto shared = [](const std::vector<step>& steps) {
    return std::ranges::count_if(
        steps, [](const step& s) { return is_convolution(s.kernel) && s.convolution.of[0].splits > 1; });
  };
  const arena_layout arena(std::span(&p, 1), precision::fp32, device);
  const schedule runs(weights, p, arena, at, device);
  const calibration_layout layout(p, 8);
  const calibration_schedule calibrates(weights, p, layout, at, device, 8);
  std::ptrdiff_t of_run = 0, of_calibration = 0;
  for (std::size_t b = 0; b < p.blocks.size(); ++b) {
    const std::vector<step> alone = runs.block_alone(b);
    of_run += shared(alone);
    for (const step& s : alone) CHECK(least_bytes(s) > 0); // of what launches do beside each other too
    for (int i = 0; i < p.blocks[b].norm_count(); ++i) of_calibration += shared(calibrates.convolve(b, i));
  }
  CHECK(of_run > 0);
  CHECK(of_calibration == 0);
}

TEST_CASE("image and logits may lie outside the arena, which then ends before them") {
  const auto net = support::tiny_supernet();
  const plan p = make_plan(net->space, smallest(net->space), 2);
  emulated_level level(*net, p, fold(*net, p, stored_statistics(*net, p)), precision::fp32, {96 * 1024, 4});
  const std::vector<float> image = normals(p.image_values(), 5);
  level.put(level.layout.image, image, false);
  run_emulated(level.steps.network());
  const std::vector<float> wanted = level.get(level.layout.logits, p.logit_values(), false);

  std::vector<float> outside = image, logits(wanted.size());
  emulated_memory arena(level.layout.image);
  const schedule steps(level.weights, p, level.layout,
                       {level.weights.bytes.data(), level.norms.data(), arena.begin(),
                        reinterpret_cast<std::byte*>(outside.data()), reinterpret_cast<std::byte*>(logits.data())},
                       {96 * 1024, 4});
  run_emulated(steps.network());
  CHECK(logits == wanted);
}

TEST_CASE("grids stay within what a device launches, whatever the batch") {
  const auto net = std::make_shared<const supernet>(random_supernet(ofa_w1_2::description, 1));
  arch a = largest(net->space);
  a.r = 224;
  const device_limits device{227 * 1024, 132};
  std::vector<std::byte> somewhere(64);
  std::byte* const base = somewhere.data();
  const packed_layout weights(*net, precision::fp32);
  const auto launchable = [](const std::vector<step>& steps) {
    return std::ranges::all_of(
        steps, [](const step& s) { return s.grid[0] < 1u << 31 && s.grid[1] <= 65535 && s.grid[2] <= 65535; });
  };
  const plan one = make_plan(net->space, a);
  for (const int images : {668, 669, 4096, 65535}) {
    const calibration_layout layout(one, images);
    const calibration_schedule steps(weights, one, layout, {base, reinterpret_cast<const float*>(base), base}, device,
                                     images);
    int parts = 0; // of products that take several launches
    for (std::size_t b = 0; b < one.blocks.size(); ++b)
      for (int i = 0; i < one.blocks[b].norm_count(); ++i) {
        CHECK(launchable(steps.normalise(b, i)));
        const auto convolution = steps.convolve(b, i);
        CHECK(launchable(convolution));
        const pointwise_args* before = nullptr;
        for (const step& s : convolution) {
          if (s.kernel < kernel_id::pointwise_wide || s.kernel > kernel_id::pointwise_deepest) continue;
          const pointwise_args& part = s.pointwise;
          if (before != nullptr && before->w == part.w) { // goes on where the last one ended
            const auto out =
                reinterpret_cast<std::uintptr_t>(before->out) + std::size_t(before->m) * std::size_t(part.n) * 4;
            CHECK(reinterpret_cast<std::uintptr_t>(part.out) == out);
            ++parts;
          }
          before = &part;
        }
      }
    CHECK((parts > 0) == (images > 668));
  }
  CHECK_THROWS_WITH_AS((calibration_schedule{weights, one, calibration_layout(one, 1), {}, device, 65536}),
                       "cuda backend bind: expected a batch of at most 65535 images, got 65536", error);
  for (const int batch : {335, 2048}) {
    const plan p = make_plan(net->space, a, batch);
    const arena_layout arena(std::span(&p, 1), precision::fp32, device);
    CHECK(
        launchable(schedule(weights, p, arena, {base, reinterpret_cast<const float*>(base), base}, device).network()));
  }
  a.r = 4096; // rows of pixels are numbered by an int
  CHECK_THROWS_WITH_AS(require_runnable(weights, make_plan(net->space, a, 600, true), 600),
                       "cuda backend bind: expected a batch of at most 511 images, got 600", error);
}

TEST_CASE("a product in several launches is the product") {
  const auto net = support::tiny_supernet();
  random_stream random(10, "archs");
  arch a = random_arch(net->space, random);
  a.r = 32;
  for (const precision values : {precision::fp32, precision::fp16})
    compare(net, make_plan(net->space, a, 3), values, {96 * 1024, 4, 3}, nullptr);
}

TEST_CASE("tiles: many for one image on a large device, large ones for a batch, and always within shared memory") {
  const auto net = ofa_w1_2::description;
  const plan p = make_plan(net, largest(net));
  for (const block& b : p.blocks) {
    if (b.kind != block_kind::inverted_residual) continue;
    for (const precision values : {precision::fp16, precision::fp32}) {
      const tiles one = tiles_of(b, values, 1, {227 * 1024, 132}), batch = tiles_of(b, values, 64, {227 * 1024, 132});
      CHECK(one.count >= batch.count);
      CHECK(batch.height * batch.width >= std::min(b.out_size * b.out_size, 16));
      CHECK(tiles_of(b, values, 1, {64 * 1024, 40}).shared_bytes <= 64 * 1024); // compute capability 7.5
      CHECK_THROWS_AS(tiles_of(b, values, 1, {8 * 1024, 40}), error);
    }
  }
}

} // namespace dynofa_test::backends_cuda_kernels
