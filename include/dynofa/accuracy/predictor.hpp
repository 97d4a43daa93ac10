#pragma once
#include "dynofa/accuracy/dense_layer.hpp"
#include "dynofa/accuracy/features.hpp"
#include "dynofa/accuracy/model.hpp"
#include "dynofa/core/finite.hpp"
#include "dynofa/model/checkpoint.hpp"
#include "dynofa/space/json.hpp"

#include <cmath>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dynofa {

/// One layer of a predictor's network: weight [out, in] row-major, bias [out].
struct predictor_layer {
  std::vector<float> weight, bias; ///< as said above
  /// 0 for a layer without outputs.
  std::size_t inputs() const { return bias.empty() ? 0 : weight.size() / bias.size(); }
};
/// Layers with ReLU between them; the last has one output.
using predictor_network = std::vector<predictor_layer>;

/// Predicts accuracy with a small network, or with the mean of several, on one-hot features.
///
/// The official one (128-400-400-400-1) answers as a fraction; on the stored 50 000-image results of w = 1.2 it is 4.5
/// to 6.9 points high, so calibrate it or train one on your own data. Copies share the weights. A batch costs 3.4 µs
/// per architecture on a core with AVX-512; predictions allocate scratch for 64 rows once per thread.
class accuracy_predictor {
public:
  /// Throws errc::shape_mismatch if the layers do not fit the features or each other.
  accuracy_predictor(space_description space, feature_layout layout, std::vector<predictor_network> members,
                     bool official = false)
      : state_{std::make_shared<const state>(space, std::move(layout), std::move(members), official)} {}

  /// Mean of the members, in the unit of the data. Throws errc::invalid_arch.
  double operator()(const arch& a) const { return predict_one(*this, a); }
  /// Values of many architectures → `out` of the same length, and, where `spread` has room as well, how far the members
  /// disagree: the standard deviation over members (0 for one). Throws errc::invalid_arch.
  void predict(std::span<const arch> archs, std::span<double> out, std::span<double> spread = {}) const {
    constexpr std::size_t rows = 60; // 12 register tiles of 5
    const state& s = *state_;
    thread_local std::vector<float> scratch;
    if (scratch.size() < 2 * rows * s.widest) scratch.resize(2 * rows * s.widest);
    std::array<feature_layout::ones, rows> ones;
    for (std::size_t begin = 0; begin < archs.size(); begin += rows) {
      const std::size_t n = std::min(rows, archs.size() - begin);
      for (std::size_t i = 0; i < n; ++i) ones[i] = s.ones_of(archs[begin + i]);
      std::array<double, rows> sum{}, squares{};
      for (const member& m : s.packed_members) {
        float *x = scratch.data(), *y = x + rows * s.widest;
        std::size_t width = m.width;
        for (std::size_t i = 0; i < n; ++i)
          detail::best_dense_kernel().sum_rows(m.rows.data(), m.bias.data(), {ones[i].data(), ones[i].size()}, width,
                                               x + i * width);
        for (const auto& layer : m.hidden) {
          layer(x, width, n, y);
          width = layer.width();
          std::swap(x, y);
        }
        for (std::size_t i = 0; i < n; ++i) {
          double value = m.last_bias;
          for (std::size_t c = 0; c < m.last.size(); ++c) value += double(m.last[c]) * x[i * width + c];
          sum[i] += value;
          squares[i] += value * value;
        }
      }
      const double count = static_cast<double>(s.packed_members.size());
      for (std::size_t i = 0; i < n; ++i) {
        out[begin + i] = sum[i] / count;
        if (!spread.empty())
          spread[begin + i] = std::sqrt(std::max(0.0, squares[i] / count - sum[i] / count * (sum[i] / count)));
      }
    }
  }

  const space_description& space() const { return state_->space; } ///< that the architectures are of
  /// How an architecture becomes the first layer's inputs.
  const feature_layout& layout() const { return state_->layout; }
  /// The networks of the ensemble, at least one.
  const std::vector<predictor_network>& members() const { return state_->members; }
  /// One of once-for-all's, whose inputs and unit (a share, not percent) are theirs.
  bool is_official() const { return state_->official; }

private:
  struct member {
    std::size_t width;             // of the first hidden layer, padded to 16
    std::vector<float> rows, bias; // first layer transposed: [inputs][width]
    std::vector<detail::dense_layer> hidden;
    std::vector<float> last; // weights of the only output
    float last_bias;
  };
  struct state {
    state(space_description s, feature_layout l, std::vector<predictor_network> m, bool o)
        : space{s}
        , layout{std::move(l)}
        , members{std::move(m)}
        , official{o} {
      const auto fault = [](std::string expected, std::string got) {
        return error(errc::shape_mismatch, "accuracy predictor", std::move(expected), std::move(got));
      };
      if (members.empty()) throw fault("at least one network", "none");
      for (const auto& given : members) {
        const predictor_network network = without_dust(given);
        if (network.size() < 2) throw fault("at least 2 layers", std::to_string(network.size()));
        std::size_t inputs = layout.size();
        for (const auto& layer : network) {
          if (layer.bias.empty() || layer.weight.size() != inputs * layer.bias.size())
            throw fault(text("layers of ", inputs, " inputs"),
                        text(layer.weight.size(), " weights for ", layer.bias.size(), " outputs"));
          inputs = layer.bias.size();
          for (const auto* values : {&layer.weight, &layer.bias})
            if (const auto bad = first_not_finite(*values); bad < values->size())
              throw error(errc::bad_file, "accuracy predictor", "finite weights and biases",
                          text(shown((*values)[bad]), " in a layer of ", inputs, " outputs"));
        }
        if (inputs != 1) throw fault("one output", std::to_string(inputs));
        member packed;
        const auto& first = network.front();
        const std::size_t outs = first.bias.size(), ins = first.inputs();
        packed.width = (outs + 15) / 16 * 16;
        packed.bias.assign(packed.width, 0);
        packed.rows.assign(packed.width * ins, 0);
        std::copy(first.bias.begin(), first.bias.end(), packed.bias.begin());
        for (std::size_t out = 0; out < outs; ++out)
          for (std::size_t i = 0; i < ins; ++i) packed.rows[i * packed.width + out] = first.weight[out * ins + i];
        for (std::size_t i = 1; i + 1 < network.size(); ++i)
          packed.hidden.emplace_back(network[i].weight, network[i].bias, true);
        packed.last = network.back().weight;
        packed.last_bias = network.back().bias[0];
        widest = std::max(widest, packed.width);
        for (const auto& layer : packed.hidden) widest = std::max(widest, layer.width());
        packed_members.push_back(std::move(packed));
      }
    }
    /// Of an architecture as files have it, too.
    feature_layout::ones ones_of(const arch& a) const {
      const bool whole = a.ks.size() == a.e.size() && a.d.size() == space.stages.size();
      return whole && !space.has_deep_stem() ? layout(a) : layout(completed(space, a));
    }
    space_description space;
    feature_layout layout;
    std::vector<predictor_network> members;
    bool official;
    std::vector<member> packed_members;
    std::size_t widest = 0;
  };

  /// Weight decay leaves numbers so small that products with them are subnormal, on which processors take a hundred
  /// times as long: 97 % of the second layer of once-for-all's ResNet predictor, which took 100 µs per architecture for
  /// it. As zeros they change no prediction by 1e-26.
  static predictor_network without_dust(predictor_network network) {
    for (predictor_layer& layer : network)
      for (auto* values : {&layer.weight, &layer.bias})
        for (float& v : *values)
          if (std::abs(v) < 1e-30f) v = 0;
    return network;
  }

  std::shared_ptr<const state> state_;
};

/// The official predictor file, legacy .pth or safetensors, for a space of once-for-all's form: of MobileNetV3 (keys 0,
/// 2, 4, 6 with .weight and .bias), of ResNet (layers.0.0, layers.1.0, layers.2.0, layers.3; the last has no bias, and
/// base_acc is added).
inline accuracy_predictor load_official_predictor(const std::filesystem::path& path, const space_description& space) {
  const checkpoint file = read_checkpoint(path);
  struct names {
    std::string weight, bias;
  };
  std::vector<names> layers;
  for (const char* layer : {"0", "2", "4", "6"}) layers.push_back({text(layer, ".weight"), text(layer, ".bias")});
  if (space.has_deep_stem()) {
    layers.clear();
    for (const char* layer : {"layers.0.0", "layers.1.0", "layers.2.0"})
      layers.push_back({text(layer, ".weight"), text(layer, ".bias")});
    layers.push_back({"layers.3.weight", "base_acc"});
  }
  predictor_network network;
  std::size_t inputs = space.has_deep_stem() ? 82 : 128;
  for (const names& layer : layers) {
    const auto find = [&](const std::string& name) -> const tensor& {
      const auto at = file.tensors.find(name);
      if (at == file.tensors.end()) throw error(errc::missing_key, path.string(), text("a tensor ", name), "none");
      return at->second;
    };
    const tensor &weight = find(layer.weight), &bias = find(layer.bias);
    if (weight.shape.size() != 2 || bias.shape.size() != 1 || weight.shape[0] != bias.shape[0] || weight.shape[0] < 1 ||
        weight.shape[1] != static_cast<std::int64_t>(inputs))
      throw error(errc::shape_mismatch, text(path.string(), ", tensor ", layer.weight),
                  text("[outputs, ", inputs, "] and a bias of as many outputs"),
                  text(to_string(weight.shape), " and ", to_string(bias.shape)));
    inputs = static_cast<std::size_t>(bias.shape[0]);
    network.push_back({weight.to_floats(), bias.to_floats()});
  }
  if (file.tensors.size() != 8)
    throw error(errc::extra_key, path.string(), "8 tensors", std::to_string(file.tensors.size()));
  return {space, feature_layout::official(space), {std::move(network)}, true};
}

namespace detail {

/// The layers as tensors: MEMBER m LAYER l ".weight" [out, in] and ".bias" [out].
inline state_dict predictor_tensors(const accuracy_predictor& predictor, const char* member, const char* layer) {
  state_dict tensors;
  for (std::size_t m = 0; m < predictor.members().size(); ++m)
    for (std::size_t l = 0; l < predictor.members()[m].size(); ++l) {
      const auto& [weight, bias] = predictor.members()[m][l];
      const std::string name = text(member, m, layer, l);
      const auto outs = static_cast<std::int64_t>(bias.size());
      const auto ins = static_cast<std::int64_t>(predictor.members()[m][l].inputs());
      tensors.emplace(name + ".weight", tensor::of_floats(weight, {outs, ins}));
      tensors.emplace(name + ".bias", tensor::of_floats(bias, {outs}));
    }
  return tensors;
}
/// The predictor of such tensors; there may be no others.
inline accuracy_predictor predictor_of_tensors(const state_dict& tensors, const char* member, const char* layer,
                                               const space_description& space, bool official,
                                               const std::string& where) {
  std::vector<predictor_network> members;
  std::size_t used = 0;
  for (bool more = true; more;) {
    predictor_network network;
    while (true) {
      const std::string name = text(member, members.size(), layer, network.size());
      const auto weight = tensors.find(name + ".weight"), bias = tensors.find(name + ".bias");
      if (weight == tensors.end() || bias == tensors.end()) break;
      network.push_back({weight->second.to_floats(), bias->second.to_floats()});
      used += 2;
    }
    more = !network.empty();
    if (more) members.push_back(std::move(network));
  }
  if (used != tensors.size())
    throw error(errc::extra_key, where, text(used, " tensors of whole members and layers"),
                std::to_string(tensors.size()));
  return {space, official ? feature_layout::official(space) : feature_layout::of_space(space), std::move(members),
          official};
}

} // namespace detail

/// Writes a predictor with its space: `member.M.layer.L.weight`, `.bias`; metadata `space`, `layout`, `format`.
inline void save_predictor(const std::filesystem::path& path, const accuracy_predictor& predictor) {
  write_safetensors(path, detail::predictor_tensors(predictor, "member.", ".layer."),
                    {{"format", "dynofa accuracy predictor 1"},
                     {"layout", predictor.is_official() ? "official" : "space"},
                     {"space", nlohmann::json(predictor.space()).dump()}});
}

/// Reads what `save_predictor` wrote; nothing else is accepted.
inline accuracy_predictor load_predictor(const std::filesystem::path& path) {
  const safetensors_file file = read_safetensors(path);
  const auto metadata = [&](const char* name) -> const std::string& {
    const auto at = file.metadata.find(name);
    if (at == file.metadata.end()) throw error(errc::bad_file, path.string(), text("metadata ", name), "none");
    return at->second;
  };
  if (metadata("format") != "dynofa accuracy predictor 1")
    throw error(errc::unsupported, path.string(), "format dynofa accuracy predictor 1", printable(metadata("format")));
  return detail::predictor_of_tensors(file.tensors, "member.", ".layer.", parse_space(metadata("space")),
                                      metadata("layout") == "official", path.string());
}

} // namespace dynofa
