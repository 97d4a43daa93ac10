#include "dynofa/family/published.hpp"
#include "dynofa/space/search_space.hpp"

#include <doctest/doctest.h>

#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include "support/tiny_space.hpp"
#include <cstdlib>

namespace dynofa_test::family_published {

using namespace dynofa;
using namespace support;

TEST_CASE("names of the extracted network are mapped through the depths") {
  const auto net = tiny_supernet();
  arch a = smallest(net->space); // d = 2 everywhere: block 3 of the extracted network is block 5 of the super-network
  const plan p = make_plan(net->space, a);
  const auto wanted = stored_statistics(*net, p);
  state_dict tensors;
  std::size_t at = 0;
  for (std::size_t b = 0; b < p.blocks.size(); ++b)
    for (int i = 0; i < p.blocks[b].norm_count(); ++i) {
      std::string name = "level4/" + norm_name(p, b, i);
      if (const auto conv = name.find(".conv."); conv != name.npos) name.replace(conv, 6, ".mobile_inverted_conv.");
      const auto n = static_cast<std::size_t>(p.blocks[b].norm_channels(i));
      tensors[name + ".mean"] = tensor::of_floats(std::span(wanted.mean).subspan(at, n), {std::int64_t(n)});
      tensors[name + ".var"] = tensor::of_floats(std::span(wanted.var).subspan(at, n), {std::int64_t(n)});
      at += n;
    }
  CHECK(tensors.contains("level4/blocks.3.mobile_inverted_conv.depth_conv.bn.mean"));
  const scratch_folder folder;
  const auto json = folder.path() / "nets.json", bn = folder.path() / "bn.safetensors";
  nlohmann::json one = a;
  one["platform"] = "gpu", one["level"] = 4, one["top1"] = 74.202, one["latency_ms"] = 41.5;
  nlohmann::json other = one;
  other["platform"] = "cpu";
  write_text(json, nlohmann::json{{"subnets", {other, one}}}.dump());
  write_safetensors(bn, tensors);
  const auto levels = load_published_levels(json, "gpu", bn, net->space);
  REQUIRE(levels.size() == 1);
  CHECK(levels[0].arch == a);
  CHECK(levels[0].statistics == wanted);
  CHECK(levels[0].accuracy.correct == 37101);
  CHECK(levels[0].latency[0].median_ms == 41.5);

  CHECK(sentence([&] { (void)load_published_levels(json, "tpu", bn, net->space); }).find("platform \"tpu\"") !=
        std::string::npos);
  tensors.erase("level4/first_conv.bn.mean");
  write_safetensors(bn, tensors);
  CHECK(sentence([&] {
          (void)load_published_levels(json, "gpu", bn, net->space);
        }).find("a tensor level4/first_conv.bn.mean") != std::string::npos);
}

TEST_CASE("the published families of Dynamic-OFA") {
  const char* dir = std::getenv("DYNOFA_GOLDEN_DIR");
  if (!dir || !*dir || !std::filesystem::exists(std::filesystem::path(dir) / "paper_subnets.json")) {
    MESSAGE("skipped: DYNOFA_GOLDEN_DIR names no folder with paper_subnets.json");
    return;
  }
  const std::filesystem::path golden = dir;
  for (const auto& [platform, count] : {std::pair{"gpu", 6}, std::pair{"cpu", 7}}) {
    const auto levels =
        load_published_levels(golden / "paper_subnets.json", platform,
                              golden / text("paper_bn_", platform, ".safetensors"), ofa_w1_2::description);
    REQUIRE(static_cast<int>(levels.size()) == count);
    for (const auto& level : levels) {
      const auto bytes = 8 * level.statistics.mean.size();
      CHECK(bytes >= 82'000);
      CHECK(bytes <= 190'000);
      check_statistics(make_plan(ofa_w1_2::description, level.arch), level.statistics);
    }
  }
}

} // namespace dynofa_test::family_published
