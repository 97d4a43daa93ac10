#include "dynofa/backend/engine.hpp"
#include "dynofa/backend/reference.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <vector>

namespace dynofa_test::backend_engine {

using namespace dynofa;
using support::sentence;

namespace {

/// Counts what reaches it: an illegal architecture must not.
struct counting : backend::reference {
  std::shared_ptr<int> binds = std::make_shared<int>(0);
  bound bind(std::shared_ptr<const packed> weights, const plan& p, scale_shift norms) const {
    ++*binds;
    return backend::reference::bind(std::move(weights), p, std::move(norms));
  }
};

} // namespace

TEST_CASE("an illegal architecture never reaches a backend") {
  counting backend;
  engine runner(backend, support::tiny_supernet());
  const space_description& space = runner.net().space;
  struct fault {
    void (*spoil)(arch&);
    const char* sentence;
  };
  const fault faults[] = {
      {[](arch& a) { a.ks[4] = 9; }, "architecture field ks[4]: expected one of 3, 5, 7 (stage 2), got 9"},
      {[](arch& a) { a.e[19] = 5; }, "architecture field e[19]: expected one of 3, 4, 6 (stage 5), got 5"},
      {[](arch& a) { a.d[2] = 0; }, "architecture field d[2]: expected one of 2, 3, 4 (stage 3), got 0"},
      {[](arch& a) { a.r = 33; }, "architecture field r: expected one of 32, 48, 64, got 33"},
      {[](arch& a) { a.ks.resize(19); }, "architecture field ks: expected 20 values, got 19 values"},
      {[](arch& a) { a.d.push_back(2); }, "architecture field d: expected 5 values, got 6 values"},
  };
  for (const fault& f : faults) {
    arch a = largest(space);
    f.spoil(a);
    CHECK(sentence([&] { runner.load(a); }) == f.sentence);
    CHECK(sentence([&] { runner.load(a, bn_statistics{}); }) == f.sentence);
  }
  CHECK(*backend.binds == 0);
  runner.load(largest(space));
  CHECK(*backend.binds == 1);
}

TEST_CASE("a batch is its images one by one") {
  engine runner(backend::reference{}, support::tiny_supernet());
  random_stream random(5);
  const arch a = smallest(runner.net().space);
  const plan p = make_plan(runner.net().space, a);
  std::vector<float> images(3 * 32 * 32 * 3);
  for (float& v : images) v = static_cast<float>(random.normal());
  auto batch = runner.load(a, stored_statistics(runner.net(), p), 3), single = runner.load(a);
  const auto all = runner.run(batch, images);
  for (std::size_t n = 0; n < 3; ++n) {
    const auto one = runner.run(single, std::span(images).subspan(n * 3072, 3072));
    CHECK(std::equal(one.begin(), one.end(), all.begin() + static_cast<std::ptrdiff_t>(10 * n)));
  }
}

TEST_CASE("levels of one engine do not disturb each other") {
  engine runner(backend::reference{}, support::tiny_supernet());
  const std::vector<float> image(64 * 64 * 3, 0.3f), small_image(32 * 32 * 3, 0.3f);
  auto small = runner.load(smallest(runner.net().space));
  const auto before = runner.run(small, small_image);
  auto large = runner.load(largest(runner.net().space));
  runner.run(large, image);
  CHECK(runner.run(small, small_image) == before);
}

} // namespace dynofa_test::backend_engine
