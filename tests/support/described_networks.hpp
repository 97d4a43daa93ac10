#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/model/network_config.hpp"

#include <nlohmann/json.hpp>

#include <sstream>
#include <string>
#include <vector>

namespace support {

/// A published `net.config`, the image size of its `run.config`, and its millions of multiply-accumulates.
struct published_network {
  std::string name;
  nlohmann::json config;
  int r;
  double mmacs;
  dynofa::described_network read(int resolution) const { return dynofa::read_network_config(config, resolution); }
};

/// The layers of a row of tests/golden/described_networks.json as a config has them. A block there is "expand kernel
/// stride out", then "se" for squeeze-excite, "+" for a shortcut and "hs" for h-swish; "0" is a block left out, as only
/// ProxylessNAS' own files have, which say no activation either.
inline nlohmann::json config_of(const nlohmann::json& row) {
  const bool v3 = row.at("final") != 0, own = row.at("name").get<std::string>().starts_with("proxyless");
  const char* act = v3 ? "h_swish" : "relu6";
  const auto layer = [&](int in, int out, int kernel, int stride, bool norm) -> nlohmann::json {
    return {{"name", "ConvLayer"}, {"in_channels", in}, {"out_channels", out}, {"kernel_size", kernel},
            {"stride", stride},    {"groups", 1},       {"use_bn", norm},      {"act_func", act}};
  };
  nlohmann::json config = {{"name", v3 ? "MobileNetV3" : "ProxylessNASNets"}, {"bn", {{"eps", v3 ? 1e-5 : 1e-3}}}};
  int channels = row.at("stem");
  config["first_conv"] = layer(3, channels, 3, 2, true);
  std::istringstream blocks(row.at("blocks").get<std::string>());
  for (std::string one; std::getline(blocks, one, '|');) {
    nlohmann::json conv = {{"name", "ZeroLayer"}, {"stride", 1}}, shortcut;
    if (one != "0") {
      int expand = 0, kernel = 0, stride = 0, out = 0;
      std::istringstream words(one);
      words >> expand >> kernel >> stride >> out;
      conv = {{"name", "MBInvertedConvLayer"}, {"in_channels", channels}, {"out_channels", out},
              {"kernel_size", kernel},         {"stride", stride},        {"expand_ratio", expand}};
      if (!own) {
        conv["mid_channels"] = nullptr;
        if (expand > 1) conv["mid_channels"] = channels * expand;
        conv["act_func"] = one.ends_with("hs") ? "h_swish" : v3 ? "relu" : "relu6";
        conv["use_se"] = one.find("se") != one.npos;
      }
      if (one.find('+') != one.npos) shortcut = {{"name", "IdentityLayer"}};
      channels = out;
    }
    config["blocks"].push_back({{"mobile_inverted_conv", conv}, {"shortcut", shortcut}});
  }
  if (v3) {
    config["final_expand_layer"] = layer(channels, row.at("final"), 1, 1, true);
    channels = row.at("final");
  }
  const int mix = row.at("mix");
  config["feature_mix_layer"] = layer(channels, mix, 1, 1, !v3);
  config["classifier"] = {{"name", "LinearLayer"}, {"in_features", mix}, {"out_features", 1000},
                          {"bias", true},          {"use_bn", false},    {"act_func", nullptr}};
  return config;
}

/// The 50 specialised networks of once-for-all and the four of ProxylessNAS.
inline const std::vector<published_network>& published_networks() {
  static const std::vector<published_network> all = [] {
    std::vector<published_network> list;
    const auto rows =
        nlohmann::json::parse(dynofa::map_file(DYNOFA_SOURCE_DIR "/tests/golden/described_networks.json").text());
    for (const auto& row : rows) list.push_back({row.at("name"), config_of(row), row.at("r"), row.at("mmacs")});
    return list;
  }();
  return all;
}

} // namespace support
