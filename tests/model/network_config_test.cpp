#include "dynofa/core/file.hpp"
#include "dynofa/model/network_config.hpp"
#include "dynofa/model/plan.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "support/sentence.hpp"
#include <cstdlib>
#include <filesystem>

namespace dynofa_test::model_network_config {

using namespace dynofa;
using support::sentence;

namespace {

/// Three published configs, shortened to what is read, with the published millions of multiply-accumulates.
const nlohmann::json& published() {
  static const auto all =
      nlohmann::json::parse(map_file(DYNOFA_SOURCE_DIR "/tests/golden/network_configs.json").text());
  return all;
}
described_network read(const nlohmann::json& one) {
  return read_network_config(one.at("net"), one.at("run").at("image_size").get<int>());
}

} // namespace

TEST_CASE("published networks have the published blocks and multiply-accumulates") {
  for (const char* name : {"LG-G8_lat-8ms_top1-71.1_finetune-25", "cpu_lat-10ms_top1-71.1_finetune-25"}) {
    CAPTURE(name);
    const auto& one = published().at(name);
    const described_network n = read(one);
    CHECK(is_legal(n.space, n.arch));
    CHECK(largest(n.space).d == n.arch.d);
    CHECK(n.arch.ks.size() + 1 == one.at("blocks").get<std::size_t>());
    const plan p = make_plan(n.space, n.arch);
    CHECK(static_cast<double>(p.macs()) * 1e-6 == doctest::Approx(one.at("mmacs").get<double>()).epsilon(0.001));
  }
}

TEST_CASE("ProxylessNAS' own files leave out blocks by ZeroLayer and say no activation") {
  const described_network n = read(published().at("proxyless_mobile"));
  CHECK(n.arch.d == decltype(n.arch.d){2, 4, 4, 4, 4, 1});
  CHECK(n.space.stages[0].act == activation::relu6);
  CHECK(n.space.stem_width == 32);
  CHECK(n.space.first_width == 16);
  CHECK(make_plan(n.space, n.arch).blocks.back().out_channels == 1000);
}

TEST_CASE("every published config of a folder that DYNOFA_NETWORK_CONFIGS names is read") {
  const char* folder = std::getenv("DYNOFA_NETWORK_CONFIGS");
  if (folder == nullptr || *folder == '\0') return;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    CAPTURE(entry.path().string());
    if (entry.is_directory())
      CHECK(make_plan(load_network_config(entry.path()).space, load_network_config(entry.path()).arch).macs() > 0);
  }
}

TEST_CASE("an epsilon that no float can hold stays above 0, so that the space can be kept") {
  nlohmann::json one = published().at("LG-G8_lat-8ms_top1-71.1_finetune-25");
  one["net"]["bn"]["eps"] = 1e-60;
  const space_description space = read(one).space;
  CHECK(parse_space(nlohmann::json(space).dump()) == space);
}

TEST_CASE("what a config says that the library does not do is one sentence") {
  const auto with = [](const char* where, const nlohmann::json& value) {
    nlohmann::json one = published().at("LG-G8_lat-8ms_top1-71.1_finetune-25");
    one["net"][nlohmann::json::json_pointer(where)] = value;
    return sentence([&] { read(one); });
  };
  CHECK(with("/name", "ResNets") ==
        "net.config field name: expected MobileNetV3 or ProxylessNASNets, got another network");
  CHECK(with("/first_conv/stride", 1) ==
        "net.config field first_conv: expected a 3×3 convolution of 3 channels with stride 2, got another");
  CHECK(with("/feature_mix_layer/groups", 2) == "net.config field feature_mix_layer field groups: expected 1, got 2");
  CHECK(with("/blocks/2/mobile_inverted_conv/act_func", "swish") ==
        "net.config field blocks[2] field mobile_inverted_conv field act_func: expected relu, relu6, h_swish or null, "
        "got swish");
  CHECK(with("/blocks/2/mobile_inverted_conv/in_channels", 32) ==
        "net.config field blocks[2] field mobile_inverted_conv field in_channels: expected 24 as the block before "
        "gives, got 32");
  CHECK(with("/blocks/1/mobile_inverted_conv/mid_channels", 50)
            .starts_with("net.config field blocks[1] field mobile_inverted_conv field mid_channels: expected "));
  CHECK(with("/blocks/0/mobile_inverted_conv/kernel_size", 5)
            .starts_with("net.config field blocks[0] field mobile_inverted_conv: expected a first block of kernel 3"));
  CHECK(
      with("/classifier/in_features", 640).starts_with("net.config field classifier field in_features: expected 1280"));
  CHECK(with("/blocks", nlohmann::json::array()) == "net.config field blocks: expected more than one block, got fewer");
  CHECK(sentence([] { read_network_config(published().at("proxyless_mobile").at("net"), 4); }) ==
        "image size: expected 8 to 4096, got 4");
}

} // namespace dynofa_test::model_network_config
