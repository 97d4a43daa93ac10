// ctest: threads
#include "dynofa/adaptive_classifier.hpp"
#include "dynofa/data/decode.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_family.hpp"
#include <atomic>
#include <thread>
#include <vector>

namespace dynofa_test::adaptive_classifier {

using namespace dynofa;

namespace {

/// Latencies made up, so that nothing has to be measured: a cache that says so.
std::filesystem::path cache_of(const family& f, const std::filesystem::path& folder, const std::string& device) {
  family told = f;
  for (std::size_t i = 0; i < told.levels().size(); ++i)
    told.set_latency(i, {device, 1 + double(i), 2 + double(i), 1, 40});
  remember_latencies(told, device, latency_cache_file(folder, told));
  return folder;
}

struct setting {
  support::scratch_folder folder;
  family f = support::tiny_family();
  backend::cpu cpu{.weights = "lossless"};
  classifier_options options{.cache = cache_of(f, folder.path(), device_name(cpu))};
};

data::image noise(int width, int height) {
  data::image picture(height, width);
  random_stream random(7, "picture");
  for (auto& v : picture.pixels) v = static_cast<std::uint8_t>(random.below(256));
  return picture;
}

} // namespace

TEST_CASE("the shipped family names the photograph, as its levels alone do") {
  const support::scratch_folder folder;
  const char* const file = DYNOFA_SOURCE_DIR "/examples/assets/tinyimagenet.dynofa";
  dynofa::adaptive_classifier net(file, {.latency_ms = 1e6}, {.cache = folder.path(), .rounds = 1});
  CHECK(folder.files() == 1);
  const data::image picture = data::read_image(DYNOFA_SOURCE_DIR "/examples/assets/espresso.jpg");
  const classification answer = net(picture);
  CHECK(answer.name.find("espresso") != std::string_view::npos);
  CHECK(answer.probability > 0.5f);
  CHECK(answer.level + 1 == net.levels().size()); // there is all the time
  CHECK(answer.to_string().find("% (level ") != std::string::npos);

  const family f = load_family(file);
  session runner(backend::cpu{.weights = "lossless"}, f.net());
  const family_level& last = f.levels().back();
  auto level = runner.load(last.arch, last.statistics, 1, last.format);
  std::vector<float> image(image_values(last.arch.r));
  f.preprocessing().apply(picture, last.arch.r, image);
  const auto logits = runner.run(level, image);
  CHECK(std::ranges::equal(logits, net.logits()));
  double sum = 0;
  for (const float l : logits) sum += std::exp(double(l) - double(logits[answer.index]));
  CHECK(answer.probability == doctest::Approx(1 / sum));
}

TEST_CASE("a target is heeded from the next frame on, switches are told, and all is counted") {
  setting s;
  std::vector<classification> switches;
  s.options.on_switch = [&](const classification& c) { switches.push_back(c); };
  dynofa::adaptive_classifier net(s.f, {.latency_ms = 1e6}, s.options, s.cpu);
  const data::image picture = noise(40, 30);
  CHECK(net(picture).level == 2);
  net.set_target({.latency_ms = 1e-3}); // which nothing meets
  const auto late = net(picture);
  CHECK(late.level == 0);
  CHECK(late.late);
  CHECK(late.switched);
  CHECK(late.why == runtime::reason::infeasible);
  REQUIRE(switches.size() == 1);
  CHECK(switches[0].level == 0);
  CHECK(net.counters().images() == 2);
  CHECK(net.counters().late() == 1);
  CHECK(net.counters().switches() == 1);
  CHECK(net.manager().log().size() == 2);
  CHECK(support::sentence([&] { net.set_target({.latency_ms = -1}); }).find("more than 0 ms") != std::string::npos);
  CHECK(net.wanted().latency_ms == 1e-3);
}

TEST_CASE("where preparation counts, the levels' latencies hold it, for each size of frame") {
  setting s;
  s.options.counts = runtime::counted_time::all;
  dynofa::adaptive_classifier net(s.f, {.latency_ms = 1e6}, s.options, s.cpu);
  const auto known = [&] { return net.manager().policy().levels(); };
  CHECK(known()[0].latency_ms == net.levels()[0].latency_ms);
  const data::image picture = noise(64, 48);
  const auto answer = net(picture);
  CHECK(answer.latency_ms > answer.preparation_ms);
  CHECK(answer.preparation_ms > 0);
  std::vector<double> small;
  for (const auto& l : known()) small.push_back(l.latency_ms);
  for (std::size_t i = 0; i < small.size(); ++i) CHECK(small[i] > net.levels()[i].latency_ms);
  net(picture);
  for (std::size_t i = 0; i < small.size(); ++i) CHECK(known()[i].latency_ms == small[i]); // known already
}

TEST_CASE("targets come and counters are read from other threads") {
  setting s;
  dynofa::adaptive_classifier net(s.f, {.latency_ms = 5}, s.options, s.cpu);
  const data::image picture = noise(64, 64);
  std::atomic<bool> over{false};
  std::thread other([&] {
    for (int i = 0; !over; ++i) {
      net.set_target({.latency_ms = i % 2 ? 1e-3 : 1e6});
      CHECK(!net.counters().prometheus().empty());
      CHECK(net.wanted().latency_ms > 0);
    }
  });
  for (int i = 0; i < 20; ++i) net(picture);
  over = true;
  other.join();
  CHECK(net.counters().images() == 20);
}

TEST_CASE("what cannot be opened is one sentence, before anything is measured") {
  setting s;
  CHECK(support::sentence([&] { dynofa::adaptive_classifier("nowhere", {.latency_ms = 1}); }) ==
        "nowhere: expected a readable file, got No such file or directory");
  CHECK(support::sentence([&] {
          dynofa::adaptive_classifier(s.f, {.latency_ms = 0}, s.options);
        }).find("target latency: expected more than 0 ms") != std::string::npos);
}

} // namespace dynofa_test::adaptive_classifier
