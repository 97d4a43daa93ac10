// ctest: gpu
// What a user sees of the GPU backend. With a GPU: conformance with the reference, graphs, memory. Without one: a
// sentence that says so.
#include "dynofa/backend/cuda.hpp"
#include "dynofa/backend/cuda/calibration.hpp"
#include "dynofa/backend/cuda/preprocess.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/reference_calibration.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/calibrator.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"
#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <string>

namespace dynofa_test::backends_cuda_cuda {

using namespace dynofa;

static_assert(inference_backend<backend::cuda>);

namespace {

/// Why there is no GPU here, or nothing. Asked inside the cases: when doctest lists them, the kernels may not have been
/// registered with CUDA yet.
const std::optional<std::string>& absence() {
  static const std::optional<std::string> reason = []() -> std::optional<std::string> {
    try {
      (void)backend::cuda{};
      return std::nullopt;
    } catch (const error& e) {
      std::cout << "skipped: " << e.what() << '\n';
      return e.what();
    }
  }();
  return reason;
}

std::vector<float> image_of(const plan& p) {
  random_stream random(5, "image");
  std::vector<float> v(static_cast<std::size_t>(p.batch) * static_cast<std::size_t>(p.blocks[0].in_values()));
  for (float& x : v) x = static_cast<float>(random.uniform() * 3.4 - 1.7);
  return v;
}

double difference(std::span<const float> got, std::span<const float> wanted) {
  double worst = 0, square = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!(std::abs(got[i]) < 1e30f)) return 1e30;
    worst = std::max(worst, double(std::abs(got[i] - wanted[i])));
    square += double(wanted[i]) * wanted[i];
  }
  return worst / std::sqrt(square / double(got.size()) + 1e-12);
}

} // namespace

TEST_CASE("a machine without a GPU is told so in one sentence") {
  if (!absence()) return;
  try {
    (void)backend::cuda{};
    FAIL("no error");
  } catch (const error& e) {
    CHECK(e.code() == errc::device);
    CHECK(std::string(e.what()).starts_with("cuda"));
  }
}

TEST_CASE("wrong choices are refused before a device is looked for") {
  CHECK_THROWS_WITH_AS(backend::cuda{.precision = "int4"}, "cuda backend precision: expected fp16 or fp32, got int4",
                       error);
}

TEST_CASE("every block and whole networks agree with the reference") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  for (const std::string values : {"fp32", "fp16"})
    for (const int batch : {1, 3}) {
      const backend::cuda gpu{.precision = values};
      const backend::reference judge;
      random_stream random(4, "archs");
      for (int i = 0; i < 6; ++i) {
        const plan p = make_plan(net->space, random_arch(net->space, random), batch);
        const scale_shift affine = fold(*net, p, stored_statistics(*net, p));
        auto level = gpu.bind(gpu.pack(net), p, affine);
        auto space = gpu.make_workspace(std::span(&p, 1));
        auto truth = judge.bind(judge.pack(net), p, affine);
        auto truth_space = judge.make_workspace(std::span(&p, 1));
        const std::vector<float> image = image_of(p);
        std::vector<float> in = image;
        for (std::size_t b = 0; b < p.blocks.size(); ++b) {
          std::vector<float> wanted(static_cast<std::size_t>(batch) *
                                    static_cast<std::size_t>(p.blocks[b].out_values())),
              got(wanted.size());
          judge.run_block(truth, truth_space, b, in, wanted);
          gpu.run_block(level, space, b, in, got);
          INFO("block " << b << " of " << text(p.arch) << " " << values);
          CHECK(difference(got, wanted) < (values == "fp16" ? 1e-2 : 2e-5));
          in = wanted;
        }
        std::vector<float> logits(in.size()), again(in.size());
        gpu.run(level, space, image, logits);
        CHECK(difference(logits, in) < (values == "fp16" ? 5e-2 : 2e-4));
        gpu.run(level, space, image, again);
        CHECK(logits == again); // bit for bit
      }
    }
}

TEST_CASE("calibration collects what the reference collects, and repeats bit for bit") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  const backend::cuda gpu{.precision = "fp32"};
  const backend::reference judge;
  random_stream random(8, "archs");
  for (int i = 0; i < 3; ++i) {
    const arch a = i == 0 ? largest(net->space) : random_arch(net->space, random);
    calibrator<backend::cuda> ours(gpu, net, gpu.pack(net), a, 5), again(gpu, net, gpu.pack(net), a, 5);
    calibrator<backend::reference> wanted(judge, net, judge.pack(net), a, 5);
    for (const int count : {5, 4}) {
      for (std::size_t n = 0; n < std::size_t(count); ++n) {
        std::vector<float> image(static_cast<std::size_t>(ours.plan().blocks[0].in_values()));
        for (float& x : image) x = static_cast<float>(random.normal());
        ours.load(n, image), again.load(n, image), wanted.load(n, image);
      }
      ours.add(count), again.add(count), wanted.add(count);
    }
    CHECK(difference(ours.statistics().mean, wanted.statistics().mean) < 1e-4);
    CHECK(difference(ours.statistics().var, wanted.statistics().var) < 1e-3);
    CHECK(ours.statistics() == again.statistics());
  }
}

TEST_CASE("calibration wants weights in fp32") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  const backend::cuda half;
  CHECK_THROWS_WITH_AS((calibrator<backend::cuda>(half, net, half.pack(net), smallest(net->space), 2)),
                       "cuda calibration: expected weights packed in fp32, got fp16", error);
}

TEST_CASE("pictures become inputs on the GPU as on the CPU") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  session runner(backend::cuda{.precision = "fp32"}, net);
  auto level = runner.load(largest(net->space));
  const int r = level->plan.arch.r;
  (void)runner.run(level, image_of(level->plan)); // makes the workspace
  random_stream random(12, "picture");
  for (const auto mode : {data::preprocessing_mode::imagenet_crop, data::preprocessing_mode::exact}) {
    data::preprocessing rule;
    rule.mode = mode;
    backend::cuda_pictures pictures(runner.backend(), rule);
    for (const auto& [height, width] : {std::pair{64, 64}, std::pair{375, 500}, std::pair{90, 31}}) {
      data::image picture(height, width);
      for (auto& v : picture.pixels) v = static_cast<std::uint8_t>(random.below(256));
      std::vector<float> wanted(static_cast<std::size_t>(r) * static_cast<std::size_t>(r) * 3), got(wanted.size());
      rule.apply(picture, r, wanted);
      pictures.apply(picture, r, got);
      float apart = 0;
      for (std::size_t i = 0; i < got.size(); ++i) apart = std::max(apart, std::abs(got[i] - wanted[i]));
      CHECK(apart <= (mode == data::preprocessing_mode::exact ? 1e-5f : 0.f));
      std::vector<float> logits(static_cast<std::size_t>(net->space.classes));
      pictures.run(*level, runner.workspace(), picture, logits);
      CHECK(difference(logits, runner.run(level, wanted)) < 1e-4);
    }
  }
}

TEST_CASE("levels share the weights and one arena") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  session on_gpu(backend::cuda{}, net);
  auto small = on_gpu.load(smallest(net->space));
  auto large = on_gpu.load(largest(net->space));
  CHECK(small->weights == large->weights);
  const std::vector<float> one = on_gpu.run(small, image_of(small->plan));
  on_gpu.run(large, image_of(large->plan));
  CHECK(on_gpu.run(small, image_of(small->plan)) == one);
}

} // namespace dynofa_test::backends_cuda_cuda
