#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/data/decode.hpp"
#include "dynofa/data/draw.hpp"
#include "dynofa/family/measure_accuracy.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::family_measure_accuracy {

using namespace dynofa;

TEST_CASE("a measured level is what calibrating and evaluating it one by one gives") {
  const support::scratch_folder folder;
  const auto net = support::tiny_supernet();
  std::vector<std::string> classes;
  for (int c = 0; c < net->space.classes; ++c) classes.push_back(text("class", c));
  for (int i = 0; i < 6; ++i) {
    const auto path = folder.path() / classes[std::size_t(i % 2)] / text(i, ".png");
    std::filesystem::create_directories(path.parent_path());
    data::write_png(path, data::draw_landscape(40, 50, std::uint64_t(i)));
  }
  const data::image_folder images(folder.path(), classes);
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

} // namespace dynofa_test::family_measure_accuracy
