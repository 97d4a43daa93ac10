// ctest: threads
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/reference_calibration.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/calibrate/evaluate.hpp"

#include <doctest/doctest.h>

#include "support/no_more_threads.hpp"
#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <cmath>
#include <limits>

namespace dynofa_test::calibrate_evaluate {

using namespace dynofa;

namespace {

/// Ten classes, three pictures each.
void write_pictures(const std::filesystem::path& root) {
  random_stream random(5, "pictures");
  for (int c = 0; c < 10; ++c)
    for (int n = 0; n < 3; ++n) {
      data::image picture(40, 40);
      for (auto& v : picture.pixels) v = static_cast<std::uint8_t>(random.below(256));
      std::filesystem::create_directories(root / text("class", c));
      data::write_png(root / text("class", c) / text(n, ".png"), picture);
    }
}

const data::preprocessing rule{.mode = data::preprocessing_mode::exact};

} // namespace

TEST_CASE("evaluation counts what single runs count, on any number of threads, levels in one pass") {
  const support::scratch_folder scratch;
  write_pictures(scratch.path());
  const data::image_folder folder(scratch.path());
  const auto net = support::tiny_supernet();
  const backend::cpu one;
  const std::vector<arch> archs = {smallest(net->space), largest(net->space)};
  const auto calibrated = calibrate(backend::cpu{.threads = 2}, net, archs, decoded_source(folder, rule, 2),
                                    {.images = 30, .batch = 10, .threads = 2, .report_every = 10}, one.pack(net));
  std::vector<evaluated_level> levels;
  for (const auto& c : calibrated) {
    CHECK(c.images == 30);
    CHECK(c.convergence.size() == 2);
    CHECK(c.convergence.back().mean_change > 0);
    CHECK(c.convergence.back().logit_change > 0);
    CHECK(c.convergence.back().logit_change < 1);
    levels.push_back({c.arch, c.statistics});
  }
  const auto results = evaluate(one, net, one.pack(net), levels, folder, rule, {.threads = 2});
  const auto again = evaluate(one, net, one.pack(net), levels, folder, rule, {.batch = 7}); // 30 = 4 · 7 + 2
  const auto singly = evaluate(one, net, one.pack(net), levels, folder, rule, {.threads = 3, .batch = 1});

  session runner(one, net);
  for (std::size_t l = 0; l < levels.size(); ++l) {
    auto level = runner.load(levels[l].arch, levels[l].statistics);
    measured_accuracy wanted{static_cast<int>(folder.size()), 0, 0};
    std::vector<float> image(image_values(levels[l].arch.r));
    for (std::size_t i = 0; i < folder.size(); ++i) {
      rule.apply(folder.load(i), levels[l].arch.r, image);
      auto logits = runner.run(level, image);
      const float own = logits[static_cast<std::size_t>(folder.label(i))];
      wanted.correct += static_cast<int>(argmax(logits)) == folder.label(i);
      std::sort(logits.rbegin(), logits.rend());
      wanted.correct5 += own >= logits[4];
    }
    CHECK(results[l].accuracy == wanted);
    CHECK(again[l].accuracy == wanted);
    CHECK(singly[l].accuracy == wanted);
    CHECK(results[l].per_class == again[l].per_class);
    CHECK(results[l].per_class == singly[l].per_class);
  }
  CHECK(results[0].per_class[0].images == 3);
}

TEST_CASE("images whose logits are no numbers count as wrong and are counted") {
  const support::scratch_folder scratch;
  write_pictures(scratch.path());
  const data::image_folder folder(scratch.path());
  const backend::cpu one;
  const auto results_with = [&](auto change) {
    supernet broken = *support::tiny_supernet();
    change(broken.weights.back()); // the classifier's bias
    const auto net = std::make_shared<const supernet>(std::move(broken));
    const evaluated_level level{smallest(net->space), stored_statistics(*net, smallest(net->space))};
    return evaluate(one, net, one.pack(net), std::span(&level, 1), folder, rule, {.batch = 7}).front();
  };
  const auto healthy = results_with([](auto&) {});
  CHECK(healthy.not_finite == 0);
  CHECK(healthy.accuracy.correct5 > 0);
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    CAPTURE(bad);
    const auto all = results_with([&](auto& bias) { bias.assign(bias.size(), bad); });
    CHECK(all.accuracy == measured_accuracy{30, 0, 0});
    CHECK(all.not_finite == 30);
    const auto one_class = results_with([&](auto& bias) { bias[4] = bad; });
    CHECK(one_class.accuracy == measured_accuracy{30, 0, 0});
    CHECK(one_class.not_finite == 30);
    CHECK(one_class.per_class[4] == measured_accuracy{3, 0, 0});
  }
}

TEST_CASE("the interval of top-1 is Wilson's") {
  const measured_accuracy a{100, 60, 80};
  CHECK(a.top1() == 60);
  CHECK(a.top5() == 80);
  CHECK(a.top1_interval().low == doctest::Approx(50.20).epsilon(1e-3));
  CHECK(a.top1_interval().high == doctest::Approx(69.06).epsilon(1e-3));
  CHECK(measured_accuracy{10, 0, 0}.top1_interval().low == doctest::Approx(0).scale(1));
  CHECK(measured_accuracy{}.top1_interval().high == 100);
}

TEST_CASE("other classes, no images and a stop are sentences") {
  const support::scratch_folder scratch;
  write_pictures(scratch.path());
  std::filesystem::remove_all(scratch.path() / "class9");
  const data::image_folder folder(scratch.path());
  const auto net = support::tiny_supernet();
  const backend::cpu one;
  CHECK(support::sentence([&] { evaluate(one, net, one.pack(net), {}, folder, rule); }) ==
        "evaluate: expected a folder of 10 classes, got 9");
  std::filesystem::create_directories(scratch.path() / "class9");
  CHECK(support::sentence([&] {
          evaluate(one, net, one.pack(net), {}, data::image_folder(scratch.path()), rule, {.batch = 0});
        }) == "evaluate: expected a batch of at least 1, got 0");
  const arch a = smallest(net->space);
  CHECK(support::sentence([&] { calibrate(one, net, std::span(&a, 1), image_source{}, {}); }) ==
        "calibrate: expected at least 1 image, 1 per batch and 1 thread, got 0, 100 and 1");
  calibration_options stopping{.images = 20, .batch = 10};
  stopping.progress = [](std::size_t done, std::size_t total) {
    CHECK(total == 2);
    return done < 1;
  };
  CHECK(support::sentence([&] { calibrate(one, net, std::span(&a, 1), decoded_source(folder, rule, 1), stopping); }) ==
        "calibrate: expected to see every batch, got a stop after 1 of 2");
}

#ifndef DYNOFA_EMULATED // qemu-user takes the memory of a stack that no machine has
TEST_CASE("a system that gives no thread is one sentence, wherever images or architectures are shared out") {
  const support::scratch_folder scratch;
  write_pictures(scratch.path());
  const data::image_folder folder(scratch.path());
  const auto net = support::tiny_supernet();
  const backend::cpu one;
  const auto packed = one.pack(net);
  const arch a = smallest(net->space);
  const evaluated_level level{a, stored_statistics(*net, a)};
  const image_source grey{10, [](std::size_t, int, std::span<float> image) { std::ranges::fill(image, 0.5f); }};
  const support::no_more_threads scope;
  CHECK(support::sentence([&] { data::for_each_image(folder, 4, [](auto&&...) {}); }) == support::no_four_threads);
  CHECK(support::sentence([&] { decoded_source(folder, rule, 4); }) == support::no_four_threads);
  CHECK(support::sentence([&] { evaluate(one, net, packed, std::span(&level, 1), folder, rule, {.threads = 4}); }) ==
        support::no_four_threads);
  CHECK(support::sentence([&] { calibrate(one, net, std::span(&a, 1), grey, {.batch = 5, .threads = 4}, packed); }) ==
        support::no_four_threads);
}
#endif

} // namespace dynofa_test::calibrate_evaluate
