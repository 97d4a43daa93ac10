#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/data/decode.hpp"
#include "dynofa/data/draw.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure_accuracy.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace dynofa_test::family_measure_accuracy {

using namespace dynofa;

namespace {

std::vector<std::string> classes_of(const supernet& net) {
  std::vector<std::string> classes;
  for (int c = 0; c < net.space.classes; ++c) classes.push_back(text("class", c));
  return classes;
}

/// Six pictures of the first two classes.
data::image_folder pictures_in(const std::filesystem::path& folder, const std::vector<std::string>& classes) {
  for (int i = 0; i < 6; ++i) {
    const auto path = folder / classes[std::size_t(i % 2)] / text(i, ".png");
    std::filesystem::create_directories(path.parent_path());
    data::write_png(path, data::draw_landscape(40, 50, std::uint64_t(i)));
  }
  return data::image_folder(folder, classes);
}

} // namespace

TEST_CASE("a measured level is what calibrating and evaluating it one by one gives") {
  const support::scratch_folder folder;
  const auto net = support::tiny_supernet();
  const data::image_folder images = pictures_in(folder.path(), classes_of(*net));
  const auto rule = data::exact_preprocessing();
  const accuracy_setup<backend::cpu> with{net, rule, decoded_source(images, rule, 1), images, {}, {}};
  const std::vector<arch> archs = {largest(net->space), smallest(net->space)};
  std::vector<std::pair<arch, int>> told;
  const auto tell = [&](const arch& a, const evaluation_result& r) { told.emplace_back(a, r.accuracy.images); };
  const auto measured = measure_accuracies(with, archs, {.images = 4, .batch = 2}, {}, tell);
  CHECK(told == std::vector<std::pair<arch, int>>{{archs[0].canonical(), 6}, {archs[1].canonical(), 6}});
  REQUIRE(measured.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(measured[i].arch == archs[i].canonical());
    const auto one =
        calibrate(with.calibrating, net, std::span(&archs[i], 1), with.calibration, {.images = 4, .batch = 2});
    CHECK(measured[i].statistics.mean == one[0].statistics.mean);
    const evaluated_level level{archs[i], one[0].statistics};
    CHECK(measured[i].accuracy ==
          evaluate(backend::cpu{}, net, backend::cpu{}.pack(net), std::span(&level, 1), images, rule)[0].accuracy);
    CHECK(measured[i].accuracy.images == 6);
  }
}

TEST_CASE("levels of one architecture in two number formats: measured in each, kept apart, the same from a file") {
  const support::scratch_folder folder;
  const auto net = support::tiny_supernet();
  const data::image_folder images = pictures_in(folder.path(), classes_of(*net));
  const auto rule = data::exact_preprocessing();
  accuracy_setup<backend::cpu> with{net, rule, decoded_source(images, rule, 1), images, {}, {}};
  const std::vector<arch> archs = {largest(net->space), smallest(net->space)};
  family f(net, rule, {});
  for (const char* format : {"", "int8"}) {
    with.format = format;
    if (with.format == "int8") with.ranges = range_options{.images = 4};
    for (family_level& level : measure_accuracies(with, archs, {.images = 4, .batch = 2}, {})) {
      const plan p = make_plan(net->space, level.arch);
      CHECK(level.format == format);
      CHECK(level.statistics.ranges.low.size() == (with.ranges ? range_count(p) : 0));
      CHECK(level.accuracy.images == 6);
      f.add(std::move(level));
    }
  }
  REQUIRE(f.levels().size() == 4);
  CHECK(support::sentence([&] {
          f.add(f.levels()[0]);
        }).starts_with("family: expected each architecture once in a number format, got a second "));
  save_family(folder.path() / "formats.dynofa", f);
  const family back = load_family(folder.path() / "formats.dynofa");
  CHECK(back.levels() == f.levels());

  // accuracy and logits are those of a backend that runs everything in the level's format
  session mixed(backend::cpu{}, net);
  for (const family_level& l : back.levels()) {
    const std::string format = l.format.empty() ? "fp32" : l.format;
    const backend::cpu whole{.weights = format};
    session alone(whole, net);
    const std::vector<float> image(image_values(l.arch.r), .3f);
    CHECK(mixed.run(mixed.load(l.arch, l.statistics, 1, l.format), image) ==
          alone.run(alone.load(l.arch, l.statistics), image));
    const evaluated_level level{l.arch, l.statistics};
    CHECK(l.accuracy == evaluate(whole, net, whole.pack(net), std::span(&level, 1), images, rule)[0].accuracy);
  }
  CHECK(mixed.all_packed().by_name.size() == 2);
  CHECK(session(backend::cpu{.weights = "int8"}, net).packed("int8")->format ==
        backend::cpu_detail::number_format::int8);

  with.evaluating = {.weights = "int8"};
  CHECK(support::sentence([&] { measure_accuracies(with, archs, {.images = 4, .batch = 2}, {}); }) ==
        "measure accuracies: expected backends of one number format, and levels' own in `format`, got fp32 and int8");
}

TEST_CASE("a number format's name in a level is short and plain") {
  const auto net = support::tiny_supernet();
  family f(net, data::exact_preprocessing(), {});
  const arch a = smallest(net->space);
  for (const char* bad : {"INT8", "int 8", "a/b", "a23456789012345678901234567890123"})
    CHECK(support::sentence([&] {
            f.add({a, stored_statistics(*net, a), {}, {}, bad});
          }).starts_with("family level, number format: expected up to 32 small letters and digits, got "));
  CHECK(f.levels().empty());
}

TEST_CASE("a family of ResNets: calibrated and evaluated on the CPU, written, read back, the same logits") {
  const support::scratch_folder folder;
  const auto net = support::odd_resnet();
  const data::image_folder images = pictures_in(folder.path() / "images", classes_of(*net));
  const auto rule = data::exact_preprocessing();
  const backend::cpu calibrating{.threads = 2}, one;
  const accuracy_setup<backend::cpu> with{net, rule, decoded_source(images, rule, 1), images, calibrating, {}};
  const std::vector<arch> archs = {smallest(net->space), largest(net->space)};
  std::vector<data::class_name> names;
  for (const std::string& c : classes_of(*net)) names.push_back({c, c});
  family made(net, rule, names);
  for (const auto& m : measure_accuracies(with, archs, {.images = 6, .batch = 3}, {}, [](auto&&...) {}))
    made.add({m.arch, m.statistics, m.accuracy, {}, {}});
  const auto path = folder.path() / "resnet.family";
  save_family(path, made);
  const family back = load_family(path);
  REQUIRE(back.levels().size() == 2);
  CHECK(back.space() == net->space);

  const auto logits_of = [&](const auto& backend, const family& f, std::size_t i) {
    std::vector<float> image(image_values(f.levels()[i].arch.r));
    rule.apply(images.load(1), f.levels()[i].arch.r, image);
    session runner(backend, f.net());
    auto level = runner.load(f.levels()[i].arch, f.levels()[i].statistics);
    return runner.run(level, image);
  };
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(back.levels()[i].arch == made.levels()[i].arch);
    CHECK(back.levels()[i].accuracy == made.levels()[i].accuracy);
    const std::vector<float> before = logits_of(one, made, i), judged = logits_of(backend::reference{}, back, i);
    CHECK(logits_of(one, back, i) == before);
    double largest = 0;
    for (const float v : judged) largest = std::max(largest, double(std::abs(v)));
    for (std::size_t c = 0; c < judged.size(); ++c) CHECK(std::abs(before[c] - judged[c]) < 1e-4 * largest);
  }
}

} // namespace dynofa_test::family_measure_accuracy
