#include "dynofa/space/sampling.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

namespace dynofa_test::space_sampling {

using namespace dynofa;

namespace {

constexpr const space_description& space = ofa_w1_2::description;

bool same_genes(const arch& a, const arch& b) { return a.ks == b.ks && a.e == b.e && a.d == b.d && a.r == b.r; }

/// Whether `count` of `n` draws of probability `p` lies within five standard deviations.
bool plausible(int count, int n, double p) { return std::abs(count - n * p) <= 5 * std::sqrt(n * p * (1 - p)); }

} // namespace

TEST_CASE("a seed repeats, another seed does not") {
  random_stream a(5, "sample"), b(5, "sample"), c(6, "sample");
  int equal = 0;
  for (int i = 0; i < 100; ++i) {
    const arch x = random_arch(space, a), y = random_arch(space, b), z = random_arch(space, c);
    REQUIRE(same_genes(x, y));
    equal += x == z;
    REQUIRE(same_genes(mutate(space, x, 0.4, a), mutate(space, y, 0.4, b)));
    REQUIRE(same_genes(crossover(x, z, a), crossover(y, z, b)));
  }
  CHECK(equal == 0);
}

TEST_CASE("random architectures are legal and every gene is uniform") {
  random_stream random(1, "uniform");
  constexpr int n = 20000;
  std::map<int, int> kernels[20], expands[20], depths[5], resolutions;
  for (int i = 0; i < n; ++i) {
    const arch a = random_arch(space, random);
    REQUIRE(is_legal(space, a));
    for (std::size_t g = 0; g < 20; ++g) {
      ++kernels[g][a.ks[g]];
      ++expands[g][int(a.e[g])];
    }
    for (std::size_t s = 0; s < 5; ++s) ++depths[s][a.d[s]];
    ++resolutions[a.r];
  }
  const auto uniform = [&](const std::map<int, int>& counts, std::size_t choices) {
    CHECK(counts.size() == choices);
    for (auto [value, count] : counts) CHECK(plausible(count, n, 1.0 / double(choices)));
  };
  for (std::size_t g = 0; g < 20; ++g) {
    uniform(kernels[g], 3);
    uniform(expands[g], 3);
  }
  for (const auto& d : depths) uniform(d, 3);
  uniform(resolutions, 17);
}

TEST_CASE("mutation redraws each gene with its probability, kernel and expand ratio together") {
  random_stream random(2, "mutation");
  constexpr int n = 20000;
  constexpr double p = 0.4;
  const arch parent = smallest(space);
  int r_changed = 0, k_changed = 0, e_changed = 0, both_changed = 0, d_changed = 0;
  for (int i = 0; i < n; ++i) {
    const arch child = mutate(space, parent, p, random);
    REQUIRE(is_legal(space, child));
    r_changed += child.r != parent.r;
    k_changed += child.ks[7] != parent.ks[7];
    e_changed += child.e[7] != parent.e[7];
    both_changed += child.ks[7] != parent.ks[7] && child.e[7] != parent.e[7];
    d_changed += child.d[2] != parent.d[2];
  }
  // a redraw gives the old value back once in as many draws as there are choices
  CHECK(plausible(r_changed, n, p * 16 / 17));
  CHECK(plausible(k_changed, n, p * 2 / 3));
  CHECK(plausible(e_changed, n, p * 2 / 3));
  CHECK(plausible(both_changed, n, p * 4 / 9)); // were they drawn apart, it would be p² · 4/9
  CHECK(plausible(d_changed, n, p * 2 / 3));
}

TEST_CASE("probability 0 changes nothing, and the resolution may have a probability of its own") {
  random_stream random(3, "edges");
  const arch parent = random_arch(space, random);
  int r_changed = 0;
  constexpr int n = 2000;
  for (int i = 0; i < n; ++i) {
    REQUIRE(same_genes(mutate(space, parent, 0, random), parent));
    const arch child = mutate(space, parent, 0, random, 0.5);
    REQUIRE(child.ks == parent.ks);
    REQUIRE(child.d == parent.d);
    r_changed += child.r != parent.r;
    REQUIRE(mutate(space, parent, 1, random, 0).r == parent.r);
  }
  CHECK(plausible(r_changed, n, 0.5 * 16 / 17));
}

TEST_CASE("crossover takes every gene from one parent or the other, evenly and independently") {
  random_stream random(4, "crossover");
  constexpr int n = 20000;
  const arch mother = smallest(space), father = largest(space);
  int k = 0, e = 0, d = 0, r = 0, k_and_e = 0;
  for (int i = 0; i < n; ++i) {
    const arch child = crossover(mother, father, random);
    REQUIRE(is_legal(space, child));
    for (std::size_t g = 0; g < 20; ++g) REQUIRE((child.ks[g] == 3 || child.ks[g] == 7));
    k += child.ks[4] == 7;
    e += child.e[4] == 6;
    k_and_e += child.ks[4] == 7 && child.e[4] == 6;
    d += child.d[1] == 4;
    r += child.r == 224;
  }
  for (int count : {k, e, d, r}) CHECK(plausible(count, n, 0.5));
  CHECK(plausible(k_and_e, n, 0.25));
  CHECK(same_genes(crossover(father, father, random), father));
}

TEST_CASE("sampling works at compile time") {
  constexpr arch a = [] {
    random_stream random(9, "constexpr");
    const arch x = random_arch(space, random);
    return crossover(x, mutate(space, x, 0.5, random), random);
  }();
  static_assert(ofa_w1_2::contains(a));
  random_stream random(9, "constexpr");
  const arch x = random_arch(space, random);
  const arch y = mutate(space, x, 0.5, random);
  CHECK(same_genes(a, crossover(x, y, random)));
}

TEST_CASE("a sample begins with the ends, holds no network twice, and begins a larger one") {
  const auto& space = ofa_w1_2::description;
  const auto small = sample_space(space, 20), large = sample_space(space, 50);
  CHECK(small.size() == 20);
  CHECK(std::set<arch>(large.begin(), large.end()).size() == 50);
  CHECK(std::equal(small.begin(), small.end(), large.begin()));
  for (int r : {160, 224}) {
    arch a = smallest(space), b = largest(space);
    a.r = b.r = static_cast<std::uint16_t>(r);
    CHECK(std::count(small.begin(), small.begin() + 4, a.canonical()) == 1);
    CHECK(std::count(small.begin(), small.begin() + 4, b.canonical()) == 1);
  }
  CHECK(sample_space(space, 20, 2) != small);
  CHECK(sample_space(space, 2).size() == 2);
  using one = search_space<ofa_mobilenet_v3, width<1.0>, depth<2>, expand<3>, kernel<3>, resolution<160, 192>>;
  CHECK(sample_space(one::description, 10).size() == 2); // it has no more
}

TEST_CASE("widths are drawn evenly, mutated one by one and inherited one by one") {
  constexpr const space_description& resnet = ofa_resnet50_space::description;
  random_stream random(6, "widths");
  constexpr int n = 20000;
  constexpr double p = 0.4;
  const arch small = smallest(resnet), large = largest(resnet);
  std::map<int, int> drawn[6];
  int mutated = 0, two_mutated = 0, inherited = 0, two_inherited = 0;
  for (int i = 0; i < n; ++i) {
    const arch a = random_arch(resnet, random);
    REQUIRE(is_legal(resnet, a));
    for (std::size_t w = 0; w < 6; ++w) ++drawn[w][a.w[w]];
    const arch mutant = mutate(resnet, small, p, random), child = crossover(small, large, random);
    REQUIRE(is_legal(resnet, mutant));
    REQUIRE(is_legal(resnet, child));
    mutated += mutant.w[0] != 0, two_mutated += mutant.w[0] != 0 && mutant.w[5] != 0;
    inherited += child.w[0] == 2, two_inherited += child.w[0] == 2 && child.w[5] == 2;
  }
  for (const auto& counts : drawn) {
    CHECK(counts.size() == 3);
    for (auto [value, count] : counts) CHECK(plausible(count, n, 1.0 / 3));
  }
  CHECK(plausible(mutated, n, p * 2 / 3));
  CHECK(plausible(two_mutated, n, p * p * 4 / 9));
  CHECK(plausible(inherited, n, 0.5));
  CHECK(plausible(two_inherited, n, 0.25));
  CHECK(mutate(resnet, large, 0, random).w == large.w);
}

} // namespace dynofa_test::space_sampling
