// From a profile to a family's file and back, by the same calls for every space.
#include "dynofa/accuracy/train.hpp"
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/cpu/calibration.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/calibrate/calibrate.hpp"
#include "dynofa/family/design_sections.hpp"
#include "dynofa/family/file.hpp"
#include "dynofa/family/measure.hpp"
#include "dynofa/latency/profile.hpp"
#include "dynofa/search/family_selection.hpp"
#include "dynofa/search/pareto.hpp"

#include <doctest/doctest.h>

#include "accuracy/synthetic.hpp"
#include "support/scratch_folder.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::family_whole_way {

using namespace dynofa;

TEST_CASE("profile, predictor, search, calibration, file, run") {
  supernet_ptr net;
  SUBCASE("MobileNetV3") { net = support::tiny_supernet(); }
  SUBCASE("ProxylessNAS") { net = support::tiny_proxyless(); }
  const space_description& space = net->space;
  const backend::cpu cpu{.threads = 1};

  profiler profile(cpu, net, {.quick = true, .seconds_per_resolution = 0.1});
  REQUIRE(profile.run());
  const dynofa::latency_table table = profile.table();
  const table_model latency(space, table);
  training_options brief; // whether it is good say the tests of accuracy
  brief.hidden = {16}, brief.members = 1, brief.epochs = 5, brief.taught = 200;
  const auto accuracy = train_predictor(space, support::synthetic_data(space, 60, 0.002, 1), brief);

  search::pareto_options wanted;
  wanted.levels = 4, wanted.evaluations = 1500;
  const auto found = search::pareto(space, accuracy, latency, wanted);
  std::vector<arch> archs;
  for (const auto& one : search::select_levels(found.all, 3)) {
    CHECK(is_legal(space, one.arch));
    CHECK(one.cost == latency(one.arch));
    archs.push_back(one.arch);
  }
  REQUIRE(archs.size() >= 2);

  const image_source source{12, [](std::size_t n, int, std::span<float> image) {
                              random_stream random(n, "picture");
                              for (float& v : image) v = static_cast<float>(random.normal());
                            }};
  const auto calibrated = calibrate(cpu, net, archs, source, {.images = 12, .batch = 6});
  family made(net, data::exact_preprocessing(), {});
  int correct = 100;
  for (const auto& one : calibrated) {
    CHECK(one.images == 12);
    made.add({one.arch, one.statistics, {1000, correct += 100, 900}, {}});
  }
  const std::string device = remeasure_latencies(made, cpu, 1);
  set_table(made, table);
  set_predictor(made, accuracy);

  const support::scratch_folder scratch;
  save_family(scratch.path() / "f.dynofa", made);
  const family read = load_family(scratch.path() / "f.dynofa");
  CHECK(read.levels() == made.levels());
  CHECK(read.space() == space);
  CHECK(table_of(read) == table);
  REQUIRE(read.levels().size() == archs.size());
  session here(cpu, net), there(cpu, read.net());
  for (std::size_t i = 0; i < archs.size(); ++i) {
    const family_level& level = read.levels()[i];
    CHECK(level.arch == calibrated[i].arch);
    CHECK(read.latency_on(i, device) != nullptr);
    CHECK((*predictor_of(read))(level.arch) == accuracy(level.arch));
    std::vector<float> image(image_values(level.arch.r));
    source.fill(0, level.arch.r, image);
    const auto bound = here.load(archs[i], calibrated[i].statistics), again = there.load(level.arch, level.statistics);
    const std::vector<float> logits = here.run(bound, image);
    CHECK(there.run(again, image) == logits);
    CHECK(*std::max_element(logits.begin(), logits.end()) > *std::min_element(logits.begin(), logits.end()));
  }
  family_level twice = read.levels()[0];
  for (std::size_t b = 0; b < twice.arch.ks.size(); ++b)
    if (!twice.arch.active(b)) twice.arch.ks[b] = twice.arch.ks[b] == 3 ? 5 : 3;
  twice.arch.uneven = {}; // as it would come out of a file
  CHECK_THROWS_AS(made.add(twice), error);
}

} // namespace dynofa_test::family_whole_way
