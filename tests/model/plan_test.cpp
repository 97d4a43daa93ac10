#include "dynofa/model/plan.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/sampling.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include "support/sentence.hpp"
#include <fstream>
#include <map>
#include <numeric>

namespace dynofa_test::model_plan {

using namespace dynofa;

TEST_CASE("MACs and parameters are those of the reference, for every recorded architecture") {
  const auto golden = nlohmann::json::parse(std::ifstream(DYNOFA_SOURCE_DIR "/tests/golden/macs.json"));
  const auto check = [&](const char* name, const space_description& space) {
    const auto& cases = golden.at("nets").at(name).at("cases");
    REQUIRE(cases.size() == 200);
    for (const auto& one : cases) {
      const plan p = make_plan(space, read_arch(one));
      REQUIRE(p.macs() == one.at("macs").get<std::int64_t>());
      REQUIRE(p.parameters() == one.at("params").get<std::int64_t>());
      REQUIRE(p.weight_bytes() == 4 * p.parameters());
    }
  };
  check("w1.0", ofa_w1_0::description);
  check("w1.2", ofa_w1_2::description);
}

TEST_CASE("the published figures of w1.2: millions of MACs and parameters of the largest and the smallest") {
  const plan big = make_plan(ofa_w1_2::description, largest(ofa_w1_2::description));
  const plan small = make_plan(ofa_w1_2::description, smallest(ofa_w1_2::description));
  CHECK(double(big.macs()) / 1e6 == doctest::Approx(843.10).epsilon(1e-5));
  CHECK(double(small.macs()) / 1e6 == doctest::Approx(100.32).epsilon(1e-4));
  CHECK(double(big.parameters()) / 1e6 == doctest::Approx(10.702).epsilon(1e-4));
  CHECK(double(small.parameters()) / 1e6 == doctest::Approx(4.602).epsilon(1e-4));
}

TEST_CASE("a plan is stem, separable block, the active blocks and three blocks of head") {
  random_stream random(1, "plan");
  for (int i = 0; i < 300; ++i) {
    const space_description& space = ofa_w1_2::description;
    const arch a = random_arch(space, random);
    const plan p = make_plan(space, a, 3);
    const auto depth = std::size_t(std::accumulate(a.d.begin(), a.d.end(), 0));
    REQUIRE(p.batch == 3);
    REQUIRE(p.blocks.size() == 2 + depth + 3);
    REQUIRE(p.blocks[0].kind == block_kind::stem);
    REQUIRE(p.blocks[1].kind == block_kind::separable);
    REQUIRE(p.blocks[p.blocks.size() - 3].kind == block_kind::final_expand);
    REQUIRE(p.blocks[p.blocks.size() - 2].kind == block_kind::feature_mix);
    REQUIRE(p.blocks.back().kind == block_kind::classifier);
    REQUIRE(p.blocks.back().out_channels == 1000);
    std::size_t b = 2;
    for (std::size_t s = 0; s < 5; ++s)
      for (std::size_t j = 0; j < a.d[s]; ++j, ++b) {
        const block& block = p.blocks[b];
        const std::size_t gene = 4 * s + j;
        REQUIRE(block.kind == block_kind::inverted_residual);
        REQUIRE(block.gene == int(gene));
        REQUIRE(block.unit == int(gene + 2));
        REQUIRE(block.kernel == a.ks[gene]);
        REQUIRE(block.mid_channels == block.in_channels * int(a.e[gene])); // exact for 3, 4 and 6
        REQUIRE(block.stride == (j == 0 ? space.stages[s].stride : 1));
        REQUIRE(block.residual == (j > 0)); // stage 4 has stride 1 but other channels
        REQUIRE(block.act == space.stages[s].act);
        REQUIRE((block.se_channels > 0) == space.stages[s].squeeze_excite);
      }
    for (std::size_t k = 1; k < p.blocks.size(); ++k) {
      REQUIRE(p.blocks[k].in_channels == p.blocks[k - 1].out_channels);
      REQUIRE(p.blocks[k].in_size == p.blocks[k - 1].out_size);
    }
  }
}

TEST_CASE("squeeze-excite is a quarter of the active width, but for the exceptions of w1.2") {
  std::map<int, int> hidden;
  for (int e : {3, 4, 6}) {
    arch a = largest(ofa_w1_2::description);
    for (auto& x : a.e) x = std::uint8_t(e);
    for (const block& b : make_plan(ofa_w1_2::description, a).blocks)
      if (b.se_channels) hidden[b.mid_channels] = b.se_channels;
  }
  CHECK(hidden.size() >= 10);
  for (auto [mid, se] : hidden) {
    const int expected = mid == 144 ? 40 : mid == 408 ? 104 : mid == 816 ? 208 : mid / 4;
    CHECK(se == expected);
  }
  CHECK(hidden.count(144) + hidden.count(408) + hidden.count(816) == 3);
}

TEST_CASE("w1.0 rounds a hidden width of 18 up to 24") {
  const plan p = make_plan(ofa_w1_0::description, smallest(ofa_w1_0::description));
  CHECK(p.blocks[4].mid_channels == 72); // first block of stage 2
  CHECK(p.blocks[4].se_channels == 24);
}

TEST_CASE("sizes halve rounding up, whatever the resolution") {
  for (int r : {8, 9, 31, 32, 33, 161, 163, 164, 223, 224, 999}) {
    arch a = largest(ofa_w1_2::description);
    a.r = static_cast<std::uint16_t>(r);
    const plan p = make_plan(ofa_w1_2::description, a, 1, true);
    CHECK(p.arch.r == r);
    int size = (r + 1) / 2;
    CHECK(p.blocks[0].in_size == r);
    CHECK(p.blocks[0].out_size == size);
    for (std::size_t b = 2; b + 3 < p.blocks.size(); ++b) {
      if (p.blocks[b].stride == 2) size = (size - 1) / 2 + 1;
      CHECK(p.blocks[b].out_size == size);
    }
    CHECK(p.blocks[p.blocks.size() - 3].out_size == 1);
  }
}

TEST_CASE("the norm table lists every batch norm once, in order, without gaps") {
  const plan big = make_plan(ofa_w1_2::description, largest(ofa_w1_2::description));
  CHECK(big.norms.size() == 1 + 2 + 3 * 20 + 1);
  random_stream random(2, "norms");
  for (int i = 0; i < 100; ++i) {
    const plan p = make_plan(ofa_w1_2::description, random_arch(ofa_w1_2::description, random));
    std::int64_t offset = 0;
    std::size_t n = 0;
    REQUIRE(p.first_norms.size() == p.blocks.size());
    for (std::size_t b = 0; b < p.blocks.size(); ++b) {
      REQUIRE(p.first_norm(b) == int(n));
      for (int k = 0; k < p.blocks[b].norm_count(); ++k, ++n) {
        REQUIRE(p.norms[n].offset == offset);
        REQUIRE(p.norms[n].channels == p.blocks[b].norm_channels(k));
        offset += p.norms[n].channels;
      }
    }
    REQUIRE(n == p.norms.size());
    REQUIRE(p.norm_values() == offset);
  }
  const block& inverted = big.blocks[2];
  CHECK(inverted.norm_channels(0) == inverted.mid_channels);
  CHECK(inverted.norm_channels(1) == inverted.mid_channels);
  CHECK(inverted.norm_channels(2) == inverted.out_channels);
}

TEST_CASE("the arena holds the largest input plus output") {
  const plan p = make_plan(ofa_w1_2::description, largest(ofa_w1_2::description));
  // block 0: 112 × 112 × 24 in and out
  CHECK(p.activation_bytes() == 4 * 2 * 112 * 112 * 24);
}

TEST_CASE("architectures of one network have one plan") {
  arch a = smallest(ofa_w1_2::description), b = a;
  b.ks[3] = 7; // inactive
  const plan p = make_plan(ofa_w1_2::description, a), q = make_plan(ofa_w1_2::description, b);
  CHECK(p.blocks == q.blocks);
  CHECK(p.arch.ks == q.arch.ks);
}

TEST_CASE("nothing invalid becomes a plan") {
  const auto& space = ofa_w1_2::description;
  const auto fault = [&](auto change, bool any_resolution) {
    arch a = largest(space);
    change(a);
    return support::sentence([&] { make_plan(space, a, 1, any_resolution); });
  };
  const auto r = [](int n) { return [n](arch& a) { a.r = static_cast<std::uint16_t>(n); }; };
  CHECK(fault(r(225), false).find("architecture field r: expected one of 160") == 0);
  CHECK(fault(r(225), true) == "(no error)");
  CHECK(fault(r(7), true) == "architecture field r: expected at least 8, got 7");
  CHECK(fault([](arch& a) { a.ks[0] = 9; }, true) ==
        "architecture field ks[0]: expected one of 3, 5, 7 (stage 1), got 9");
  CHECK(fault([](arch& a) { a.d.resize(4); }, false) == "architecture field d: expected 5 values, got 4 values");
  CHECK(support::sentence([&] { make_plan(space, largest(space), 0); }) == "plan batch: expected at least 1, got 0");
}

TEST_CASE("ResNet: MACs and parameters of the largest and the smallest, worked out by hand") {
  const space_description& space = ofa_resnet50_space::description;
  const plan big = make_plan(space, largest(space)), small = make_plan(space, smallest(space));
  CHECK(big.macs() == 7'491'643'904);
  CHECK(big.parameters() == 48'105'992);
  CHECK(small.macs() == 315'079'552);
  CHECK(small.parameters() == 6'539'280);
  CHECK(big.blocks.size() == 4 + 18 + 2);
  CHECK(small.blocks.size() == 3 + 10 + 2);
}

TEST_CASE("ResNet: stem, bottlenecks and head, with the widths that the architecture chose") {
  const space_description& space = ofa_resnet50_space::description;
  random_stream random(3, "resnet plan");
  for (int i = 0; i < 200; ++i) {
    const arch a = random_arch(space, random);
    const plan p = make_plan(space, a);
    const auto width = [&](std::size_t w) {
      return space.width_at(w == 0 ? space.stem_width : space.stages[w - 1].width, a.w[w]);
    };
    std::size_t n = 0;
    const auto expect = [&](block_kind kind, int in, int out, int size) {
      const block& b = p.blocks.at(n++);
      REQUIRE(b.kind == kind);
      REQUIRE(b.in_channels == in);
      REQUIRE(b.out_channels == out);
      REQUIRE(b.out_size == size);
      return b;
    };
    int size = (a.r + 1) / 2;
    expect(block_kind::stem, 3, width(0), size);
    if (a.d[0] == 2) REQUIRE(expect(block_kind::convolution, width(0), width(0), size).residual);
    REQUIRE_FALSE(expect(block_kind::convolution, width(0), width(1), size).residual);
    size = (size + 1) / 2;
    expect(block_kind::max_pool, width(1), width(1), size);
    for (std::size_t s = 1, gene = 0; s < 5; ++s) {
      if (s > 1) size = (size + 1) / 2;
      for (std::size_t j = 0; j < a.active_blocks(s); ++j) {
        const block b = expect(block_kind::bottleneck, width(j > 0 ? s + 1 : s), width(s + 1), size);
        REQUIRE(b.gene == int(gene + j));
        REQUIRE(b.mid_channels == space.mid_channels(s, 0, width(s + 1), a.e[gene + j]));
        REQUIRE(b.residual == (j > 0)); // of a first block the lists of widths differ, even where the widths are equal
        REQUIRE(b.out_act == activation::relu);
        REQUIRE(b.stride == (j == 0 && s > 1 ? 2 : 1));
        REQUIRE(b.norm_count() == (j > 0 ? 3 : 4));
      }
      gene += space.blocks_of(s);
    }
    expect(block_kind::average_pool, width(5), width(5), 1);
    expect(block_kind::classifier, width(5), 1000, 1);
    REQUIRE(n == p.blocks.size());
  }
}

} // namespace dynofa_test::model_plan
