#include "dynofa/latency/quality.hpp"
#include "dynofa/latency/table_io.hpp"

#include <doctest/doctest.h>

#include "support/tiny_space.hpp"

namespace dynofa_test::latency_quality {

using namespace dynofa;

namespace {

const space_description& space = support::tiny_space::description;

/// A table in which everything costs its MACs, at every resolution of the space.
latency_table orderly() {
  latency_table table;
  for (int r : space.resolutions)
    for (int k : {3, 5, 7})
      for (int e : {3, 4, 6}) {
        const plan p = make_plan(space, deepest(space, r, k, e));
        for (std::size_t b = 0; b < p.blocks.size(); ++b)
          for_each_operation(p, b, [&](const operation_key& key) {
            auto& entry = table.resolutions[r][to_string(key)];
            entry.mean = milliseconds(static_cast<double>(p.blocks[b].macs()) * 1e-6);
            entry.count = 10;
          });
      }
  return table;
}
constexpr const char* third_stage =
    "expanded_conv-input:4x4x16-output:4x4x16-expand:48-kernel:5-stride:1-idskip:1-se:0-hs:1";

} // namespace

TEST_CASE("an orderly table has nothing to report") {
  const table_quality q = examine(orderly(), space);
  CHECK(q.entries == 3 * 96);
  CHECK(q.missing.empty());
  CHECK(q.noisy.empty());
  CHECK(q.kernels.pairs == 3 * 10 * 3 * 2);
  CHECK(q.expands.pairs == 3 * 10 * 3 * 2);
  CHECK(q.resolutions.pairs == 2 * 90);
  CHECK(q.kernels.inversions.empty());
  CHECK(q.expands.inversions.empty());
  CHECK(q.resolutions.inversions.empty());
}

TEST_CASE("every oddity is found where it is") {
  latency_table table = orderly();
  auto& entries = table.resolutions.at(64);
  REQUIRE(entries.contains(third_stage));
  auto& odd = entries.at(third_stage);
  odd.mean *= 10;
  odd.std = odd.mean;
  entries.erase("Logits-input:1x1x256-output:10");
  const table_quality q = examine(table, space);
  REQUIRE(q.missing.size() == 1);
  CHECK(q.missing[0].r == 64);
  CHECK(q.missing[0].key == "Logits-input:1x1x256-output:10");
  REQUIRE(q.noisy.size() == 1);
  CHECK(q.noisy[0].key == third_stage);
  CHECK(q.noisy[0].spread == doctest::Approx(1));
  REQUIRE(q.kernels.inversions.size() == 1); // k = 7 looks quicker
  CHECK(q.kernels.inversions[0].than == third_stage);
  CHECK(q.kernels.inversions[0].relative > 0.8);
  REQUIRE(q.expands.inversions.size() == 1); // e = 4 looks quicker
  CHECK(q.resolutions.inversions.empty());
  CHECK(summary(q).find("1 missing (first: r = 64, Logits") != std::string::npos);
  CHECK(summary(q).find("larger kernels timed as quicker: 1 of 180 pairs") != std::string::npos);
}

TEST_CASE("entries copied from another device are found") {
  const latency_table a = orderly();
  latency_table b = a;
  for (auto& [r, entries] : b.resolutions)
    for (auto& [key, e] : entries)
      if (key != third_stage) e.mean *= 2;
  const auto copied = find_copied_entries(a, b);
  CHECK(copied.size() == 1);
  CHECK(copied.front().key == third_stage);
}

TEST_CASE("the published Jetson tables") {
  const std::filesystem::path at = DYNOFA_SOURCE_DIR "/tests/golden";
  const latency_table gpu = load_latency_table(at / "lut_jetson_GPU.json");
  const latency_table cpu = load_latency_table(at / "lut_jetson.json");
  space_description w = ofa_w1_2::description;
  const table_quality q = examine(gpu, w);
  CHECK(q.missing.empty());
  CHECK(q.entries == gpu.resolutions.size() * 96);
  CHECK(q.kernels.pairs == gpu.resolutions.size() * 60);
  CHECK(q.kernels.inversions.size() == 537);
  CHECK(examine(cpu, w).median_spread == doctest::Approx(0.34).epsilon(0.02));
  CHECK(find_copied_entries(cpu, gpu).size() == cpu.resolutions.size()); // block 0 of each resolution
}

TEST_CASE("widths do not mix: each block is compared with those of its own channels") {
  const space_description& resnet = support::tiny_resnet_space::description;
  latency_table table;
  for (int r : resnet.resolutions)
    for_each_deepest(resnet, r, [&](const arch& a) {
      const plan p = make_plan(resnet, a);
      for (std::size_t b = 0; b < p.blocks.size(); ++b)
        table.resolutions[r][timed_key(p, b)].mean = milliseconds(1 + static_cast<double>(p.blocks[b].macs()) * 1e-6);
    });
  const table_quality q = examine(table, resnet);
  CHECK(q.missing.empty());
  CHECK(q.kernels.pairs == 0);
  // First blocks between 9 pairs of widths and second ones of 3, in 4 stages; but 32 channels are 24 at 0.65 and at
  // 0.8.
  constexpr std::size_t blocks = (6 + 2) + (6 + 3) + (9 + 3) + (9 + 3);
  CHECK(q.expands.pairs == 3 * blocks * 2);
  CHECK(q.resolutions.pairs == 2 * blocks * 3);
  CHECK(q.expands.inversions.empty());
  CHECK(q.resolutions.inversions.empty());
}

} // namespace dynofa_test::latency_quality
