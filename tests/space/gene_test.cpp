#include "dynofa/space/gene.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>

namespace dynofa_test::space_gene_test {

using namespace dynofa;

namespace {
/// Three stages of 2, 1 and 3 blocks, and a ratio that is no whole number.
space_description uneven() {
  space_description d;
  d.stem_width = 16;
  d.stages.push_back({.width = 16, .depths = {1, 2}, .expands = {3, 6}, .kernels = {3, 5}, .blocks = 2});
  d.stages.push_back(
      {.width = 24, .stride = 2, .depths = {1}, .expands = {2, decimal(2.5), 4}, .kernels = {3, 7}, .blocks = 1});
  d.stages.push_back({.width = 24, .depths = {2, 3}, .expands = {3}, .kernels = {3, 5, 7}, .blocks = 3});
  d.final_width = 64, d.mix_width = 64, d.classes = 10;
  d.resolutions = {32, 48};
  return d;
}
} // namespace

TEST_CASE("a space lists each of its genes once") {
  const gene_list once_for_all = ofa_w1_2::description.genes();
  CHECK(once_for_all.size() == 5 + 20 + 20 + 1);
  CHECK(once_for_all[0] == gene{gene_kind::depth, 0, 0});
  CHECK(once_for_all[1] == gene{gene_kind::kernel, 0, 0});
  CHECK(once_for_all.back() == gene{gene_kind::resolution, 0, 0});
  CHECK(uneven().genes().size() == 3 + 6 + 6 + 1);
  CHECK(uneven().genes()[6] == gene{gene_kind::kernel, 1, 2}); // after depth and two blocks, the second stage's depth
}

TEST_CASE("stages of different lengths: an architecture knows its active blocks") {
  const space_description d = uneven();
  CHECK(d.block_count() == 6);
  CHECK(d.stage_of(1) == 0);
  CHECK(d.stage_of(2) == 1);
  CHECK(d.stage_of(5) == 2);
  arch a = smallest(d);
  CHECK(is_legal(d, a));
  CHECK(a.d.size() == 3);
  const bool active[] = {true, false, true, true, true, false};
  for (std::size_t b = 0; b < 6; ++b) CHECK(a.active(b) == active[b]);
  arch other = a;
  other.ks[1] = 5, other.ks[5] = 7; // of inactive blocks
  CHECK(other == a);
  CHECK(other.hash() == a.hash());
  other.ks[2] = 7;
  CHECK(other != a);
  CHECK(text(a) == "r32 d 1 1 2 k 3 | 3 | 3 3 e 3 | 2 | 3 3");
}

TEST_CASE("stages of different lengths and broken ratios go through files") {
  const space_description d = uneven();
  CHECK(parse_space(nlohmann::json(d).dump()) == d);
  random_stream random(1, "uneven");
  for (int i = 0; i < 50; ++i) {
    const arch a = random_arch(d, random);
    REQUIRE(is_legal(d, a));
    const arch read = conform(d, parse_arch(nlohmann::json(a).dump())); // files do not say how blocks are dealt
    CHECK(read == a);
    CHECK(read.hash() == a.hash());
    const arch changed = mutate(d, a, 0.5, random);
    CHECK(is_legal(d, changed));
    CHECK(is_legal(d, crossover(a, changed, random)));
  }
  arch a = smallest(d);
  a.e[2] = 2.5;
  CHECK(nlohmann::json(a)["e"].dump() == "[3,3,2.5,3,3,3]");
  CHECK(d.mid_channels(1, 0, a.e[2]) == 40);
  a.e[2] = 5;
  CHECK(std::string(find_fault(d, a)->what()) == "architecture field e[2]: expected one of 2, 2.5, 4 (stage 2), got 5");
}

TEST_CASE("the deepest networks hold every choice of every block") {
  const space_description d = uneven();
  std::set<std::pair<std::size_t, std::size_t>> seen; // block, variant
  for_each_deepest(d, 32, [&](const arch& a) {
    CHECK(is_legal(d, a));
    for (std::size_t b = 0; b < 6; ++b) seen.insert({b, d.stages[d.stage_of(b)].variant_index(a.choice(b))});
  });
  std::size_t all = 0;
  for (std::size_t b = 0; b < 6; ++b) all += d.stages[d.stage_of(b)].variant_count();
  CHECK(seen.size() == all);
}

TEST_CASE("widths are genes: of the stem and of every stage, or one") {
  const gene_list genes = ofa_resnet50_space::description.genes();
  CHECK(genes.size() == 5 + 18 + 18 + 6 + 1);
  CHECK(genes[0] == gene{gene_kind::depth, 0, 0});
  CHECK(genes[1] == gene{gene_kind::depth, 1, 0}); // a deep stem has no blocks
  for (std::uint8_t w = 0; w < 6; ++w) {
    const gene g = genes[5 + 18 + 18 + w];
    CHECK(g.kind == gene_kind::width);
    CHECK(g.block == w);
    CHECK(g.stage == (w > 0 ? w - 1 : 0)); // the stem's stands with the first stage
    CHECK_FALSE(g.of_block());
    CHECK(ofa_resnet50_space::description.offer_count(g) == 3);
    CHECK(ofa_resnet50_space::description.offer(g, 2) == decimal(2)); // numbers, as once-for-all has them
    CHECK(ofa_resnet50_space::description.offer_index(g, 3) == 3);
  }
  space_description one = ofa_resnet50_space::description;
  one.one_width = true;
  CHECK(one.genes().size() == genes.size() - 5);
  arch a = smallest(ofa_resnet50_space::description);
  a.set(genes[5 + 18 + 18 + 4], 1);
  CHECK(a.w == decltype(a.w){0, 0, 0, 0, 1, 0});
  CHECK(a.get(genes[5 + 18 + 18 + 4]) == decimal(1));
}

} // namespace dynofa_test::space_gene_test
