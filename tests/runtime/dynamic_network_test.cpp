// ctest: threads
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/runtime/dynamic_network.hpp"

#include <doctest/doctest.h>

#include "runtime/made_up.hpp"
#include "support/sentence.hpp"
#include <atomic>
#include <thread>

namespace dynofa_test::runtime_dynamic_network {

using namespace dynofa;
using runtime::dynamic_network;

namespace {

const auto half = [](int, std::span<float> image) { std::fill(image.begin(), image.end(), 0.5f); };

} // namespace

TEST_CASE("every level gives what a session of its own gives, in any order of switches") {
  const family f = made_up::front(3);
  dynamic_network net(backend::reference{}, f);
  REQUIRE(net.size() == 3);
  session one(backend::reference{}, f.net());
  std::vector<float> logits(net.classes());
  for (std::size_t level : {2, 0, 1, 0, 2, 2}) {
    net.switch_to(level);
    CHECK(net.level() == level);
    CHECK(net.run(half, logits) == level);
    const auto& l = f.levels()[level];
    CHECK(net.arch_of(level) == l.arch);
    auto bound = one.load(l.arch, l.statistics);
    CHECK(logits == one.run(bound, std::vector<float>(image_values(l.arch.r), 0.5f)));
  }
}

TEST_CASE("a switch while an image runs is for the next image") {
  const family f = made_up::front(4);
  dynamic_network net(made_up::backend{}, f);
  std::vector<float> logits(net.classes());
  const std::size_t ran = net.run(
      [&](int r, std::span<float> image) {
        CHECK(r == f.levels()[0].arch.r);
        CHECK(image.size() == image_values(r));
        image[0] = 7;
        std::thread([&] { net.switch_to(3); }).join();
      },
      logits);
  CHECK(ran == 0);
  CHECK(logits[0] == static_cast<float>(f.latency_on(0, "made up")->median_ms));
  CHECK(logits[1] == 1); // prepared once, when it was loaded
  CHECK(logits[2] == 7);
  CHECK(net.run(half, logits) == 3);
}

TEST_CASE("switches from four threads while images run") {
  dynamic_network net(made_up::backend{}, made_up::front(5));
  std::vector<float> logits(net.classes());
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (std::size_t t = 0; t < 4; ++t)
    others.emplace_back([&, t] {
      for (std::size_t i = t; !stop; ++i) net.switch_to(i % net.size());
    });
  for (int i = 0; i < 20000; ++i) {
    std::size_t r = 0;
    const std::size_t level = net.run([&](int side, std::span<float>) { r = static_cast<std::size_t>(side); }, logits);
    if (net.arch_of(level).r != r) FAIL_CHECK("the image was prepared for another level than ran");
  }
  stop = true;
  for (auto& t : others) t.join();
}

TEST_CASE("pictures, figures, memory, moves") {
  const family f = made_up::front(3);
  dynamic_network first(made_up::backend{}, f);
  dynamic_network second(made_up::backend{}, f, first.weights());
  CHECK(second.weights() == first.weights());
  std::vector<float> logits(first.classes());
  CHECK(first.run(data::image(20, 30), logits) == 0);
  CHECK(logits[2] == doctest::Approx(-f.preprocessing().mean[0] / f.preprocessing().std[0])); // black

  const auto figures = first.figures("made up");
  REQUIRE(figures.size() == 3);
  runtime::validate(figures);
  CHECK(figures[1].latency_ms == f.latency_on(1, "made up")->median_ms);
  CHECK(figures[1].top1 == f.levels()[1].accuracy.top1());

  const auto bytes = first.bytes();
  CHECK(bytes.weights == 1'000'000);
  CHECK(bytes.levels == 3000);
  CHECK(bytes.workspace >= 10'000 + 32 * 32 * 3 * sizeof(float));
  CHECK(bytes.total() == bytes.weights + bytes.levels + bytes.workspace);

  first.switch_to(2);
  dynamic_network moved = std::move(first);
  CHECK(moved.run(half, logits) == 2);
}

TEST_CASE("only what the levels read is packed, another's weights may hold too little") {
  const family f = made_up::front(8);
  family two(f.net(), f.preprocessing(), f.classes());
  two.add(f.levels()[0]), two.add(f.levels()[1]);
  const backend::cpu cpu;
  dynamic_network small(cpu, two), large(cpu, f);
  CHECK(small.bytes().weights < large.bytes().weights);
  CHECK(large.bytes().weights <= cpu.pack(f.net())->bytes());
  dynamic_network shared(cpu, two, large.weights()), whole(cpu, f, cpu.pack(f.net()));
  CHECK(shared.weights() == large.weights());
  std::vector<float> one(large.classes()), other(one);
  for (std::size_t level = 0; level < f.levels().size(); ++level) {
    large.switch_to(level), whole.switch_to(level);
    large.run(half, one), whole.run(half, other);
    CHECK(one == other);
  }
  shared.run(half, one), small.run(half, other);
  CHECK(one == other);
  CHECK(support::sentence([&] {
          dynamic_network(cpu, f, small.weights());
        }).find("cpu backend bind: expected a plan that the super-network was packed for, got one that reads more") ==
        0);
}

TEST_CASE("levels of two number formats in one network: each runs in its own, and what they share is shared") {
  const auto net = support::tiny_supernet();
  family f(net, data::exact_preprocessing(), {});
  const arch a = smallest(net->space), b = largest(net->space);
  int correct = 0;
  for (const arch& one : {a, b})
    for (const char* format : {"", "int8"}) {
      bn_statistics statistics = stored_statistics(*net, one);
      statistics.ranges = timing_ranges(make_plan(net->space, one));
      f.add({one, statistics, {100, ++correct, 90}, {}, format});
    }
  const backend::cpu cpu;
  dynamic_network mixed(cpu, f), again(cpu, f, mixed.weights());
  CHECK(mixed.weights().by_name.size() == 2);
  CHECK(again.weights() == mixed.weights());
  CHECK(mixed.bytes().weights == mixed.weights().bytes());
  std::vector<float> logits(mixed.classes());
  for (const std::size_t level : {3, 0, 1, 2, 3, 1}) {
    const family_level& l = f.levels()[level];
    CHECK(mixed.format_of(level) == l.format);
    session alone(backend::cpu{.weights = l.format.empty() ? "fp32" : l.format}, net);
    const auto wanted = alone.run(alone.load(l.arch, l.statistics), std::vector<float>(image_values(l.arch.r), .5f));
    for (auto* network : {&mixed, &again}) {
      network->switch_to(level), network->run(half, logits);
      CHECK(logits == wanted);
    }
  }
  CHECK(support::sentence([&] {
          dynamic_network(backend::reference{}, f);
        }).starts_with("number format: expected a backend that packs \"int8\", or no level in it, got "));
  const std::string device = remeasure_latencies(f, cpu, 1);
  for (std::size_t i = 0; i < f.levels().size(); ++i) CHECK(f.latency_on(i, device) != nullptr);
}

TEST_CASE("wrong use is refused with a sentence and changes nothing") {
  const family f = made_up::front(2);
  dynamic_network net(made_up::backend{}, f);
  net.switch_to(1);
  CHECK_THROWS_WITH_AS(net.switch_to(2), "dynamic network: expected a level below 2, got 2", error);
  CHECK(net.level() == 1);
  std::vector<float> logits(net.classes() - 1);
  CHECK_THROWS_AS(net.run(half, logits), error);
  CHECK_THROWS_AS(net.arch_of(2), error);
  CHECK_THROWS_AS(net.figures("elsewhere"), error);
  CHECK_THROWS_AS(dynamic_network(made_up::backend{}, family(f.net(), f.preprocessing(), f.classes())), error);
}

} // namespace dynofa_test::runtime_dynamic_network
