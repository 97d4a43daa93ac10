// ctest: threads
#include "dynofa/runtime/forecast.hpp"
#include "dynofa/runtime/manager.hpp"
#include "dynofa/runtime/reactive.hpp"
#include "dynofa/runtime/run_log_io.hpp"

#include <doctest/doctest.h>

#include "runtime/made_up.hpp"
#include <atomic>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace dynofa_test::runtime_manager {

using namespace dynofa;
using namespace dynofa::runtime;

namespace {

const auto blank = [](int, std::span<float>) {};

/// A manager on the made-up device, with six levels and the time that the device shows.
template <class Policy>
struct setting {
  made_up::device_ptr device = std::make_shared<made_up::device>();
  family f = made_up::front(6);
  std::vector<level_figures> levels = dynamic_network(made_up::backend{device}, f).figures("made up");
  std::vector<float> logits = std::vector<float>(static_cast<std::size_t>(f.space().classes));
  manager<made_up::backend, Policy, made_up::clock> m;

  explicit setting(const target& wanted, manager_options options = {})
      : m(dynamic_network(made_up::backend{device}, f), Policy(levels), wanted, std::move(options), std::nullopt,
          made_up::clock{device}) {}
};

} // namespace

TEST_CASE("an image is timed, judged, recorded") {
  setting<forecast> s({.latency_ms = 1e6});
  const auto& r = s.m.run(blank, s.logits);
  CHECK(r.image == 0);
  CHECK(r.level == 5);
  CHECK(r.latency_ms == doctest::Approx(s.levels[5].latency_ms));
  CHECK(r.wanted.latency_ms == 1e6);
  CHECK(r.why == reason::start);
  CHECK(r.cold);
  CHECK_FALSE(r.switched);
  CHECK(r.state.size() == s.m.log().state_names().size());
  CHECK(s.logits[0] == static_cast<float>(s.levels[5].latency_ms));

  s.m.set_target({.latency_ms = s.levels[2].latency_ms * 1.2, .percentile = 0.9});
  const auto& next = s.m.run(blank, s.logits);
  CHECK(next.image == 1);
  CHECK(next.level < 5);
  CHECK(next.switched);
  CHECK(next.why == reason::target_changed);
  CHECK(next.wanted.percentile == 0.9);
  CHECK(s.m.monitor().totals(5).images == 1);
  CHECK(s.m.log().size() == 2);
  CHECK(s.m.last() == s.m.log()[1]);
}

TEST_CASE("a step that doubles the latency is answered by the third image") {
  setting<forecast> s({.latency_ms = 1e6});
  s.m.set_target({.latency_ms = s.levels[0].latency_ms * 2.4});
  for (int i = 0; i < 300; ++i) s.m.run(blank, s.logits);
  CHECK_FALSE(s.m.last().late());
  s.device->factor = 2;
  for (int i = 0; i < 3; ++i) s.m.run(blank, s.logits);
  CHECK_FALSE(s.m.last().late());
  CHECK(s.m.last().why == reason::too_slow);
}

TEST_CASE("a log, written while images run, replays exactly") {
  std::stringstream file;
  setting<reactive> s({.latency_ms = 1e6}, {.log_images = 50, .on_log_full = [&](run_log& log) {
                                              write_json_lines(file, log);
                                              log.clear();
                                            }});
  random_stream random(1, "manager");
  for (int i = 0; i < 1000; ++i) {
    if (i % 100 == 0) s.m.set_target({.latency_ms = s.levels[0].latency_ms * (1 + 3 * random.uniform())});
    s.device->factor = std::exp(0.1 * random.normal() + (i / 250) * 0.3);
    s.m.run(blank, s.logits);
  }
  write_json_lines(file, s.m.log());
  CHECK(s.m.log().lost() == 0);
  const run_log log = read_run_log(file.str(), "log");
  CHECK(log.size() == 1000);
  CHECK_FALSE(replay_log(log, reactive(s.levels)));
  CHECK(replay_log(log, reactive(s.levels, {.window = 3})));
}

TEST_CASE("the preparation of an image counts if it is asked for") {
  for (const counted_time counts : {counted_time::network, counted_time::all}) {
    setting<lookup> s({.min_top1 = 1}, {.counts = counts});
    const auto slowly = [&](int, std::span<float>) { s.device->now_ms += 5; };
    const double network = s.levels[0].latency_ms, expected = counts == counted_time::all ? 5 + network : network;
    CHECK(s.m.run(slowly, s.logits).latency_ms == doctest::Approx(expected));
  }
}

TEST_CASE("callbacks, in their order, what they throw comes after the image is counted") {
  std::string calls;
  setting<lookup> s({.latency_ms = 1e6}, {.log_images = 2,
                                          .on_image =
                                              [&](const image_record& r) {
                                                calls += 'i';
                                                if (r.image == 3) throw std::runtime_error("from a callback");
                                              },
                                          .on_switch = [&](const image_record&) { calls += 's'; },
                                          .on_log_full = [&](run_log& log) { calls += 'f', log.clear(); }});
  s.m.run(blank, s.logits);
  s.m.set_target({.min_top1 = 1});
  s.m.run(blank, s.logits);
  s.m.run(blank, s.logits);
  CHECK(calls == "ifsii");
  CHECK_THROWS_AS(s.m.run(blank, s.logits), std::runtime_error);
  CHECK(s.m.images() == 4);
}

TEST_CASE("an image that could not be prepared was none") {
  setting<forecast> s({.latency_ms = 1e6});
  s.m.run(blank, s.logits);
  CHECK_THROWS_AS(s.m.run([](int, std::span<float>) { throw std::runtime_error("no camera"); }, s.logits),
                  std::runtime_error);
  CHECK(s.m.images() == 1);
  CHECK(s.m.log().size() == 1);
  s.m.run(blank, s.logits);
  CHECK_FALSE(replay_log(s.m.log(), forecast(s.levels)));
}

TEST_CASE("wrong targets and parts that do not fit are refused") {
  setting<forecast> s({.latency_ms = 1e6});
  CHECK_THROWS_AS(s.m.set_target({.latency_ms = -1}), error);
  CHECK(s.m.wanted().latency_ms == 1e6);
  using managed = manager<made_up::backend, forecast>;
  const auto four = std::span<const level_figures>(s.levels).first(4);
  CHECK_THROWS_AS(managed(dynamic_network(made_up::backend{}, s.f), forecast(four), {}), error);
  CHECK_THROWS_AS(managed(dynamic_network(made_up::backend{}, s.f), forecast(s.levels), {.percentile = 2}), error);
  CHECK_THROWS_AS(managed(dynamic_network(made_up::backend{}, s.f), forecast(s.levels), {}, {.log_images = 0}), error);
}

TEST_CASE("targets from four threads while images run: every image has one that was set whole") {
  setting<forecast> s({.latency_ms = 1, .min_top1 = 1});
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int t = 0; t < 4; ++t)
    others.emplace_back([&, t] {
      for (int i = 1 + t; !stop; i = 1 + (i + 7) % 90) s.m.set_target({.latency_ms = 1.0 * i, .min_top1 = 1.0 * i});
    });
  for (int i = 0; i < 5000; ++i) {
    const auto& r = s.m.run(blank, s.logits);
    if (r.wanted.latency_ms != r.wanted.min_top1) FAIL_CHECK("a target of two halves");
  }
  stop = true;
  for (auto& t : others) t.join();
  s.m.set_target({.latency_ms = 3});
  CHECK(s.m.run(blank, s.logits).wanted.latency_ms == 3);
}

TEST_CASE("pictures, sensors") {
  manager m(dynamic_network(made_up::backend{}, made_up::front(2)),
            lookup(dynamic_network(made_up::backend{}, made_up::front(2)).figures("made up")), {}, {.sensors_every = 2},
            sensors("/nowhere"));
  std::vector<float> logits(10);
  for (int i = 0; i < 4; ++i) CHECK(m.run(data::image(8, 8), logits).sensors == sensor_readings{}); // tells nothing
  CHECK(m.network().level() == 1);
}

} // namespace dynofa_test::runtime_manager
