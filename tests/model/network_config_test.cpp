#include "dynofa/core/file.hpp"
#include "dynofa/model/network_config.hpp"
#include "dynofa/model/plan.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "support/described_networks.hpp"
#include "support/scratch_folder.hpp"
#include "support/sentence.hpp"
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

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

TEST_CASE("all 50 specialised networks and ProxylessNAS' four have the published multiply-accumulates") {
  const auto& all = support::published_networks();
  REQUIRE(all.size() == 54);
  for (const auto& one : all) {
    CAPTURE(one.name);
    const described_network n = one.read(one.r);
    CHECK(is_legal(n.space, n.arch));
    CHECK(n.space.cardinality() >= 1);
    const double mmacs = static_cast<double>(make_plan(n.space, n.arch).macs()) * 1e-6;
    CHECK(std::abs(mmacs - one.mmacs) < 0.0501); // published in tenths of a million
  }
}

TEST_CASE("a folder of net.config and run.config, as it is downloaded") {
  const support::scratch_folder scratch;
  const auto& one = support::published_networks().front();
  support::write_text(scratch.path() / "net.config", one.config.dump());
  support::write_text(scratch.path() / "run.config", R"({"image_size": 128})");
  CHECK(load_network_config(scratch.path()).arch == one.read(128).arch);
  const auto said = [&] { return sentence([&] { load_network_config(scratch.path()); }); };
  support::write_text(scratch.path() / "run.config", R"({"image_size": 0})");
  CHECK(said() == "run.config field image_size: expected a whole number in 8..4096, got 0");
  support::write_text(scratch.path() / "run.config", "{}");
  CHECK(said() == "run.config: expected a field image_size, got none");
  support::write_text(scratch.path() / "run.config", R"({"image_size": 128})");
  support::write_text(scratch.path() / "net.config", one.config.dump().substr(0, 1000));
  CHECK(said().find("net.config: expected a JSON text") != std::string::npos);
}

TEST_CASE("every published config of a folder that DYNOFA_NETWORK_CONFIGS names is read") {
  const char* folder = std::getenv("DYNOFA_NETWORK_CONFIGS");
  if (folder == nullptr || *folder == '\0') return;
  std::map<std::string, double> mmacs;
  for (const auto& one : support::published_networks()) mmacs[one.name] = one.mmacs;
  int seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const auto& path = entry.path();
    if (path.extension() != ".config" || path.filename() == "run.config") continue;
    CAPTURE(path.string());
    const bool specialised = path.filename() == "net.config";
    const described_network n = specialised ? load_network_config(path.parent_path())
                                            : read_network_config(nlohmann::json::parse(map_file(path).text()), 224);
    const std::string name = specialised ? path.parent_path().filename().string() : path.stem().string();
    CHECK(std::abs(static_cast<double>(make_plan(n.space, n.arch).macs()) * 1e-6 - mmacs.at(name)) < 0.0501);
    ++seen;
  }
  CHECK(seen > 0);
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
  const auto without = [](const char* where, const char* field) {
    nlohmann::json one = published().at("LG-G8_lat-8ms_top1-71.1_finetune-25");
    one["net"][nlohmann::json::json_pointer(where)].erase(field);
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

  const std::string block = "net.config field blocks[2] field ", conv = block + "mobile_inverted_conv field ";
  CHECK(with("/blocks/2/mobile_inverted_conv/name", "SELayer") ==
        conv + "name: expected MBInvertedConvLayer or ZeroLayer, got another layer");
  CHECK(with("/blocks/2/shortcut/name", "ConvLayer") ==
        block + "shortcut field name: expected IdentityLayer or no shortcut, got another layer");
  CHECK(with("/blocks/2/shortcut", nullptr) ==
        block + "shortcut: expected a shortcut where a block keeps its input's shape, got none");
  CHECK(with("/blocks/1/shortcut", {{"name", "IdentityLayer"}})
            .ends_with("expected a shortcut only where a block keeps its input's shape, got one elsewhere"));
  CHECK(with("/blocks/2/mobile_inverted_conv/groups", 4) ==
        conv + "groups: expected null, a convolution of each channel by itself, got 4");
  CHECK(with("/blocks/2/mobile_inverted_conv/expand_ratio", 1) ==
        conv + "expand_ratio: expected a ratio above 1 in all blocks but the first, got 1");
  CHECK(with("/blocks/2/mobile_inverted_conv/kernel_size", 4) == conv + "kernel_size: expected 3, 5 or 7, got 4");
  CHECK(with("/blocks/2/mobile_inverted_conv/stride", 3) == conv + "stride: expected a whole number in 1..2, got 3");
  CHECK(with("/blocks/2/mobile_inverted_conv/out_channels", 20) ==
        conv + "out_channels: expected a multiple of 8, got 20");
  CHECK(with("/blocks/2/mobile_inverted_conv/act_func", "h_swish") ==
        "net.config field blocks[2] field mobile_inverted_conv: expected one activation, and squeeze-excite in all "
        "blocks of a stage or none, got another");
  CHECK(with("/feature_mix_layer/act_func", "relu") ==
        "net.config field feature_mix_layer field act_func: expected the activation of the layer before, got another");
  CHECK(with("/classifier/act_func", "relu") ==
        "net.config field classifier field act_func: expected null behind the classifier, got another");
  CHECK(with("/final_expand_layer/use_bn", false) ==
        "net.config field final_expand_layer field use_bn: expected true here, got boolean");
  CHECK(with("/classifier/bias", false) == "net.config field classifier field bias: expected true here, got boolean");
  CHECK(with("/first_conv/ops_order", "bn_act_weight") ==
        "net.config field first_conv field ops_order: expected weight_bn_act, got string");
  CHECK(with("/first_conv/has_shuffle", true) ==
        "net.config field first_conv field has_shuffle: expected no channel shuffle, got boolean");
  CHECK(with("/bn/eps", -1) == "net.config field bn field eps: expected a number above 0, at most 1, got -1");
  CHECK(without("", "classifier") == "net.config: expected a field classifier, got none");
  CHECK(without("/blocks/2", "shortcut") == "net.config field blocks[2]: expected a field shortcut, got none");
  CHECK(without("/blocks/2/mobile_inverted_conv", "in_channels") ==
        "net.config field blocks[2] field mobile_inverted_conv: expected a field in_channels, got none");
  nlohmann::json deep = published().at("LG-G8_lat-8ms_top1-71.1_finetune-25");
  auto& blocks = deep["net"]["blocks"];
  for (int i = 0; i < 8; ++i) {
    nlohmann::json one = blocks[2];
    one["mobile_inverted_conv"]["expand_ratio"] = std::round((4 + i) / 3.0 * 1000) / 1000;
    one["mobile_inverted_conv"]["mid_channels"] = nullptr;
    blocks.insert(blocks.begin() + 2, one);
  }
  CHECK(sentence([&] { read(deep); }) == "net.config field blocks[9]: expected at most 8 blocks in a stage, got more");
  CHECK(sentence([] { read_network_config(nlohmann::json::array(), 224); }) ==
        "net.config: expected an object, got array");
}

} // namespace dynofa_test::model_network_config
