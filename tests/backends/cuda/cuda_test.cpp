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
#include "dynofa/core/parallel_for.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/testing/conformance.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/slimmable_networks.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <atomic>
#include <cmath>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

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
  supernet_ptr net;
  SUBCASE("MobileNetV3") { net = support::tiny_supernet(); }
  SUBCASE("ProxylessNAS") { net = support::tiny_proxyless(); }
  SUBCASE("ResNet-50D") { net = support::odd_resnet(); }
  SUBCASE("slimmable networks") {}
  for (const std::string values : {"fp32", "fp16"})
    for (const int batch : {1, 3}) {
      const backend::cuda gpu{.precision = values};
      const backend::reference judge;
      random_stream random(4, "archs");
      std::vector<std::pair<supernet_ptr, plan>> networks;
      for (int i = 0; i < 6 && net; ++i)
        networks.emplace_back(net, make_plan(net->space, random_arch(net->space, random), batch));
      if (!net && batch == 1) networks = support::slimmable_networks();
      for (const auto& [net, p] : networks) {
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

TEST_CASE("named maps are what their blocks give, on the device and downloaded, and the logits stay") {
  if (absence()) return;
  const supernet_ptr net = support::odd_resnet();
  const plan bare = make_plan(net->space, smallest(net->space), 2), p = with_maps_at(bare, std::array{4, 8});
  const scale_shift norms = fold(*net, p, stored_statistics(*net, p));
  const std::vector<float> image = image_of(p);
  session judge(backend::reference{}, net);
  const auto truth = judge.bind(p, norms);
  (void)judge.run(truth, image);
  for (const std::string values : {"fp32", "fp16"}) {
    session on(backend::cuda{.precision = values}, net);
    const auto plain = on.bind(bare, norms), level = on.bind(p, norms);
    const std::vector<float> logits = on.run(plain, image);
    CHECK(on.run(level, image) == logits);
    for (std::size_t i = 0; i < p.named_maps(); ++i)
      for (std::size_t n = 0; n < 2; ++n) {
        const feature_map map = on.map(level, i, n), wanted = judge.map(truth, i, n);
        CHECK(map.on_device);
        REQUIRE(map.values() == wanted.values());
        std::vector<float> got(map.values()), values_wanted(map.values());
        on.backend().download(map, got);
        wanted.copy(values_wanted);
        CHECK(difference(got, values_wanted) < (values == "fp16" ? 5e-2 : 2e-4));
      }
  }
}

TEST_CASE("the backend conforms, MobileNetV3 and ResNet-50D") {
  if (absence()) return;
  for (const conformance::suite& s : {conformance::suite::of_every_block(), conformance::suite::of_bottlenecks()})
    for (const std::string values : {"fp32", "fp16"}) {
      const bool half = values == "fp16";
      const auto report = conformance::judge(
          backend::cuda{.precision = values}, s,
          {.block_tolerance = half ? 1e-2 : 2e-5, .logits_tolerance = half ? 5e-2 : 2e-4, .allocations = {}});
      for (const std::string& finding : report.findings) FAIL_CHECK(values << ": " << finding);
      CHECK(report.runs_batches);
    }
}

TEST_CASE("a batch of ResNet-50D at full size, in both precisions") {
  if (absence()) return;
  const auto net = std::make_shared<const supernet>(random_supernet(ofa_resnet50_space::description, 1));
  const arch a = largest(net->space);
  const plan one = make_plan(net->space, a), many = make_plan(net->space, a, 9);
  const std::vector<float> images = image_of(many);
  for (const std::string values : {"fp32", "fp16"}) {
    session gpu(backend::cuda{.precision = values}, net);
    const auto single = gpu.load(a), batch = gpu.load(a, stored_statistics(*net, many), 9);
    const std::vector<float> logits = gpu.run(batch, images);
    const std::vector<float> last = gpu.run(single, std::span(images).last(one.image_values()));
    CHECK(difference(std::span(logits).last(last.size()), last) < (values == "fp16" ? 2e-2 : 1e-4));
  }
}

TEST_CASE("calibration collects what the reference collects, and repeats bit for bit") {
  if (absence()) return;
  supernet_ptr net;
  SUBCASE("MobileNetV3") { net = support::tiny_supernet(); }
  SUBCASE("ResNet-50D") { net = support::odd_resnet(); }
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

TEST_CASE("kernels that reach the host's images and logits compute what they compute from copies") {
  if (absence()) return;
  for (const supernet_ptr& net : {support::tiny_supernet(), support::odd_resnet()})
    for (const std::string values : {"fp32", "fp16"}) {
      const backend::cuda copying{.precision = values}, sharing{.precision = values};
      copying.open->info.integrated = false, sharing.open->info.integrated = true; // as on a Jetson
      session one(copying, net), other(sharing, net);
      for (const int batch : {1, 3}) {
        const arch a = largest(net->space);
        const auto level = one.load(a, stored_statistics(*net, a), batch),
                   same = other.load(a, stored_statistics(*net, a), batch);
        std::vector<float> image = image_of(level->plan);
        for (int run = 0; run < 2; ++run, std::ranges::reverse(image))
          CHECK(one.run(level, image) == other.run(same, image));
        const std::size_t last = level->plan.blocks.size() - 1;
        for (const std::size_t b : {std::size_t{0}, last}) {
          const block& of = level->plan.blocks[b];
          const auto images = static_cast<std::size_t>(batch);
          const std::vector<float> in(images * static_cast<std::size_t>(of.in_values()), 0.3f);
          std::vector<float> out(images * static_cast<std::size_t>(of.out_values())), out_of_same(out.size());
          one.run_block(level, b, in, out), other.run_block(same, b, in, out_of_same);
          CHECK(out == out_of_same);
        }
      }
      CHECK(one.workspace().copies);
      CHECK(!other.workspace().copies);
      CHECK(one.workspace().bytes() == other.workspace().bytes());
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

TEST_CASE("spans, workspaces and weights that do not belong together are sentences, and nothing is written") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  const backend::cuda gpu{.precision = "fp32"};
  const auto packed = gpu.pack(net);
  const plan small = make_plan(net->space, smallest(net->space)), large = make_plan(net->space, largest(net->space), 3);
  auto level = gpu.bind(packed, small, fold(*net, small, stored_statistics(*net, small)));
  auto batch = gpu.bind(packed, large, fold(*net, large, stored_statistics(*net, large)));
  auto space = gpu.make_workspace(std::span(&small, 1));
  const std::vector<float> image = image_of(small), images = image_of(large);
  std::vector<float> logits(10), of_batch(30);
  const auto said = [](auto&& attempt) { return support::sentence(attempt); };
  CHECK(said([&] { gpu.run(level, space, std::span(image).first(5), logits); }) ==
        text("cuda backend, image: expected ", image.size(), " values, got 5"));
  CHECK(said([&] { gpu.run(level, space, image, of_batch); }) == "cuda backend, logits: expected 10 values, got 30");
  CHECK(said([&] { gpu.run(batch, space, images, of_batch); }) ==
        text("cuda backend: expected a workspace that holds ", large.arch, ", got a smaller one"));
  CHECK(said([&] { gpu.time_block(batch, space, 3, 1); }).starts_with("cuda backend: expected a workspace that holds"));
  CHECK(said([&] { gpu.run_block(level, space, 0, std::span(image).first(5), logits); }) ==
        text("cuda backend, input: expected ", image.size(), " values, got 5"));
  CHECK(said([&] { backend::cuda{}.bind(packed, small, fold(*net, small, stored_statistics(*net, small))); }) ==
        "cuda backend bind: expected weights packed for its device and precision, got those of another backend");
  backend::cuda_pictures pictures(gpu, {});
  data::image picture(40, 30);
  CHECK(said([&] { pictures.run(level, space, picture, of_batch); }) ==
        "cuda backend, logits: expected 10 values, got 30");
  picture.pixels.pop_back();
  CHECK(said([&] { pictures.run(level, space, picture, logits); }) ==
        "cuda pictures: expected 30×40 pixels of 3 bytes, got 30×40 and 3599 bytes");
  CHECK(said([&] { open_calibration(gpu, packed, small, 65536); }) ==
        "cuda backend bind: expected a batch of at most 65535 images, got 65536");
  auto calibration = open_calibration(gpu, packed, small, 2);
  CHECK_THROWS_AS(calibration.load(2, image), error);
  CHECK_THROWS_AS(calibration.load(0, images), error);
  gpu.run(level, space, image, logits); // and it goes on
}

TEST_CASE("one level in two threads, each with a workspace of its own, by images and by pictures") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  const backend::cuda gpu{.precision = "fp32"};
  const plan p = make_plan(net->space, smallest(net->space));
  auto level = gpu.bind(gpu.pack(net), p, fold(*net, p, stored_statistics(*net, p)));
  const data::preprocessing rule;
  backend::cuda_pictures pictures(gpu, rule);
  data::image picture(50, 60);
  random_stream random(1, "picture");
  for (auto& v : picture.pixels) v = static_cast<std::uint8_t>(random.below(256));
  std::vector<float> image(p.image_values());
  rule.apply(picture, p.arch.r, image);
  std::vector<float> wanted(10), of_picture(10);
  auto first = gpu.make_workspace(std::span(&p, 1));
  gpu.run(level, first, image, wanted);
  pictures.run(level, first, picture, of_picture);
  CHECK(of_picture == wanted);
  std::atomic<int> wrong{0};
  parallel_for(2, 2, [&](std::size_t t) {
    auto own = gpu.make_workspace(std::span(&p, 1));
    for (int i = 0; i < 200; ++i) {
      std::vector<float> got(10, -1.f);
      if (t == 0)
        gpu.run(level, own, image, got);
      else
        pictures.run(level, own, picture, got);
      wrong += got != wanted;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("the second GPU is used by a thread whose device is the first") {
  if (absence()) return;
  std::optional<backend::cuda> second;
  try {
    second.emplace(backend::cuda{.device = 1, .precision = "fp32"});
  } catch (const error& e) {
    std::cout << "skipped: " << e.what() << '\n';
    return;
  }
  const auto net = support::tiny_supernet();
  const backend::cuda gpu{.precision = "fp32"};
  const arch a = largest(net->space);
  session on_first(gpu, net), on_second(*second, net);
  const auto level = on_first.load(a), other = on_second.load(a);
  const std::vector<float> image = image_of(level->plan);
  CHECK(on_second.run(other, image) == on_first.run(level, image));
  CHECK(on_second.time_run(other, 3) > 0);
  CHECK(on_second.time_block(other, 4, 3) > 0);
  CHECK(!second->profile(*other, on_second.workspace(), 2).empty());
  std::vector<float> in(static_cast<std::size_t>(level->plan.blocks[2].in_values()), 0.3f),
      out(static_cast<std::size_t>(level->plan.blocks[2].out_values())), out_of_second(out.size());
  on_first.run_block(level, 2, in, out);
  on_second.run_block(other, 2, in, out_of_second);
  CHECK(out == out_of_second);
  calibrator<backend::cuda> first_sums(gpu, net, on_first.packed(), a, 2),
      second_sums(*second, net, on_second.packed(), a, 2);
  for (auto* c : {&first_sums, &second_sums}) c->load(0, image), c->load(1, image), c->add(2);
  CHECK(first_sums.statistics() == second_sums.statistics());
  CHECK_THROWS_AS(gpu.bind(on_second.packed(), level->plan, fold(*net, level->plan, stored_statistics(*net, a))),
                  error);
}

TEST_CASE("a calibration batch with more rows of tiles than a grid has") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  const backend::cuda gpu{.precision = "fp32"};
  const auto packed = gpu.pack(net);
  const arch a = largest(net->space); // 32×32 pixels behind the stem: 9000 images are 72,000 tiles of 128 rows
  constexpr int many = 9000;
  calibrator<backend::cuda> large(gpu, net, packed, a, many), small(gpu, net, packed, a, 2);
  std::vector<std::vector<float>> images(2);
  for (int i = 0; i < 2; ++i) {
    random_stream random(std::uint64_t(i), "image");
    images[std::size_t(i)].resize(large.plan().image_values());
    for (float& x : images[std::size_t(i)]) x = static_cast<float>(random.normal());
    small.load(std::size_t(i), images[std::size_t(i)]);
  }
  for (std::size_t n = 0; n < many; ++n) large.load(n, images[n % 2]);
  large.add(many), small.add(2);
  CHECK(difference(large.statistics().mean, small.statistics().mean) < 1e-4);
  CHECK(difference(large.statistics().var, small.statistics().var) < 1e-3);
}

TEST_CASE("levels that come and go settle on one arena, and a level that fits keeps its graph") {
  if (absence()) return;
  const auto net = support::tiny_supernet();
  session on_gpu(backend::cuda{}, net);
  const auto run = [&](const auto& level) { return on_gpu.run(level, image_of(level->plan)); };
  std::vector<const void*> arenas;
  for (int turn = 0; turn < 3; ++turn)
    for (const int batch : {1, 3, 2}) {
      const auto level = on_gpu.load(largest(net->space), stored_statistics(*net, largest(net->space)), batch);
      run(level);
      arenas.push_back(on_gpu.workspace().arena.get());
    }
  CHECK(std::ranges::count(arenas, arenas.back()) >= 8); // of nine: all but the first
  const auto large = on_gpu.load(largest(net->space));
  const auto logits = run(large);
  const auto graph = large->graph;
  run(on_gpu.load(smallest(net->space)));
  CHECK(run(large) == logits);
  CHECK(large->graph == graph);
}

} // namespace dynofa_test::backends_cuda_cuda
