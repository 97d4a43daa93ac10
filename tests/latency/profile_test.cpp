// Profiling with a backend whose clock is a formula: what the profiler should find is known exactly.
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/latency/extremes.hpp"
#include "dynofa/latency/profile.hpp"
#include "dynofa/latency/table_io.hpp"
#include "dynofa/space/sampling.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"

namespace dynofa_test::latency_profile {

using namespace dynofa;

namespace {

/// Blocks cost 1 µs and 1 ns per 1000 MACs; what a whole network takes more is the real time of doing nothing.
struct formula_backend {
  struct packed {
    std::uint64_t fingerprint;
    std::uint64_t source() const { return fingerprint; }
    std::size_t bytes() const { return 0; }
  };
  struct bound {
    dynofa::plan plan;
    std::size_t bytes() const { return 0; }
  };
  struct workspace {
    std::size_t bytes() const { return 0; }
  };
  std::shared_ptr<int> timed = std::make_shared<int>(0), runs = std::make_shared<int>(0);
  double spread = 0; ///< every other time is this much longer

  static double cost_ms(const block& b) { return 1e-3 + static_cast<double>(b.macs()) * 1e-9; }
  std::string name() const { return "formula"; }
  std::shared_ptr<const packed> pack(const supernet_ptr& net) const {
    return std::make_shared<const packed>(packed{net->fingerprint()});
  }
  bound bind(const std::shared_ptr<const packed>&, const plan& p, const scale_shift&) const { return {p}; }
  workspace make_workspace(std::span<const plan>) const { return {}; }
  void run(bound&, workspace&, std::span<const float>, std::span<float>) const { ++*runs; }
  void run_block(bound&, workspace&, std::size_t, std::span<const float>, std::span<float>) const {}
  double time_block(bound& l, workspace&, std::size_t b, int) const {
    return cost_ms(l.plan.blocks[b]) * (++*timed % 2 ? 1 : 1 + spread);
  }
  double time_run(bound&, workspace&, int) const { return 0; }
};
static_assert(inference_backend<formula_backend>);

double sum_of(const space_description& space, const arch& a) {
  double sum = 0;
  for (const block& b : make_plan(space, a).blocks) sum += formula_backend::cost_ms(b);
  return sum;
}

const space_description& space = support::tiny_space::description;

} // namespace

TEST_CASE("every operation is found and its time is the backend's") {
  profiler profile(formula_backend{}, support::tiny_supernet(), {.resolutions = {32, 64}, .seconds_per_resolution = 5});
  CHECK(profile.run());
  const latency_table table = profile.table();
  CHECK(table.resolutions.size() == 2);
  for (const auto& [r, entries] : table.resolutions) {
    CHECK(entries.size() == 96);
    for (const auto& [key, e] : entries) {
      if (e.fused) continue;
      const std::string& name = key; // a binding cannot be captured by clang 14
      CHECK_MESSAGE(e.count >= 12, name);
      CHECK(e.std.count() == doctest::Approx(0).epsilon(1e-9));
    }
  }
  const auto report = profile.report();
  CHECK(report.keys == 190);
  CHECK(report.unsettled.empty());
  CHECK(report.drift == 0);
  CHECK(report.noise == 0);

  space_description two = space;
  two.resolutions = {32, 64};
  const table_model model(two, table);
  random_stream random(3);
  for (int i = 0; i < 50; ++i) {
    const arch a = random_arch(two, random);
    CHECK(model(a) == doctest::Approx(sum_of(space, a)).epsilon(1e-3)); // whole nanoseconds
  }
}

TEST_CASE("a table of a profile reads back") {
  profiler profile(formula_backend{}, support::tiny_supernet(),
                   {.resolutions = {32}, .device = "a formula", .isa = "none", .threads = 3});
  profile.run();
  const latency_table table = profile.table();
  CHECK(table.device == "a formula");
  CHECK(table.isa == "none");
  CHECK(table.threads == 3);
  CHECK(parse_latency_table(nlohmann::json(table).dump()) == table);
  CHECK(parse_latency_table_yaml(to_yaml(table)) == table);
}

TEST_CASE("ProxylessNAS is profiled in its own keys, read back, and searched for extremes") {
  const auto net = support::tiny_proxyless();
  profiler profile(formula_backend{}, net, {.resolutions = {32, 64}, .seconds_per_resolution = 5});
  CHECK(profile.run());
  const latency_table table = profile.table();
  for (const auto& [r, entries] : table.resolutions) {
    // stem, block 0, in five stages first and later blocks, one in the sixth, of 9 choices each, Conv_1 and Logits
    CHECK(entries.size() == 2 + 9 * (5 * 2 + 1) + 2);
    for (const auto& [key, e] : entries) {
      const std::string& name = key;
      CHECK_MESSAGE(name.find("-se:") == name.npos, name);
      CHECK_FALSE(e.fused);
    }
  }
  CHECK(table.find(32, "Logits-input:1x1x256-output:10") != nullptr);
  CHECK(table.find(64, "Logits-input:2x2x256-output:10") != nullptr);
  CHECK(parse_latency_table(nlohmann::json(table).dump()) == table);
  CHECK(parse_latency_table_yaml(to_yaml(table)) == table);
  CHECK(parse_profile_state(nlohmann::json(profile.state()).dump()) == profile.state());

  space_description two = net->space;
  two.resolutions = {32, 64};
  const table_model model(two, table);
  const cost_extremes found = find_extremes(model.costs());
  random_stream random(3);
  for (int i = 0; i < 200; ++i) {
    arch a = random_arch(two, random);
    const double ms = model(a);
    CHECK(ms == doctest::Approx(sum_of(net->space, a)).epsilon(1e-3)); // whole nanoseconds
    CHECK(ms >= found.least.cost);
    CHECK(ms <= found.most.cost);
    a.d.resize(5); // as files have it
    CHECK(model(a) == ms);
    a.d.resize(4);
    CHECK_THROWS_AS((void)model(a), error);
  }
  CHECK(found.most.arch == [&] {
    arch most = largest(two);
    return most.r = 64, most;
  }());

  profiler quick(formula_backend{}, net, {.quick = true, .seconds_per_resolution = 1});
  CHECK(quick.run());
  const table_model quickly(net->space, quick.table());
  CHECK(quick.report().interpolation.interpolated == 3 * (99 - 44 - 11)); // corners and the middle ones are timed
  for (int i = 0; i < 50; ++i) {
    const arch a = random_arch(net->space, random);
    CHECK(quickly(a) == doctest::Approx(sum_of(net->space, a)).epsilon(0.05));
  }
}

TEST_CASE("noise keeps a profile busy until its time is up, and is reported") {
  formula_backend noisy;
  noisy.spread = 1;
  profiler profile(noisy, support::tiny_supernet(),
                   {.resolutions = {32}, .tolerance = 0.01, .seconds_per_resolution = 0.05});
  CHECK(profile.run());
  const auto report = profile.report();
  CHECK(report.seconds >= 0.05);
  CHECK(report.unsettled.size() > 10);
  CHECK(report.unsettled.front().half_width >= report.unsettled.back().half_width);
}

TEST_CASE("without any time every operation is still timed once") {
  profiler profile(formula_backend{}, support::tiny_supernet(), {.resolutions = {48}, .seconds_per_resolution = 0});
  CHECK(profile.run());
  CHECK(profile.table().resolutions.at(48).size() == 96);
}

TEST_CASE("a profile stops when asked, and goes on from its stored state") {
  int visits = 0;
  profile_options options{.resolutions = {32, 48}};
  options.on_progress = [&](const profile_progress& p) {
    CHECK(p.keys == 190);
    CHECK(p.done < p.total);
    return ++visits < 7;
  };
  profiler first(formula_backend{}, support::tiny_supernet(), options);
  CHECK_FALSE(first.run());
  CHECK(visits == 7);

  const profile_state stored = parse_profile_state(nlohmann::json(first.state()).dump());
  CHECK(stored == first.state());
  options.on_progress = nullptr;
  formula_backend backend;
  profiler second(backend, support::tiny_supernet(), options, stored);
  CHECK(second.run());
  profiler whole(formula_backend{}, support::tiny_supernet(), options);
  CHECK(whole.run());
  const latency_table resumed = second.table(), at_once = whole.table();
  for (const auto& [r, entries] : at_once.resolutions)
    for (const auto& [key, e] : entries) CHECK(resumed.at(r, key).p50 == e.p50);
  std::size_t before = 0, after = 0;
  for (const auto& [r, of] : stored.resolutions)
    for (const auto& [key, s] : of.keys) {
      before += s.size();
      const auto& more = second.state().resolutions.at(r).keys.at(key);
      after += more.size();
      CHECK(std::equal(s.begin(), s.end(), more.begin()));
    }
  CHECK(before < after);

  std::stop_source stop;
  stop.request_stop();
  options.stop = stop.get_token();
  profiler stopped(formula_backend{}, support::tiny_supernet(), options);
  CHECK_FALSE(stopped.run());
}

TEST_CASE("a stored state of something else is refused") {
  profile_options options{.resolutions = {32}, .seconds_per_resolution = 0};
  profiler profile(formula_backend{}, support::tiny_supernet(), options);
  profile.run();
  const auto say = [&](const profile_options& now, const profile_state& stored) {
    return support::sentence([&] { profiler p(formula_backend{}, support::tiny_supernet(), now, stored); });
  };
  profile_state other = profile.state();
  CHECK(say(options, other) == "(no error)");
  other.inputs["backend"] = "cpu";
  CHECK(say(options, other).find("another input, backend: expected formula, got cpu") != std::string::npos);
  const auto changed = [&](auto change) {
    profile_options now = options;
    change(now);
    return say(now, profile.state());
  };
  CHECK(changed([](auto& o) { o.seed = 2; }).find("seed: expected 2, got 1") != std::string::npos);
  CHECK(changed([](auto& o) { o.quick = true; }).find("extent: expected quick, got full") != std::string::npos);
  CHECK(changed([](auto& o) {
          o.resolutions = {32, 48};
        }).find("resolutions: expected 32 48, got 32") != std::string::npos);
  CHECK(changed([](auto& o) { o.runs_per_sample = 3; }).find("runs per sample: expected 3") != std::string::npos);
  CHECK(changed([](auto& o) { o.tolerance = 0.5, o.seconds_per_resolution = 1; }) == "(no error)"); // when to stop
}

TEST_CASE("senseless options are one sentence") {
  const auto make = [](profile_options o) { profiler p(formula_backend{}, support::tiny_supernet(), std::move(o)); };
  CHECK(support::sentence([&] { make({.resolutions = {33}}); }).find("expected one of 32, 48, 64, got 33") !=
        std::string::npos);
  CHECK(support::sentence([&] { make({.resolutions = {-4}}); }) ==
        "profile resolutions: expected resolutions in 1..4096, got -4");
  CHECK(support::sentence([&] { make({.tolerance = 0}); }) == "profile tolerance: expected above 0, got 0");
}

TEST_CASE("a quick profile interpolates and says how well") {
  profiler quick(formula_backend{}, support::tiny_supernet(), {.quick = true, .seconds_per_resolution = 1});
  CHECK(quick.run());
  const latency_table table = quick.table();
  const table_model model(space, table); // nothing is missing
  const auto report = quick.report();
  CHECK(report.interpolation.interpolated == 3 * 40); // of 90 blocks per resolution 40 corners and 10 middle ones
  CHECK(report.interpolation.held_out == 3 * 10 + 55);
  CHECK(report.interpolation.median_error < 0.05);
  random_stream random(5);
  for (int i = 0; i < 50; ++i) {
    const arch a = random_arch(space, random);
    CHECK(model(a) == doctest::Approx(sum_of(space, a)).epsilon(0.05));
  }
}

TEST_CASE("int8 is profiled without any calibration") {
  profiler profile(backend::cpu{.weights = "int8"}, support::tiny_supernet(),
                   {.resolutions = {32}, .seconds_per_resolution = 0});
  CHECK(profile.run());
  CHECK_FALSE(profile.state().resolutions.at(32).keys.empty());
}

TEST_CASE("the reference backend is profiled as any other") {
  // A fifth of a second may fall into another program's work, and no line fits what came out: then longer.
  const auto fitted = [](double seconds) {
    profiler profile(backend::reference{}, support::tiny_supernet(),
                     {.resolutions = {32}, .seconds_per_resolution = seconds});
    CHECK(profile.run());
    return profile.model();
  };
  const calibrated_model model = [&] {
    for (double seconds : {.2, 1., 4.}) {
      try {
        return fitted(seconds);
      } catch (const error&) {
        continue;
      }
    }
    return fitted(10);
  }();
  CHECK(model.scale() > 0);
  CHECK(model.fit().residuals.size() >= 18);
  arch small = smallest(space), large = largest(space);
  small.r = large.r = 32;
  CHECK(model(small) < model(large));
}

} // namespace dynofa_test::latency_profile
