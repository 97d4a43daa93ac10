#pragma once
#include "dynofa/core/file.hpp"
#include "dynofa/core/version.hpp"
#include "dynofa/family/protobuf.hpp"
#include "dynofa/model/batch_norm.hpp"
#include "dynofa/model/supernet_io.hpp"

#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

// One level as an ONNX model for other run times: opset 14, batch norm folded into the convolutions, h-swish as
// HardSwish. Input "image" [N,3,r,r], normalised as the family's preprocessing says; output "logits" [N,classes]. Field
// numbers are those of onnx.proto3.

namespace dynofa {

namespace detail {

class onnx_graph {
public:
  onnx_graph(const supernet& net, const plan& p, const scale_shift& folded)
      : net_{net}
      , plan_{p}
      , folded_{folded} {}

  /// `batch` 0: any number of images, "N".
  std::string model(int batch) {
    std::string x = "image";
    for (std::size_t i = 0; i < plan_.blocks.size(); ++i) x = add_block(i, x);
    graph_.string(2, "dynofa level");
    graph_.message(11, value("image", {batch, 3, plan_.blocks[0].in_size, plan_.blocks[0].in_size}));
    graph_.message(12, value("logits", {batch, plan_.space.classes}));
    protobuf_writer opset, model;
    opset.string(1, "").integer(2, 14);
    model.integer(1, 7).string(2, "dynofa").string(3, text(DYNOFA_VERSION_MAJOR, '.', DYNOFA_VERSION_MINOR));
    return model.message(7, graph_).message(8, opset).bytes();
  }

private:
  struct convolution {
    int in, out, kernel = 1, stride = 1;
    bool depthwise = false;
  };

  std::string add_block(std::size_t i, const std::string& x) {
    const block& b = plan_.blocks[i];
    const std::string name = text("b", i, '.');
    switch (b.kind) {
    case block_kind::stem:
      return activate(
          name, convolve(name + "conv", x, {b.in_channels, b.out_channels, 3, 2}, weight_role::output, i, 0), b.act);
    case block_kind::convolution: {
      auto y =
          convolve(name + "conv", x, {b.in_channels, b.out_channels, b.kernel, b.stride}, weight_role::output, i, 0);
      y = activate(name, y, b.act);
      return b.residual ? node("Add", name + "add", {y, x}) : y;
    }
    case block_kind::max_pool:
      return node("MaxPool", name + "pool", {x},
                  {attribute("kernel_shape", {3, 3}), attribute("strides", {2, 2}), attribute("pads", {1, 1, 1, 1})});
    case block_kind::bottleneck: return add_bottleneck(i, b, name, x);
    case block_kind::average_pool: return flatten(name, node("GlobalAveragePool", name + "pool", {x}));
    case block_kind::final_expand: {
      const auto y = convolve(name + "conv", x, {b.in_channels, b.out_channels}, weight_role::output, i, 0);
      const auto pooled = node("GlobalAveragePool", name + "pool", {activate(name, y, b.act)});
      return plan_.blocks[i + 1].kind == block_kind::classifier ? flatten(name, pooled) : pooled;
    }
    case block_kind::feature_mix: {
      const auto w = constant(name + "weight", weights(b, weight_role::output), {b.out_channels, b.in_channels, 1, 1});
      return flatten(name, activate(name, node("Conv", name + "conv", {x, w}, {of_one_pixel()}), b.act));
    }
    case block_kind::classifier: {
      const auto w = constant(name + "weight", weights(b, weight_role::output), {b.out_channels, b.in_channels});
      const auto bias = constant(name + "bias", weights(b, weight_role::output_bias), {b.out_channels});
      return node("Gemm", "logits", {x, w, bias}, {attribute("transB", 1)});
    }
    default: return add_residual_block(i, b, name, x);
    }
  }

  std::string add_bottleneck(std::size_t i, const block& b, const std::string& name, const std::string& x) {
    auto y = convolve(name + "reduce", x, {b.in_channels, b.mid_channels}, weight_role::expand, i, 0);
    y = activate(name + "reduce.", y, b.act);
    y = convolve(name + "dense", y, {b.mid_channels, b.mid_channels, b.kernel, b.stride}, weight_role::dense, i, 1);
    y = activate(name + "dense.", y, b.act);
    y = convolve(name + "project", y, {b.mid_channels, b.out_channels}, weight_role::output, i, 2);
    auto shortcut = x;
    if (b.projects_shortcut()) {
      if (b.stride > 1) { // padded and not counted: what a last window lacks
        const int lacks = b.out_size * b.stride - b.in_size;
        shortcut = node("AveragePool", name + "shortcut.pool", {x},
                        {attribute("kernel_shape", {b.stride, b.stride}), attribute("strides", {b.stride, b.stride}),
                         attribute("pads", {0, 0, lacks, lacks}), attribute("count_include_pad", 0)});
      }
      shortcut = convolve(name + "shortcut", shortcut, {b.in_channels, b.out_channels}, weight_role::shortcut, i, 3);
    }
    return activate(name + "out.", node("Add", name + "add", {y, shortcut}), b.out_act);
  }

  std::string add_residual_block(std::size_t i, const block& b, const std::string& name, const std::string& x) {
    int norm = 0;
    std::string y = x;
    if (b.kind == block_kind::inverted_residual) {
      y = convolve(name + "expand", y, {b.in_channels, b.mid_channels}, weight_role::expand, i, norm++);
      y = activate(name + "expand.", y, b.act);
    }
    y = convolve(name + "depthwise", y, {b.mid_channels, b.mid_channels, b.kernel, b.stride, true},
                 weight_role::depthwise, i, norm++);
    y = activate(name + "depthwise.", y, b.act);
    if (const int hidden = b.se_channels) {
      auto se = node("GlobalAveragePool", name + "se.pool", {y});
      const auto fully = [&](const std::string& what, weight_role role, weight_role bias, int out, int in,
                             float scale) {
        const auto m = constant(name + what + ".weight", scaled(weights(b, role), scale), {out, in, 1, 1});
        const auto v = constant(name + what + ".bias", scaled(weights(b, bias), scale), {out});
        return node("Conv", name + what, {se, m, v}, {of_one_pixel()});
      };
      se = fully("se.reduce", weight_role::se_reduce, weight_role::se_reduce_bias, hidden, b.mid_channels, 1);
      se = activate(name + "se.", se, b.se_act);
      // The slope of a hard sigmoid goes into the weights before it: OpenCV takes a product with one of slope 1/6 for a
      // HardSwish, whatever the other factor is.
      const bool hard = b.se_gate == activation::h_sigmoid;
      se = fully("se.expand", weight_role::se_expand, weight_role::se_expand_bias, b.mid_channels, hidden,
                 hard ? 1.0f / 6 : 1);
      const auto gate =
          hard ? node("HardSigmoid", name + "se.gate", {se}, {attribute("alpha", 1.0f), attribute("beta", 0.5f)})
               : activate(name + "se.gate", se, b.se_gate);
      y = node("Mul", name + "se", {y, gate});
    }
    y = convolve(name + "project", y, {b.mid_channels, b.out_channels}, weight_role::output, i, norm);
    y = activate(name + "project.", y, b.project_act);
    return b.residual ? node("Add", name + "add", {y, x}) : y;
  }

  /// What block b reads of an array, densely.
  std::vector<float> weights(const block& b, weight_role role) const {
    const std::size_t index = net_.layout.find(b, role).value();
    return prefix_of(net_.weights[index], net_.layout.weights[index].extent_in(b));
  }

  static std::vector<float> scaled(std::vector<float> values, float by) {
    for (float& v : values) v *= by;
    return values;
  }

  /// A convolution with batch norm `norm` of block i folded in.
  std::string convolve(const std::string& name, const std::string& x, convolution c, weight_role role, std::size_t i,
                       int norm) {
    const auto& [offset, channels] = plan_.norms[static_cast<std::size_t>(plan_.first_norm(i) + norm)];
    const auto first = static_cast<std::size_t>(offset), count = static_cast<std::size_t>(channels);
    const int inputs = c.depthwise ? 1 : c.in, columns = inputs * c.kernel * c.kernel;
    std::vector<float> w = weights(plan_.blocks[i], role);
    for (std::size_t v = 0; v < w.size(); ++v) w[v] *= folded_.scale[first + v / static_cast<std::size_t>(columns)];
    const auto kernel = constant(name + ".weight", w, {c.out, inputs, c.kernel, c.kernel});
    const auto bias = constant(name + ".bias", std::span(folded_.shift).subspan(first, count), {c.out});
    const std::int64_t k = c.kernel, s = c.stride, pad = c.kernel / 2;
    return node("Conv", name, {x, kernel, bias},
                {attribute("kernel_shape", {k, k}), attribute("strides", {s, s}),
                 attribute("pads", {pad, pad, pad, pad}), attribute("group", c.depthwise ? c.out : 1)});
  }
  std::string flatten(const std::string& name, const std::string& x) {
    return node("Flatten", name + "flat", {x}, {attribute("axis", 1)});
  }
  /// Optional in ONNX, but OpenCV's importer wants it.
  static protobuf_writer of_one_pixel() { return attribute("kernel_shape", {1, 1}); }

  std::string activate(const std::string& name, const std::string& x, activation act) {
    switch (act) {
    case activation::relu: return node("Relu", name + "relu", {x});
    case activation::relu6:
      return node(
          "Clip", name + "relu6",
          {x, constant(name + "relu6.min", std::array{0.0f}, {}), constant(name + "relu6.max", std::array{6.0f}, {})});
    case activation::h_swish: return node("HardSwish", name + "swish", {x});
    case activation::h_sigmoid:
      return node("HardSigmoid", name, {x}, {attribute("alpha", 1.0f / 6), attribute("beta", 0.5f)});
    default: return x;
    }
  }

  static protobuf_writer attribute(const char* name, std::int64_t value) {
    protobuf_writer a;
    return a.string(1, name).integer(3, value).integer(20, 2);
  }
  static protobuf_writer attribute(const char* name, int value) { return attribute(name, std::int64_t(value)); }
  static protobuf_writer attribute(const char* name, float value) {
    protobuf_writer a;
    return a.string(1, name).real(2, value).integer(20, 1);
  }
  static protobuf_writer attribute(const char* name, std::initializer_list<std::int64_t> values) {
    protobuf_writer a;
    a.string(1, name);
    for (auto v : values) a.integer(8, v);
    return a.integer(20, 7);
  }

  std::string node(const char* op, const std::string& name, std::initializer_list<std::string> inputs,
                   std::initializer_list<protobuf_writer> attributes = {}) {
    protobuf_writer n;
    for (const auto& input : inputs) n.string(1, input);
    n.string(2, name).string(3, name).string(4, op);
    for (const auto& a : attributes) n.message(5, a);
    graph_.message(1, n);
    return name;
  }
  std::string constant(const std::string& name, std::span<const float> values,
                       std::initializer_list<std::int64_t> shape) {
    protobuf_writer t;
    for (auto extent : shape) t.integer(1, extent);
    graph_.message(5, t.integer(2, 1).string(8, name).raw(9, values)); // 1: FLOAT
    return name;
  }
  /// A named float tensor; extent 0 stands for the batch "N".
  static protobuf_writer value(const char* name, std::initializer_list<std::int64_t> shape) {
    protobuf_writer dims, tensor, type, v;
    for (auto extent : shape) {
      protobuf_writer dim;
      extent ? dim.integer(1, extent) : dim.string(2, "N");
      dims.message(1, dim);
    }
    tensor.integer(1, 1).message(2, dims);
    return v.string(1, name).message(2, type.message(1, tensor));
  }

  const supernet& net_;
  const plan& plan_;
  const scale_shift& folded_;
  protobuf_writer graph_;
};

} // namespace detail

/// A level as the bytes of an ONNX model for `batch` images at a time, 0 for any number (OpenCV 4.6 multiplies by
/// squeeze-excite's gates in a fixed batch only, or one image). Throws if the space does not contain `a` or the
/// statistics do not fit.
inline std::string to_onnx(const supernet& net, const arch& a, const bn_statistics& statistics, int batch = 0) {
  require_argument(batch >= 0, "ONNX export", "a batch of at least 1, or 0 for any", batch);
  const plan p = make_plan(net.space, a);
  const scale_shift folded = fold(net, p, statistics);
  return detail::onnx_graph(net, p, folded).model(batch);
}

/// Writes a level as an ONNX file (22 MB for the paper's smallest network); see `to_onnx`.
inline void export_onnx(const std::filesystem::path& path, const supernet& net, const arch& a,
                        const bn_statistics& statistics, int batch = 0) {
  replace_file(path, to_onnx(net, a, statistics, batch));
}

} // namespace dynofa
