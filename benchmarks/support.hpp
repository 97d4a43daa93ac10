#pragma once
#include "dynofa/backend/cpu.hpp"
#include "dynofa/backend/reference.hpp"
#include "dynofa/backend/session.hpp"
#include "dynofa/latency/fma_peak.hpp"
#include "dynofa/model/random_supernet.hpp"
#include "dynofa/report/program.hpp"
#include "dynofa/space/json.hpp"
#include "dynofa/space/sampling.hpp"

#include <nlohmann/json.hpp>

#include "paper_networks.hpp"
#include "slimmable.hpp"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// What the benchmark programs share: a seeded super-network, the reference's answer, and a watch.

namespace bench {

using namespace dynofa;

/// A super-network with random weights, made once: speed does not depend on their values.
template <class Space>
const supernet_ptr& seeded_supernet() {
  static const supernet_ptr net = std::make_shared<const supernet>(random_supernet(Space::description, 1));
  return net;
}
/// The w = 1.2 space of the paper's networks.
inline const supernet_ptr& paper_supernet() { return seeded_supernet<ofa_w1_2>(); }

struct named_network {
  std::string name;
  dynofa::arch arch;
  const supernet_ptr& (*net)() = &paper_supernet;
  std::vector<int> channels = {}; ///< of a network that these describe; empty: `arch` does
  double top1 = 0;                ///< as published, of trained weights; 0: nobody did

  plan plan_of(int batch = 1) const {
    const space_description& space = net()->space;
    return channels.empty() ? make_plan(space, arch, batch) : make_channel_plan(space, channels, arch.r, batch);
  }
  template <class Backend>
  auto load(session<Backend>& on, int batch = 1) const {
    const plan p = plan_of(batch);
    return on.bind(p, fold(*net(), p, stored_statistics(*net(), p)));
  }
};

/// Ten seeded sub-networks, NAME0 … NAME9.
template <class Space>
void add_seeded(std::vector<named_network>& list, const std::string& name) {
  random_stream random(1, name);
  for (int i = 0; i < 10; ++i)
    list.push_back(
        {text(name, i), conform(Space::description, random_arch(Space::description, random)), &seeded_supernet<Space>});
}

/// The networks of slimmable.json, in the super-networks that hold them.
inline std::vector<named_network> slimmable_networks(const nlohmann::json& published) {
  std::vector<named_network> list;
  for_each_slimmable(published, [&]<class Space>(const slimmable_network& n) {
    list.push_back({.name = text(n.system, '-', n.network, '-', n.mmacs, 'M'),
                    .arch = n.arch,
                    .net = &seeded_supernet<Space>,
                    .channels = n.channels,
                    .top1 = n.top1});
  });
  return list;
}

/// The paper's networks, then seeded ones of ProxylessNAS and ResNet-50D; or those of a file {"subnets": [{"name",
/// "ks", "e", "d", "r"}, …]} or of slimmable.json.
inline std::vector<named_network> networks(const std::string& file) {
  std::vector<named_network> list;
  if (file.empty()) {
    for (const auto& n : paper_networks) list.push_back({std::string(n.name), n.arch});
    add_seeded<ofa_proxyless_w1_3>(list, "proxyless");
    add_seeded<ofa_resnet50_space>(list, "resnet");
    return list;
  }
  const auto json = nlohmann::json::parse(map_file(file).text(), nullptr, false); // kept: the loop refers into it
  if (json.is_object() && json.contains("networks")) {
    try {
      return slimmable_networks(json["networks"]);
    } catch (const nlohmann::json::exception& e) {
      throw error(errc::bad_file, file, "networks as in benchmarks/slimmable.json", e.what());
    }
  }
  if (!json.is_object() || !json.contains("subnets") || !json["subnets"].is_array())
    throw error(errc::bad_file, file, R"({"subnets": [{"name", "ks", "e", "d", "r"}, …]})", "something else");
  for (const auto& n : json["subnets"]) {
    list.push_back({.name = n.value("name", text("network", list.size())), .arch = read_arch(n)});
    validate(ofa_w1_2::description, list.back().arch);
  }
  return list;
}

/// Of these the sub-networks of the paper's super-network.
inline std::vector<named_network> mobilenets(const std::string& file) {
  std::vector<named_network> list = networks(file);
  std::erase_if(list, [](const named_network& n) { return n.net != &paper_supernet; });
  return list;
}

/// The row of bench_blocks that times this block.
inline std::string block_row_name(const block& b) {
  switch (b.kind) {
  case block_kind::stem: return text("block/stem/", b.in_size);
  case block_kind::separable: return text("block/separable/", b.in_size);
  case block_kind::inverted_residual:
    return text("block/inverted_residual/", b.in_size, 'x', b.in_channels, '-', b.mid_channels, '-', b.out_channels,
                "/k", int(b.kernel), "/s", int(b.stride), b.se_channels ? "/se" : "",
                b.act == activation::relu ? "/relu" : "/h_swish");
  case block_kind::final_expand: return text("block/final_expand/", b.in_size);
  case block_kind::feature_mix: return "block/feature_mix";
  default: return "block/classifier";
  }
}

inline std::vector<float> random_values(std::size_t size, std::uint64_t seed) {
  std::vector<float> values(size);
  random_stream random(seed, "bench");
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

/// A name for what is wrong, or nothing if `got` is within `tolerance` standard deviations of `wanted`.
inline std::string difference(const std::vector<float>& got, const std::vector<float>& wanted, double tolerance) {
  double mean = 0, square = 0, worst = 0;
  for (float v : wanted) mean += v / static_cast<double>(wanted.size());
  for (float v : wanted) square += (v - mean) * (v - mean) / static_cast<double>(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double d = std::abs(static_cast<double>(got[i]) - wanted[i]);
    if (!(d <= worst) && !std::isnan(worst)) worst = d;
  }
  const double std = std::max(std::sqrt(square), 1e-6);
  if (worst <= tolerance * std) return {};
  return text("differs from the reference backend by ", worst / std, " standard deviations");
}

/// Latencies of single runs.
class watch {
public:
  template <class Run>
  void time(Run run) {
    const auto start = std::chrono::steady_clock::now();
    run();
    ms_.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  void add(double ms) { ms_.push_back(ms); }
  double last_ms() const { return ms_.back(); }
  double min_ms() const { return *std::min_element(ms_.begin(), ms_.end()); }
  double median_ms() {
    std::nth_element(ms_.begin(), ms_.begin() + static_cast<std::ptrdiff_t>(ms_.size() / 2), ms_.end());
    return ms_[ms_.size() / 2];
  }

private:
  std::vector<double> ms_ = [] {
    std::vector<double> v;
    v.reserve(1 << 16);
    return v;
  }();
};

/// Whether `--help` was asked for; it has been printed then. A Google Benchmark program goes on to `Initialize`, which
/// prints the library's options and ends it.
inline bool printed_help(int argc, char** argv, std::string_view help) {
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--help") {
      std::cout << help << std::endl;
      return true;
    }
  return false;
}

/// Takes `--name value` or `--name=value` out of the arguments; benchmark::Initialize refuses what it does not know.
inline std::string take_option(int& argc, char** argv, const std::string& name, std::string value = {}) {
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    int used = 0;
    if (arg == name && i + 1 < argc)
      value = argv[i + 1], used = 2;
    else if (arg.starts_with(name + "="))
      value = arg.substr(name.size() + 1), used = 1;
    if (!used) continue;
    std::copy(argv + i + used, argv + argc, argv + i);
    argc -= used;
    break;
  }
  return value;
}

} // namespace bench
